// Jest's global setup: builds the addon on an emulated device (test/cuda/emulated-addon) where something has changed; with all tests also
// the programs of the kernels and of the runtime, and the benchmark's own addon.
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..');

export default function buildEmulated() {
  const { LD_PRELOAD, ...env } = process.env; // a sanitizer's, which is for Node
  // Under sanitizers the programs have steps of their own in .ci/run, and the benchmark is not tested.
  const targets = ['warpdice_emulated'];
  if (!LD_PRELOAD && env.WARPDICE_TEST_ALL) {
    targets.push('warpdice_emulated_programs', 'warpdice_benchmark');
  }
  const parallel = ['--parallel', String(os.availableParallelism())];
  const build = spawnSync('cmake', ['--build', 'build', '--target', ...targets, ...parallel], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  if (build.status === 0) return;
  throw new Error(
    `The tests' addons cannot be built; npm run build:native comes first.\n${build.error ?? build.stdout + build.stderr}`,
  );
}
