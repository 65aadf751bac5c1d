// without-memory.test.ts with more losses, and with threads of the pool, where chance decides which allocation fails.
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

const addon = path.resolve(__dirname, '../../build/emulated/warpdice_emulated.node');

test.each(['1', '2', '8'])('every call, %s threads', async (threads) => {
  const env = { WARPDICE_TEST_ADDON: addon };
  expect(
    Number(await runWell('without-memory.mjs', { args: [threads, 'all'], env })),
  ).toBeGreaterThan(300);
});
