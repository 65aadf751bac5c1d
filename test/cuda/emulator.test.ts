// CUDA without a GPU. Kernels: the programs of test/cuda/emulator, which compare them with a float64 reference.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

describe('kernels', () => {
  /** Warps in ascending order; every 61st case, unless all tests are run. */
  const args = ['0', process.env.WARPDICE_TEST_ALL ? '1' : '61'];

  test.each(['kernels_test', 'count_test', 'head_test', 'predict_test', 'long_test'])(
    '%s',
    (name) => {
      const program = path.join(__dirname, '../../build/emulated', name);
      const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
      expect(stdout + stderr).toMatch(/^[1-9]\d* cases, 0 failures$/m);
      expect(status).toBe(0);
    },
  );
});

// The host's side of CUDA (native/cuda/runtime) on the fake CUDA runtime of test/cuda/fake-runtime: no GPU, no toolkit.
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
