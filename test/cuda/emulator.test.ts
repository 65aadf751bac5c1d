// The CUDA kernels without a GPU: the programs of test/cuda/emulator, which compare them with a float64 reference.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from '@jest/globals';

/** Warps in ascending order; every fifteenth case, unless all tests are run. */
const args = ['0', process.env.WARPDICE_TEST_ALL ? '1' : '15'];

test.each(['kernels_test', 'count_test', 'long_test'])('%s', (name) => {
  const program = path.join(__dirname, '../../build/emulated', name);
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  expect(stdout + stderr).toMatch(/^[1-9]\d* cases, 0 failures$/m);
  expect(status).toBe(0);
});
