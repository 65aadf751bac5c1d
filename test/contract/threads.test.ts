import { afterAll, expect, test } from '@jest/globals';
import { DiceLoss, getThreads, setThreads } from '../../lib/index.js';
import { makeCase } from '../support/cases.js';
import { expectSameBits } from '../support/compare.js';
import { runWell } from '../support/process.js';
import type { Typed } from '../support/tensors.js';

const before = getThreads();
afterAll(() => setThreads(before));

test('setThreads is what getThreads says', () => {
  for (const count of [1, 3, 256, 2]) {
    setThreads(count);
    expect(getThreads()).toBe(count);
  }
});

test('the same bits with any number of threads, also more than there are processors', () => {
  const c = makeCase({ C: 4, spatial: [200_003], options: { activation: 'softmax' } });
  setThreads(1);
  const one = c.loss.valueAndGrad(c.predictions, c.target);
  for (const count of [2, 7, 64]) {
    setThreads(count);
    const many = c.loss.valueAndGrad(c.predictions, c.target);
    for (const name of ['value', 'perClass', 'grad'] as const) {
      expectSameBits(name, many[name].data as Typed['data'], one[name].data as Typed['data']);
    }
  }
});

test('a failed call leaves the threads ready', () => {
  setThreads(4);
  const c = makeCase({ C: 2, spatial: [200_003], options: { activation: 'softmax' } });
  const { value } = c.loss.value(c.predictions, c.target);
  const bad = { ...c.target, data: c.target.data.slice().fill(9 as never) as Typed['data'] };
  for (let i = 0; i < 20; i++)
    expect(() => c.loss.value(c.predictions, bad)).toThrow('400006 other values');
  expect(
    new DiceLoss({ activation: 'softmax' }).value(c.predictions, c.target).value.itemSync(),
  ).toBe(value.itemSync());
});

test('WARPDICE_THREADS sets the number at the start', async () => {
  for (const count of ['1', '5']) {
    expect((await runWell('print-threads.mjs', { env: { WARPDICE_THREADS: count } })).trim()).toBe(
      count,
    );
  }
});
