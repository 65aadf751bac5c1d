// Sizes at which a call is done in parts: many samples in turn, and gradients that are larger than the caches.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { callOptions, gradOptions, makeCase, type Spec } from '../support/cases.js';
import { check } from '../support/check.js';
import { expectSameBits } from '../support/compare.js';
import { everyNth, inThisRun, newMatrix } from '../support/in-this-run.js';
import { named } from '../support/named.js';
import type { Typed } from '../support/tensors.js';
import { expectSolution } from '../support/tolerance.js';

const layouts = ['channels-first', 'channels-last'] as const;

describe('many samples', () => {
  const specs: Spec[] = [
    {
      N: 9,
      C: 3,
      spatial: [70_003],
      options: { activation: 'softmax', reduction: 'none' },
      weight: 'uint8',
    },
    { N: 9, C: 3, spatial: [70_003], options: { activation: 'softmax', layout: 'channels-last' } },
    {
      N: 40,
      C: 1,
      spatial: [50_021],
      options: { activation: 'sigmoid', ignoreIndex: 7 },
      ignored: 0.1,
    },
    {
      N: 9,
      C: 2,
      spatial: [100_003],
      options: { activation: 'softmax', batch: true },
      target: 'dense',
    },
    { N: 11, C: 2, spatial: [100_003], options: {}, dtype: 'bfloat16', gradDtype: 'float32' },
  ];

  test.each(named(specs).filter(inThisRun))('%s', (_, spec) => {
    const c = makeCase(spec);
    const options = gradOptions(c);
    const outcome = c.loss.valueAndGrad(c.predictions, c.target, options);
    expectSolution(outcome, reference(c.problem), spec.dtype ?? 'float32');
    if (spec.gradDtype === undefined) {
      c.loss.valueAndGrad(c.predictions, c.target, { ...options, out: { grad: c.predictions } });
      expectSameBits('in place', c.predictions.data, outcome.grad.data as Typed['data']);
    }
  });

  test('a label out of range in the last sample: nothing is written, in place too', () => {
    const c = makeCase({ N: 9, C: 3, spatial: [70_003], options: { activation: 'softmax' } });
    c.target.data[c.target.data.length - 1] = 3;
    const before = c.predictions.data.slice() as Typed['data'];
    const call = () =>
      c.loss.valueAndGrad(c.predictions, c.target, { out: { grad: c.predictions } });
    expect(call).toThrow('the first 3 at index 630026');
    expectSameBits('predictions', c.predictions.data, before);
  });
});

// More than 32 MB of gradient, compared with what the same voxels give in tiles. Views that begin `offset` elements into their
// buffer; sizes of which some are whole cache lines and some are not.
describe('gradients larger than the caches', () => {
  const cases = [
    { C: 3, S: 3_000_017, offset: 1, activation: 'softmax', type: Float32Array },
    { C: 1, S: 9_000_001, offset: 0, activation: 'sigmoid', type: Float32Array },
    { C: 1, S: 9_000_001, offset: 5, activation: 'sigmoid', type: Float32Array },
    { C: 3, S: 3_000_016, offset: 0, activation: 'softmax', type: Float32Array },
    { C: 3, S: 3_000_016, offset: 3, activation: 'softmax', type: Float32Array },
    { C: 2, S: 2_500_008, offset: 1, activation: 'softmax', type: Float64Array },
    { C: 1, S: 9_000_001, offset: 2, activation: 'none', type: Float32Array },
  ] as const;

  test.each(named(cases).filter(newMatrix()))('%s', (_, { C, S, offset, activation, type }) => {
    const view = (fill?: (i: number) => number) => {
      const data = new type(C * S + offset + 16).fill(7).subarray(offset, offset + C * S);
      if (fill) for (let i = 0; i < data.length; i++) data[i] = fill(i);
      return data;
    };
    const x = { data: view((i) => ((i * 7919) % 1000) / 1001), shape: [1, C, S] };
    const labels = new Uint8Array(S + 1).subarray(1);
    for (let s = 0; s < S; s++) labels[s] = (s * 31) % (C === 1 ? 2 : C);
    const y = { data: labels, shape: [1, S] };
    const loss = new DiceLoss({ activation });
    const grad = { data: view(), shape: [1, C, S] };
    loss.valueAndGrad(x, y, { out: { grad } });
    const around = new type(grad.data.buffer);
    const margins = [...around.subarray(0, offset), ...around.subarray(offset + C * S)];
    expect(margins).toEqual(new Array(offset + 16).fill(7));

    const statistics = loss.statistics(x, y);
    for (let from = 0; from < S; from += 400_009) {
      const size = Math.min(400_009, S - from);
      const rows = Array.from({ length: C }, (_, c) => c * S + from);
      const data = new type(C * size);
      rows.forEach((row, c) => {
        data.set(x.data.subarray(row, row + size), c * size);
      });
      const tile = { data, shape: [1, C, size] };
      const expected = loss.gradient(
        tile,
        { data: labels.subarray(from, from + size), shape: [1, size] },
        statistics,
      );
      rows.forEach((row, c) => {
        const part = (expected.data as Float32Array).subarray(c * size, (c + 1) * size);
        expectSameBits(`class ${c} from voxel ${from}`, grad.data.subarray(row, row + size), part);
      });
    }
  });
});

test('many classes', () => {
  const some = everyNth(3);
  for (const C of [256, 600])
    for (const layout of layouts)
      for (const targetDtype of C === 256
        ? (['uint8', 'int32'] as const)
        : (['int32', 'int64'] as const)) {
        if (!some()) continue;
        const spec: Spec = {
          N: 2,
          C,
          spatial: [101],
          targetDtype,
          options: { activation: 'softmax', layout },
        };
        check(spec);
        check({
          ...spec,
          ignored: 0.3,
          options: { ...spec.options, ignoreIndex: -7 },
          targetDtype: 'int64',
        });
        const c = makeCase(spec);
        expect(c.loss.value(c.predictions, c.target, callOptions(c)).perClass.shape).toEqual([
          2,
          C,
        ]);
      }
});

test('weights of a batch that is done in parts: each sample as alone', () => {
  const [N, C, S] = [9, 3, 150_003];
  const options = { activation: 'softmax', reduction: 'sum' } as const;
  const c = makeCase({ N, C, spatial: [S], options, weight: 'float32' });
  const whole = c.loss.valueAndGrad(c.predictions, c.target, gradOptions(c));
  const part = (from: Typed, n: number, classes: number) => ({
    data: from.data.slice(n * classes * S, (n + 1) * classes * S) as Typed['data'],
    shape: classes > 1 ? [1, classes, S] : [1, S],
  });
  for (const n of [0, 4, 8]) {
    const weight = part(c.weight as Typed, n, 1);
    const alone = c.loss.valueAndGrad(part(c.predictions, n, C), part(c.target, n, 1), { weight });
    const grad = part(whole.grad as Typed, n, C);
    expectSameBits(`sample ${n}`, grad.data, alone.grad.data as Typed['data']);
  }
});

test('more partial sums than are kept at once: each sample has the sums that it has alone', () => {
  // A sample has 16 runs of 1024 sums, 1 MB; 16 samples of these are added up at a time.
  const [N, C, S] = [17, 1024, 2048];
  const data = new Uint16Array(N * C * S); // bfloat16 from 1 to 2
  for (let i = 0; i < data.length; i++) data[i] = 0x3f80 + ((i * 5) % 113);
  const labels = Int32Array.from({ length: N * S }, (_, i) => (i * 7) % C);
  const loss = new DiceLoss({ activation: 'softmax' });
  const sumsOf = (first: number, count: number) =>
    loss.statistics(
      {
        data: data.subarray(first * C * S, (first + count) * C * S),
        shape: [count, C, S],
        dtype: 'bfloat16',
      },
      { data: labels.subarray(first * S, (first + count) * S), shape: [count, S] },
    ).data as Float64Array;
  const all = sumsOf(0, N);
  for (const n of [0, 15, 16]) {
    const size = all.length / N;
    expectSameBits(`sample ${n}`, all.subarray(n * size, (n + 1) * size), sumsOf(n, 1));
  }
});
