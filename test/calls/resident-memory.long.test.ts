// A thousand steps and more of each kind, on tensors of 4 MB: after the warm-up, resident memory stays within 20 MB.
import { expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

const MB = 2 ** 20;

test.concurrent.each([
  ["caller's buffers", 2000],
  ['step by step, and a plan', 1000],
  ['allocating the gradient', 1000],
  ['allocating everything', 1000],
  ['async', 1000],
  ['async, shared memory', 1000],
  ['async, allocating', 1000],
  ['metrics', 1000],
  ['metrics, async', 1000],
  ['errors, allocating', 1000],
])('%s', async (kind, steps) => {
  const printed = await runWell('resident-memory.mjs', {
    args: [kind, String(steps)],
    node: ['--expose-gc'],
    // Freed blocks go back to the system at once: what malloc would keep for later, tens of megabytes of it, is not ours.
    env: kind.includes('allocating') ? { MALLOC_MMAP_THRESHOLD_: String(MB) } : {},
  });
  const { grown, most } = JSON.parse(printed);
  expect(grown).toBeLessThan(20 * MB);
  // Garbage included: a collection is due every 32 to 64 MB, so more than this is garbage that V8 does not see.
  expect(most).toBeLessThan(160 * MB);
});
