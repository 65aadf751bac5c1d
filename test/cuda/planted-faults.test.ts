// .ci/run plants faults in the CUDA kernels (test/cuda/emulator/mutants), which takes minutes; a patch that no longer applies should not be
// found only there.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

test('every planted fault applies to the kernels as they are', () => {
  const folder = 'test/cuda/emulator/mutants';
  const root = path.join(__dirname, '../..');
  const patches = readdirSync(path.join(root, folder)).map((name) => `${folder}/${name}`);
  const { status, stderr } = spawnSync('git', ['apply', '--check', ...patches], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(patches.length).toBeGreaterThan(30);
});
