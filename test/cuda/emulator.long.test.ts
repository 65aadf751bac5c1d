// CUDA kernels without a GPU: the programs of test/cuda/emulator, which compare every case with a float64 reference. `npm test` runs the
// same kernels through the addon on the emulated device (test/devices).
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from '@jest/globals';

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
