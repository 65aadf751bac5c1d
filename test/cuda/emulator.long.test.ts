// CUDA without a GPU: the programs of test/cuda/emulator, which compare every case of the kernels with a float64 reference, and that of
// the host's side (native/cuda/runtime) on the fake CUDA runtime of test/cuda/fake-runtime. `npm test` runs the same kernels and the same
// runtime through the addon on the emulated device (test/devices).
import { execFileSync, spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

test.each(['kernels_test', 'count_test', 'head_test', 'predict_test', 'long_test'])(
  '%s',
  (name) => {
    const program = path.join(__dirname, '../../build/emulated', name);
    // Warps in ascending order, every case.
    const { status, stdout, stderr } = spawnSync(program, ['0', '1'], { encoding: 'utf8' });
    expect(stdout + stderr).toMatch(/^[1-9]\d* cases, 0 failures$/m);
    expect(status).toBe(0);
  },
);

describe("the host's side", () => {
  const program = path.join(__dirname, '../../build/emulated/runtime_test');

  test('memory, streams, events, graphs, errors and completion', () => {
    expect(execFileSync(program, { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
  });

  test('the same without stream-ordered allocation', () => {
    expect(execFileSync(program, ['no-pools'], { encoding: 'utf8' })).toMatch(/ 0 failures\n$/);
  });
});
