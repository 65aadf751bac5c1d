// without-memory.test.ts with threads of the pool, where chance decides which allocation fails, and on the emulated GPU.
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

const addon = path.resolve(__dirname, '../../build/emulated/warpdice_emulated.node');

test.each([
  ['2', 'host'],
  ['8', 'host'],
  ['1', 'device'],
])('calls of every style, %s threads, %s', async (...args) => {
  const tried = await runWell('without-memory.mjs', { args, env: { WARPDICE_TEST_ADDON: addon } });
  expect(Number(tried)).toBeGreaterThan(400);
});
