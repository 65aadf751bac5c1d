// What the tests of losses without sums share: every way to call one, what a peer said of recorded cases, slopes by differences.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { type DirectLoss, getThreads, setThreads } from '../../lib/index.js';
import { expectClose } from './compare.js';
import { numbers, onShared, type Typed, tensor } from './tensors.js';

/** Defines a test: value, the Async forms, plans and shared memory give the bits of valueAndGrad. */
export function testEveryCall(loss: DirectLoss, x: Typed, y: Typed): void {
  test('value, Async, plan, shared memory: the same bits', async () => {
    const whole = loss.valueAndGrad(x, y);
    const value = whole.value.itemSync();
    expect(loss.value(x, y).value.itemSync()).toBe(value);
    expect((await loss.valueAsync(x, y)).value.itemSync()).toBe(value);
    for (const change of [(t: Typed) => t, onShared]) {
      const later = await loss.valueAndGradAsync(change(x), change(y));
      expect(later.value.itemSync()).toBe(value);
      expect(later.grad.data).toEqual(whole.grad.data);
    }
    const plan = loss.plan(x, y);
    expect(plan.execute().value.itemSync()).toBe(value);
    expect(plan.grad.data).toEqual(whole.grad.data);
    expect(plan.bind(x, y).execute().grad.data).toEqual(whole.grad.data);
  });
}

interface Classified {
  /** [N, C, S] */
  x: Float64Array;
  /** [N, S] */
  labels: ArrayLike<number>;
}

/** The predictions with the classes last, [N, S, C], and a mask of the labels for each class, [N, C, S]. */
export function otherForms({ x, labels }: Classified, N: number, C: number, S: number) {
  const last = new Float64Array(N * C * S);
  const masks = new Float64Array(N * C * S);
  for (let n = 0; n < N; n++)
    for (let c = 0; c < C; c++)
      for (let s = 0; s < S; s++) {
        last[(n * S + s) * C + c] = x[(n * C + c) * S + s] as number;
        masks[(n * C + c) * S + s] = labels[n * S + s] === c ? 1 : 0;
      }
  return { last, masks };
}

/** The loss has the same bits on one and on four threads. */
export function expectSameOnThreads(loss: DirectLoss, x: Typed, y: Typed): void {
  const before = getThreads();
  const [one, four] = [1, 4].map((threads) => {
    setThreads(threads);
    const { value, grad } = loss.valueAndGrad(x, y);
    return [value.itemSync(), grad.data];
  });
  setThreads(before);
  expect(four).toEqual(one);
}

interface RecordedCase<Options> {
  options: Options;
  shape: [number, number, ...number[]];
  x: number[];
  labels: number[];
  value: number;
  gradient: number[];
}

/** Defines a test for each case of test/peers/<name>, or of the file that a variable of the environment names. */
export function testRecordedCases<Options>(
  name: string,
  variable: string,
  make: (options: Options) => DirectLoss,
  within: number,
): void {
  const file = process.env[variable] ?? path.join(__dirname, '../peers', name);
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: RecordedCase<Options>[] };
  test.each(cases.map((one, i) => [`case ${i}, ${one.shape}`, one] as const))('%s', (_, one) => {
    const [n, , ...size] = one.shape;
    const { value, grad } = make(one.options).valueAndGrad(
      tensor(one.x, one.shape, 'float64'),
      tensor(one.labels, [n, ...size], 'uint8'),
    );
    expect(Math.abs(value.itemSync() - one.value)).toBeLessThan(within);
    expectClose('grad', numbers(grad), one.gradient, within);
  });
}

/** Compares every `stride`-th number of the gradient with central differences of the value. */
export function expectSlopes<Problem extends { x: Float64Array }>(
  problem: Problem,
  value: (problem: Problem) => number,
  grad: ArrayLike<number | bigint>,
  stride: number,
): void {
  const step = 1e-6;
  for (let i = 0; i < problem.x.length; i += stride) {
    const at = (shift: number) => {
      const x = Float64Array.from(problem.x);
      x[i] = (x[i] as number) + shift;
      return value({ ...problem, x });
    };
    const slope = (at(step) - at(-step)) / (2 * step);
    expect(Math.abs((grad[i] as number) - slope)).toBeLessThan(1e-8);
  }
}
