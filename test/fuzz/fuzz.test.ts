// Calls with wrong arguments: each throws an error that helps, and none ends the process. See test/fuzz/README.md.
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { run } from '../support/process.js';

const main = path.join(__dirname, 'main.mjs');
const emulated = path.resolve(__dirname, '../../build/emulated/warpdice_emulated.node');
const long = Boolean(process.env.WARPDICE_TEST_ALL);

async function findings(calls: number, args: string[] = [], env: Record<string, string> = {}) {
  const { stdout, stderr, code, signal } = await run(main, {
    args: ['--calls', `${calls}`, ...args],
    env,
  });
  if (signal !== null || !stdout.startsWith('{')) throw new Error(`${code} ${signal}\n${stderr}`);
  const outcome = JSON.parse(stdout);
  expect(outcome.calls).toBeGreaterThanOrEqual(calls);
  expect(outcome.refused).toBeGreaterThan(calls / 4); // the fuzzer does spoil its calls
  expect(outcome.done).toBeGreaterThan(calls / 8); // and some are right
  return outcome.findings;
}

describe('calls with wrong arguments throw errors that name them', () => {
  test('on the CPU', async () => {
    expect(await findings(long ? 100_000 : 1_500)).toEqual([]);
  });

  test('on a GPU (emulated)', async () => {
    const env = { WARPDICE_TEST_ADDON: emulated };
    expect(await findings(long ? 10_000 : 200, [], env)).toEqual([]);
  });

  test('with allocations that fail', async () => {
    const env = { WARPDICE_TEST_ADDON: emulated, WARPDICE_FUZZ_FAILURES: '1' };
    expect(await findings(long ? 30_000 : 600, [], env)).toEqual([]);
  });

  test('in several threads, while others are ended', async () => {
    const args = ['--workers', '2', '--terminate', '--seed', '1000001'];
    expect(await findings(long ? 30_000 : 500, args)).toEqual([]);
  });
});
