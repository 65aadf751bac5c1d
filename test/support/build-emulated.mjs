// Jest's global setup: builds the addon on an emulated device (test/cuda/emulated-addon) and the tests of kernels and runtime,
// where something has changed.
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..');

export default function buildEmulated() {
  const { LD_PRELOAD, ...env } = process.env; // a sanitizer's, which is for Node
  // Under sanitizers the programs have steps of their own in .ci/run.
  const target = LD_PRELOAD ? 'warpdice_emulated' : 'warpdice_emulated_tests';
  const parallel = ['--parallel', String(os.availableParallelism())];
  const build = spawnSync('cmake', ['--build', 'build', '--target', target, ...parallel], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  if (build.status === 0) return;
  throw new Error(
    `The addon on an emulated device cannot be built; npm run build:native comes first.\n${build.error ?? build.stdout + build.stderr}`,
  );
}
