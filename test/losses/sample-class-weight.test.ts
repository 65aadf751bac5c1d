// sampleClassWeight: against the reference, numbers by hand, and what it means: how often the class of a sample counts.
import { describe, expect, test } from '@jest/globals';
import {
  CrossEntropyLoss,
  DeepSupervision,
  DiceCELoss,
  DiceLoss,
  GeneralizedWassersteinDiceLoss,
  LovaszLoss,
  linearLogits,
  type Statistics,
  type Tensor,
} from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { check } from '../support/check.js';
import { expectClose } from '../support/compare.js';
import { expectSlopes } from '../support/direct.js';
import { inThisRun } from '../support/in-this-run.js';
import { activationsOf, cells } from '../support/losses.js';
import { Random } from '../support/random.js';
import { full, numbers, sizeOf, type Typed, tensor } from '../support/tensors.js';

const takes = cells
  .filter(({ key }) => key !== 'wasserstein')
  .map((cell) => ({
    loss: cell.key,
    options: { ...cell.variant, activation: activationsOf(cell).at(-1) },
  }));

describe('the reference', () => {
  describe.each([false, true])('batch: %p', (batch) => {
    test.each(['mean', 'sum', 'none'] as const)('every loss, %s', (reduction) => {
      for (const [i, { loss, options }] of takes.entries())
        for (const target of ['labels', 'dense'] as const)
          for (const more of [
            {},
            { options: { classWeights: [0.5, 2, 3] }, weight: 'float32' },
            { options: { absent: 'skip', layout: 'channels-last' }, missing: 1 },
          ] as Spec[]) {
            if (!inThisRun()) continue;
            check({
              loss,
              N: 3,
              target,
              dtype: i % 2 ? 'float64' : 'float32',
              sampleClassWeight: i % 2 ? 'float32' : 'float64',
              ...more,
              options: { ...more.options, ...options, reduction, batch },
            } as Spec);
          }
    });

    test('one class, one sample, many samples, masks', () => {
      for (const [N, C] of [
        [1, 1],
        [7, 1],
        [1, 3],
        [40, 2],
      ] as const)
        check({
          N,
          C,
          spatial: [17],
          sampleClassWeight: 'uint8',
          options: { activation: 'sigmoid', batch, crossEntropy: {}, focal: {} },
        });
    });
  });
});

test('finite differences', () => {
  const [N, C, S] = [2, 3, 5];
  const [z, labels] = [logits([N, C, S]), labelsOf([N, S], C)];
  const sampleClassWeight = tensor([1, 0, 0.5, 2, 0, 0], [N, C]);
  for (const batch of [false, true]) {
    const loss = new DiceCELoss({ batch, focal: {} });
    const { grad } = loss.valueAndGrad(z, labels, { sampleClassWeight });
    expectSlopes(
      { x: numbers(z) },
      ({ x }) =>
        loss.value(tensor(x, z.shape, 'float64'), labels, { sampleClassWeight }).value.itemSync(),
      numbers(grad),
      1,
    );
  }
});

/** Two samples of two classes, p = t but for a miss. */
const p = tensor([0.5, 0, 1, 0, 1, 0, 1, 1], [2, 2, 2], 'float64');
const t = tensor([1, 0, 1, 1, 1, 0, 1, 1], [2, 2, 2], 'float64');

test('by hand', () => {
  const loss = new DiceLoss({ smoothDenominator: 0 });
  // Dice losses: 1 - 2*0.5/(0.25 + 1) = 1/5 and 1 - 2/(1 + 2) = 1/3 of sample 0; 0 and 0 of sample 1.
  const value = (a: number[], of = loss) =>
    of.value(p, t, { sampleClassWeight: tensor(a, [2, 2]) }).value;
  expect(value([1, 1, 1, 1]).itemSync()).toBeCloseTo((1 / 5 + 1 / 3) / 4, 14);
  expect(value([1, 0, 1, 1]).itemSync()).toBeCloseTo(1 / 5 / 3, 14);
  expect(value([3, 1, 0, 0]).itemSync()).toBeCloseTo((3 / 5 + 1 / 3) / 4, 14);
  expect(value([0, 0, 0, 0]).itemSync()).toBe(0);
  const sum = new DiceLoss({ smoothDenominator: 0, reduction: 'sum' });
  expect(value([3, 0.5, 9, 9], sum).itemSync()).toBeCloseTo(3 / 5 + 0.5 / 3, 14);
  const none = new DiceLoss({ smoothDenominator: 0, reduction: 'none' });
  expectClose(
    'none',
    value([3, 0.5, 9, 9], none).data as Float64Array,
    [3 / 5, 0.5 / 3, 0, 0],
    1e-14,
  );
  // Pooled: class 0 of sample 1 counts twice, I = 0.5 + 2, P = 0.25 + 2, T = 1 + 2; class 1 of neither.
  const pooled = new DiceLoss({ smoothDenominator: 0, batch: true });
  expect(value([1, 0, 2, 0], pooled).itemSync()).toBeCloseTo(1 - 5 / 5.25, 14);
});

const random = new Random(11);
const logits = (shape: readonly number[]) =>
  tensor(
    random.array(sizeOf(shape), () => 2 * random.normal()),
    shape,
    'float64',
  );
const labelsOf = (shape: readonly number[], C: number) =>
  tensor(
    random.array(sizeOf(shape), () => random.integer(C)),
    shape,
    'uint8',
  );
const [N, C, S] = [3, 4, 61];
const x = logits([N, C, S]);
const y = labelsOf([N, S], C);

/** Samples, each so often. */
const repeated = (from: Typed, times: readonly number[]) => {
  const size = sizeOf(from.shape.slice(1));
  const all = numbers(from);
  const rows = times.flatMap((n, i) =>
    Array.from({ length: n }, () => [...all.subarray(i * size, (i + 1) * size)]),
  );
  return tensor(rows.flat(), [rows.length, ...from.shape.slice(1)], from.dtype);
};

describe('a sample of weight 2 is two samples, and one of weight 0 is none', () => {
  const times = [2, 0, 1];
  const weights = tensor(
    times.flatMap((n) => new Array(C).fill(n)),
    [N, C],
    'uint8',
  );
  test.each([
    ['Dice', new DiceLoss({ activation: 'softmax' })],
    ['Dice, pooled', new DiceLoss({ activation: 'softmax', batch: true })],
    ['skip', new DiceLoss({ activation: 'softmax', absent: 'skip', classWeights: [1, 2, 0, 3] })],
    ['Dice and cross-entropy', new DiceCELoss()],
    ['Dice and cross-entropy, pooled', new DiceCELoss({ batch: true, activation: 'sigmoid' })],
    ['cross-entropy', new CrossEntropyLoss({ labelSmoothing: 0.1, classWeights: [1, 2, 3, 4] })],
  ])('%s', (_, loss) => {
    const given = loss.valueAndGrad(x, y, { sampleClassWeight: weights });
    const wanted = loss.valueAndGrad(repeated(x, times), repeated(y, times));
    expect(given.value.itemSync()).toBeCloseTo(wanted.value.itemSync(), 12);
    const grad = numbers(wanted.grad);
    const at = (n: number, i: number) => grad[n * C * S + i] as number;
    const own = Array.from({ length: C * S }, (_, i) => [at(0, i) + at(1, i), at(2, i)]);
    const sums = [...own.map(([a]) => a), ...new Array(C * S).fill(0), ...own.map(([, b]) => b)];
    expectClose('gradient', numbers(given.grad), sums as number[], 1e-12);
  });
});

test('weight 0 removes a term that is infinite or NaN, and its gradient', () => {
  const broken = full([1, 2, 4], 0.25, 'float64');
  broken.data.fill(Number.NaN as never, 4);
  const target = tensor([0, 0, 0, 0, 1, 1, 1, 1], [1, 2, 4], 'uint8');
  for (const batch of [false, true]) {
    const loss = new DiceLoss({ activation: 'sigmoid', crossEntropy: {}, focal: {}, batch });
    const { value, grad } = loss.valueAndGrad(broken, target, {
      sampleClassWeight: tensor([1, 0], [1, 2]),
    });
    expect(value.itemSync()).toBeGreaterThan(0);
    expect(numbers(grad).slice(0, 4).every(Number.isFinite)).toBe(true);
  }
});

describe('other calls', () => {
  const sampleClassWeight = tensor([1, 0, 2, 0.5, 0, 0, 1, 0, 3, 1, 1, 0], [N, C], 'float32');
  const loss = new DiceCELoss();
  const wanted = loss.valueAndGrad(x, y, { sampleClassWeight });

  test('value, Async, a plan that reads them again', async () => {
    expect(loss.value(x, y, { sampleClassWeight }).value.data).toEqual(wanted.value.data);
    const later = await loss.valueAndGradAsync(x, y, { sampleClassWeight });
    expect(later.grad.data).toEqual(wanted.grad.data);
    for (const dtype of ['float32', 'float64', 'uint8'] as const) {
      const weights = full([N, C], 1, dtype);
      const plan = loss.plan(x, y, { sampleClassWeight: weights });
      expect(plan.execute().value.itemSync()).toBeCloseTo(loss.value(x, y).value.itemSync(), 12);
      (weights.data as Float64Array).set(numbers(sampleClassWeight));
      const now = loss.valueAndGrad(x, y, { sampleClassWeight: weights });
      expect(plan.bind(x, y).execute().grad.data).toEqual(now.grad.data);
      weights.data[5] = -1 as never;
      if (dtype === 'uint8') continue;
      expect(() => plan.execute()).toThrow(
        'Expected finite numbers >= 0 for sampleClassWeight but received -1: it is at index 5',
      );
    }
  });

  test('linearLogits', () => {
    const head = linearLogits(logits([N, 5, S]), logits([C, 5]), logits([C]));
    const composed = head.features.data as Float64Array;
    const [w, b] = [numbers(head.weight as Tensor), numbers(head.bias as Tensor)];
    const z = Float64Array.from({ length: N * C * S }, (_, i) => {
      const [n, c, s] = [Math.floor(i / C / S), Math.floor(i / S) % C, i % S];
      return [0, 1, 2, 3, 4].reduce(
        (sum, k) => sum + (w[c * 5 + k] as number) * (composed[(n * 5 + k) * S + s] as number),
        b[c] as number,
      );
    });
    for (const batch of [false, true]) {
      const of = new DiceCELoss({ batch });
      const given = of.valueAndGrad(head, y, { sampleClassWeight });
      const direct = of.valueAndGrad(tensor(z, [N, C, S], 'float64'), y, { sampleClassWeight });
      expect(given.value.itemSync()).toBeCloseTo(direct.value.itemSync(), 12);
      const grad = numbers(direct.grad);
      const bias = Array.from({ length: C }, (_, c) =>
        grad.reduce((sum, g, i) => sum + (Math.floor(i / S) % C === c ? g : 0), 0),
      );
      expectClose('bias', numbers(given.grad.bias as Tensor), bias, 1e-12);
    }
  });

  test('DeepSupervision', () => {
    const scales = [logits([N, C, 8]), logits([N, C, 4])];
    const target = labelsOf([N, 8], C);
    const deep = new DeepSupervision(loss, [1, 0.5]).valueAndGrad(scales, target, {
      sampleClassWeight,
    });
    const first = loss.valueAndGrad(scales[0] as Typed, target, { sampleClassWeight });
    expect(deep.scales[0]?.grad.data).toEqual(first.grad.data);
  });

  test('an allReduce hook: two halves of every sample, and two halves of the batch', () => {
    for (const batch of [false, true]) {
      const whole = new DiceCELoss({ batch }).valueAndGrad(x, y, { sampleClassWeight });
      // The other rank has the same voxels, so that sums double: with means nothing changes.
      const allReduce = (own: Statistics) => own.add(own);
      const twice = new DiceCELoss({ batch, allReduce, smoothDenominator: 2e-7 });
      const given = twice.valueAndGrad(x, y, { sampleClassWeight });
      expect(given.value.itemSync()).toBeCloseTo(whole.value.itemSync(), 12);
    }
    // A class that this rank does not count, but another one does.
    const one = new DiceLoss({ batch: true, smoothDenominator: 0, activation: 'softmax' });
    const rank = (n: number) =>
      tensor(numbers(x).slice(n * C * S, (n + 1) * C * S), [1, C, S], 'float64');
    const map = (n: number) => tensor(numbers(y).slice(n * S, (n + 1) * S), [1, S], 'uint8');
    const theirs = one.statistics(rank(1), map(1));
    const reducing = new DiceLoss({
      batch: true,
      smoothDenominator: 0,
      activation: 'softmax',
      allReduce: (own) => own.add(theirs),
    });
    const given = reducing.value(rank(0), map(0), { sampleClassWeight: full([1, C], 0) });
    expect(given.value.itemSync()).toBeCloseTo(one.value(rank(1), map(1)).value.itemSync(), 12);
  });
});

describe('wrong ones', () => {
  const loss = new DiceLoss({ activation: 'softmax' });
  test.each<[string, object, string]>([
    ['another shape', full([C, N], 1), 'sampleClassWeight'],
    ['a flat array', full([N * C], 1), 'sampleClassWeight'],
    [
      'int32',
      full([N, C], 1, 'int32'),
      'Expected dtype float64, float32 or uint8 for sampleClassWeight',
    ],
    [
      'NaN',
      full([N, C], Number.NaN),
      'Expected finite numbers >= 0 for sampleClassWeight but received NaN',
    ],
    ['-1', full([N, C], -1), 'Expected finite numbers >= 0 for sampleClassWeight but received -1'],
    ['Infinity', full([N, C], Infinity), 'but received Infinity'],
    ['a number', 3 as never, 'sampleClassWeight'],
  ])('%s', (_, sampleClassWeight, message) => {
    const options = { sampleClassWeight: sampleClassWeight as Typed };
    expect(() => loss.value(x, y, options)).toThrow(message);
    expect(() => loss.plan(x, y, options)).toThrow(message);
  });

  test('what cannot take it', () => {
    const options = { sampleClassWeight: full([N, C], 1) };
    const any = options as object;
    const distances = Array.from({ length: C }, (_, i) =>
      Array.from({ length: C }, (_, j) => Number(i !== j)),
    );
    const wasserstein = new GeneralizedWassersteinDiceLoss({ activation: 'softmax', distances });
    expect(() => wasserstein.value(x, y, options)).toThrow(
      'sampleClassWeight cannot be combined with GeneralizedWassersteinDiceLoss: its classes are no terms of their own; pass a weight per voxel',
    );
    const reproducible = new DiceLoss({ activation: 'softmax', batch: true, reproducible: true });
    expect(() => reproducible.value(x, y, options)).toThrow(
      'sampleClassWeight cannot be combined with reproducible: true with batch: true',
    );
    for (const call of [() => loss.statistics(x, y, any), () => loss.statisticsAsync(x, y, any)])
      expect(call).toThrow(
        'sampleClassWeight cannot be combined with statistics(): sums do not hold it; pass it to fromStatistics() and gradient()',
      );
    const pooled = new DiceLoss({ activation: 'softmax', batch: true });
    const sums = pooled.statistics(x, y);
    for (const call of [
      () => pooled.fromStatistics(sums, options),
      () => pooled.gradient(x, y, sums, options),
      () => pooled.gradientAsync(x, y, sums, options),
      () => pooled.targetGradient(x, full([N, C, S], 0.25), sums, options),
    ])
      expect(call).toThrow(
        'sampleClassWeight cannot be combined with batch: true in a call that takes statistics: it would change the sums; make them with a weight of the classes, [N, C, ...]',
      );
    for (const call of [
      () => new LovaszLoss().value(x, y, any),
      () => new LovaszLoss().plan(x, y, any),
      () => new DiceLoss(any),
    ])
      expect(call).toThrow(
        "Unknown option 'sampleClassWeight': calls of the losses of sums take it, as value(predictions, target, options)",
      );
  });

  test('results over them', () => {
    const weights = full([N, C], 1, 'float64');
    const reduction = 'none';
    const each = new DiceLoss({ activation: 'softmax', reduction });
    expect(() => each.value(x, y, { sampleClassWeight: weights, out: { value: weights } })).toThrow(
      'sampleClassWeight',
    );
  });
});

test('makeCase gives weights of which some are 0', () => {
  const { sampleClassWeight } = makeCase({ N: 3, sampleClassWeight: 'float64' });
  expect(new Set(numbers(sampleClassWeight as Typed)).size).toBeGreaterThan(2);
});

// Their sums do not fit the memory that a call may take, so the samples are computed in parts.
test('the mean of many samples is their sum by the sum of the weights', () => {
  const [N, C] = [90_000, 2];
  const random = new Random(5);
  const x = tensor(
    random.array(N * C, () => 4 * random.uniform() - 2),
    [N, C, 1],
  );
  const y = tensor(
    random.array(N, () => random.integer(C)),
    [N, 1],
    'uint8',
  );
  const weights = Float64Array.from({ length: N * C }, (_, i) => (i < N ? 1 : 3));
  const sampleClassWeight = tensor(weights, [N, C], 'float64');
  const of = (reduction: 'mean' | 'sum') =>
    new DiceLoss({ activation: 'softmax', reduction }).valueAndGrad(x, y, { sampleClassWeight });
  const [mean, sum] = [of('mean'), of('sum')];
  const total = 2 * N * C;
  expect(mean.value.itemSync()).toBeCloseTo(sum.value.itemSync() / total, 10);
  const wanted = Float64Array.from(sum.grad.data as Float64Array, (g) => g / total);
  expectClose('grad', mean.grad.data as Float64Array, wanted, 1e-6);
});
