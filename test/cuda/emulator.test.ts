// CUDA without a GPU or toolkit: the host's side (native/cuda/runtime) on the fake CUDA runtime of test/cuda/fake-runtime, and whether the
// planted faults of the kernels apply. emulator.long.test.ts runs the kernels' own programs.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

describe("the host's side", () => {
  const program = path.join(__dirname, '../../build/emulated/runtime_test');

  test('memory, streams, events, graphs, errors and completion', () => {
    expect(execFileSync(program, { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
  });

  test('the same without stream-ordered allocation', () => {
    expect(execFileSync(program, ['no-pools'], { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
  });
});

// .ci/run plants them, which takes minutes; a patch that no longer applies should not be found only there.
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
