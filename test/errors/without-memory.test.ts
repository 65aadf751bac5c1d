// Every allocation of the addon fails once, and from there on all of them: the caller gets ERR_OUT_OF_MEMORY, and a promise settles.
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { allTests } from '../support/in-this-run.js';
import { runWell } from '../support/process.js';

const addon = path.resolve(__dirname, '../../build/emulated/warpdice_emulated.node');

test('calls of every style', async () => {
  const every = process.env.WARPDICE_TEST_EVERY ?? (allTests ? '1' : '3');
  const env = { WARPDICE_TEST_ADDON: addon, WARPDICE_TEST_EVERY: every };
  const tried = await runWell('without-memory.mjs', { args: ['1'], env });
  expect(Number(tried)).toBeGreaterThan(200 / Number(every));
});
