// Worker threads: several at once, terminated in the middle of a call, the addon loaded in no other thread, and processes that end
// while calls are under way. Each in a process of its own, which must end by itself with code 0.
import { describe, expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

test('several at once, beside the main thread', async () => {
  const { expected, found } = JSON.parse(await runWell('several.mjs'));
  expect(found).toEqual(expected);
  expect(new Set(found).size).toBe(4);
});

describe.each(['sync', 'async'])('terminated in the middle of a call: %s', (how) => {
  test('the main thread has the addon too', async () => {
    expect(await runWell('terminate.mjs', { args: ['main', how] })).toMatch('still works: true');
  });

  test('the addon is loaded only in the workers', async () => {
    expect(await runWell('terminate.mjs', { args: ['none', how] })).toMatch('still works: true');
  });
});

test('the addon is loaded only in workers, which end by themselves', async () => {
  expect(await runWell('only-worker.mjs')).toMatch('values alike: true');
});

describe('a process ends while calls are under way', () => {
  test.each(['exit', 'end', 'worker'])('%s', async (how) => {
    await runWell('exit.mjs', { args: [how] });
  });
});

test('labels in shared memory that another thread changes meanwhile', async () => {
  expect(await runWell('racing-labels.mjs')).toMatch('still works: true');
});

test('garbage is collected while calls are under way', async () => {
  expect(await runWell('collect.mjs', { node: ['--expose-gc'] })).toMatch('all right: true');
});
