// Shared memory that nobody holds any more is collected in a synchronous loop too: V8 is told how much it is.
import { expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

test.each(['dispose', 'drop'])('%s: 80 tensors of 16 MB do not pile up', async (how) => {
  expect(Number(await runWell('shared-memory.mjs', { args: [how] }))).toBeLessThan(600);
});
