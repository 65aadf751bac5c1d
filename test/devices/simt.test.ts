// The CUDA kernels without a GPU: compiled by the C++ compiler against the emulator in test/cuda/emulator.
import { spawnSync } from 'node:child_process';
import path from 'node:path';

import { expect, test } from '@jest/globals';

test('CUDA kernels in the emulator agree with a float64 reference', () => {
  const script = path.join(__dirname, '../cuda/emulator/run.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  expect((stdout + stderr).match(/^[1-9]\d* cases, 0 failures$/gm)).toHaveLength(3); // of three programs
  expect(status).toBe(0);
}, 300_000);
