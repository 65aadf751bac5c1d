// Calls on many samples or classes, whose sums would take hundreds of megabytes: what is used meanwhile and what stays resident have
// a bound.
import { expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

const MB = 2 ** 20;

test.each(['value', 'valueAndGrad', 'classes', 'ignored', 'valueAsync', 'update', 'updateAsync'])(
  '%s',
  async (kind) => {
    const printed = await runWell('kept-memory.mjs', { args: [kind], node: ['--expose-gc'] });
    // 64 MB of scratch memory at most, and what malloc and V8 keep for later.
    expect(JSON.parse(printed).kept).toBeLessThan(96 * MB);
  },
);

/** The sums of all samples would take 160 MB, with their slopes 300. */
test.each(['value', 'valueAndGrad', 'weighted', 'batch'])('%s, while it runs', async (kind) => {
  const printed = await runWell('kept-memory.mjs', { args: [kind], node: ['--expose-gc'] });
  expect(JSON.parse(printed).most).toBeLessThan(48 * MB);
});
