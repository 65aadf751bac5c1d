// The line in which Async calls wait: beside Node's thread pool, in order, in turns with other threads, and of a bounded size.
import { stat } from 'node:fs/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { DiceLoss, getThreads, SegmentationMetrics, setThreads } from '../../lib/index.js';
import { makeCase } from '../support/cases.js';
import { runWell } from '../support/process.js';
import { onShared } from '../support/tensors.js';

const threads = getThreads();
afterAll(() => setThreads(threads));

// On shared memory and slow to compute, so that making the calls takes no part of their time.
const slow = { activation: 'softmax', crossEntropy: {}, focal: { gamma: 1.7 } } as const;
const big = makeCase({ C: 3, spatial: [200_003], dtype: 'float64', options: slow });
const [predictions, target] = [onShared(big.predictions), onShared(big.target)];
const small = makeCase({ C: 3, spatial: [11], dtype: 'float64', options: slow });

describe('files do not wait for calls', () => {
  const metrics = new SegmentationMetrics({ classes: 3 });
  const kinds: [string, () => Promise<unknown>][] = [
    ['valueAsync', () => big.loss.valueAsync(predictions, target)],
    ['statisticsAsync', () => big.loss.statisticsAsync(predictions, target)],
    ['updateAsync', () => metrics.updateAsync(predictions, target)],
  ];
  test.each(kinds)('%s', async (_, start) => {
    let ended = 0;
    const calls = Array.from({ length: 60 }, () =>
      start().then(() => {
        ended++;
      }),
    );
    await stat(__filename);
    // On Node's pool the file would come after all but the last few.
    expect(ended).toBeLessThan(50);
    await Promise.all(calls);
  });
});

test('with one thread, calls of any size end in the order in which they were made', async () => {
  setThreads(1);
  const order: number[] = [];
  await Promise.all(
    Array.from({ length: 30 }, async (_, i) => {
      const { predictions: x, target: y } = i % 3 === 0 ? big : small;
      await big.loss.valueAsync(x, y);
      order.push(i);
    }),
  );
  setThreads(threads);
  expect(order).toEqual(Array.from({ length: 30 }, (_, i) => i));
});

test('a call does not wait for the long line of another thread', async () => {
  expect(Number(await runWell('in-line.mjs', { args: ['turns'] }))).toBeLessThan(40);
});

test('a worker that is terminated drops the calls in line', async () => {
  expect(Number(await runWell('in-line.mjs', { args: ['terminate'] }))).toBeLessThan(60);
});

test('copies of pending calls have a bound', async () => {
  const env = { WARPDICE_ASYNC_MIB: '2', WARPDICE_THREADS: '1' };
  const result = JSON.parse(await runWell('full-queue.mjs', { env }));
  expect(result).toEqual({
    works: true,
    accepted: expect.any(Number),
    refused: expect.any(Number),
    name: 'WarpDiceError',
    code: 'ERR_QUEUE_FULL',
    message: expect.stringMatching(
      /^Expected pending Async calls to hold less than 2 MiB of copied arrays but they hold 2 MiB: await earlier calls first, or pass tensors of Tensor\.empty/,
    ),
    inPlace: true,
  });
  expect(result.accepted).toBeGreaterThanOrEqual(8);
  expect(result.refused).toBeGreaterThan(0);
});

test('a loss that nobody holds on to computes what it was asked', async () => {
  const start = () => new DiceLoss(slow).valueAsync(big.predictions, big.target);
  const values = (await Promise.all([start(), start()])).map(({ value }) => value.itemSync());
  expect(values[0]).toBe(big.loss.value(big.predictions, big.target).value.itemSync());
});
