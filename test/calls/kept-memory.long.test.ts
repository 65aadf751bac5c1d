// What stays resident after calls that needed hundreds of megabytes: the addon's scratch memory has a bound for the process.
import { expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

const MB = 2 ** 20;

test.each(['value', 'valueAndGrad', 'valueAsync', 'update', 'updateAsync'])('%s', async (kind) => {
  const printed = await runWell('kept-memory.mjs', { args: [kind], node: ['--expose-gc'] });
  // 64 MB of scratch memory at most, and what malloc and V8 keep for later.
  expect(JSON.parse(printed).kept).toBeLessThan(96 * MB);
});
