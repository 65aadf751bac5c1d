// A weight in the shape of the predictions: each class of a voxel has a weight of its own.
import { describe, expect, test } from '@jest/globals';
import { CrossEntropyLoss, DeepSupervision, DiceLoss, type Tensor } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { makeCase, type Spec } from '../support/cases.js';
import { check } from '../support/check.js';
import { expectClose } from '../support/compare.js';
import { inThisRun } from '../support/in-this-run.js';
import { activationsOf, cells, lossKeys } from '../support/losses.js';
import { numbers, type Typed, tensor } from '../support/tensors.js';

const layouts = ['channels-first', 'channels-last'] as const;
const weights = ['uint8', 'float32', 'float64', 'float16', 'bfloat16'] as const;
const dtypes = ['float32', 'float64', 'float16', 'bfloat16'] as const;
const S = 301;
/** Parts of a compound loss that take turns. */
const parts = [
  {},
  { crossEntropy: { labelSmoothing: 0.1 } },
  { focal: { gamma: 0.5 } },
  { crossEntropy: {}, focal: {} },
];

describe.each(weights)('%s weight per class and voxel', (weight) => {
  test('weighs each class by itself', () => {
    let seed = 0;
    for (const layout of layouts)
      for (const activation of ['none', 'sigmoid', 'softmax'] as const)
        for (const target of ['labels', 'dense'] as const)
          for (const C of [2, 3, 4, 19])
            for (const ignored of [0, 0.3]) {
              const ignore = ignored && target === 'labels' ? { ignoreIndex: 99 } : {};
              seed++;
              if (!inThisRun()) continue;
              const compound = activation === 'none' ? {} : parts[seed % parts.length];
              check({
                weight,
                weightOfClasses: true,
                C,
                target,
                ignored,
                spatial: [[31], [1], [S], [601]][seed % 4] as number[],
                dtype: dtypes[seed % 4] as 'float32',
                gradDtype: seed % 4 === 1 ? 'float64' : 'float32',
                options: { layout, activation, ...ignore, ...compound },
              });
            }
  });

  test('0 for all classes of a voxel hides NaN; without softmax 0 for the class is enough', () => {
    for (const layout of layouts)
      for (const activation of ['none', 'sigmoid', 'softmax'] as const)
        for (const bad of [NaN, Infinity, -Infinity])
          for (const loss of ['dice', 'diceFocal'] as const) {
            if (activation === 'none' && loss === 'diceFocal') continue;
            expectHidden(
              {
                loss,
                C: 3,
                spatial: [S],
                weight,
                weightOfClasses: true,
                options: { layout, activation },
              },
              bad,
              ({ weight, problem: { C } }) => {
                const w = numbers(weight as Tensor);
                const first = layout === 'channels-first';
                const weightOf = (c: number, n: number, s: number) =>
                  w[first ? (n * C + c) * S + s : (n * S + s) * C + c];
                const classes = Array.from({ length: C }, (_, c) => c);
                return Array.from(w, (own, i) => {
                  const n = Math.floor(i / (C * S));
                  const s = first ? i % S : Math.floor(i / C) % S;
                  if (activation !== 'softmax') return own === 0;
                  return classes.every((c) => weightOf(c, n, s) === 0);
                });
              },
            );
          }
  });
});

test.each(lossKeys)('%s: a weight per class and voxel, with every option', (key) => {
  let seed = 0;
  for (const { key: other, variant } of cells) {
    if (other !== key) continue;
    for (const activation of activationsOf({ key, variant })) {
      for (const target of ['labels', 'dense'] as const) {
        seed++;
        if (!inThisRun()) continue;
        check({
          loss: key,
          weight: weights[seed % weights.length] as 'float32',
          weightOfClasses: true,
          target,
          dtype: seed % 2 ? 'float64' : 'float32',
          seed,
          spatial: [seed % 3 ? 33 : 130],
          options: {
            ...variant,
            activation,
            layout: layouts[seed % 2] as 'channels-first',
            ...(seed % 3 && { batch: true }),
          },
        });
      }
    }
  }
});

describe('what has no weight is not read', () => {
  // 2 samples, 3 classes, 700 voxels. Voxels with s % 5 < 2 have no weights, or only class 1 has none.
  const [N, C, voxels] = [2, 3, 700];
  const z = Array.from({ length: N * C * voxels }, (_, i) => Math.sin(i * i));
  const place = (last: boolean, n: number, c: number, s: number) =>
    last ? (n * voxels + s) * C + c : (n * C + c) * voxels + s;
  const arrange = (last: boolean, value: (n: number, c: number, s: number) => number) => {
    const all = new Array<number>(N * C * voxels);
    for (let n = 0; n < N; n++)
      for (let c = 0; c < C; c++)
        for (let s = 0; s < voxels; s++) all[place(last, n, c, s)] = value(n, c, s);
    return tensor(all, last ? [N, voxels, C] : [N, C, voxels], 'uint8');
  };
  const hidden = (s: number) => s % 5 < 2;

  test.each(layouts)('%s: labels of voxels, and values of a mask', (layout) => {
    const last = layout === 'channels-last';
    const loss = new DiceLoss({ activation: 'sigmoid', layout });
    const x = tensor(z, last ? [N, voxels, C] : [N, C, voxels]);
    const labels = (bad: (s: number) => boolean) =>
      tensor(
        Array.from({ length: N * voxels }, (_, i) => (bad(i % voxels) ? 255 : i % C)),
        [N, voxels],
        'uint8',
      );
    const none = { weight: arrange(last, (_n, _c, s) => (hidden(s) ? 0 : 1)) };
    const some = { weight: arrange(last, (_n, c, s) => (hidden(s) && c === 1 ? 0 : 1)) };
    const right = loss.valueAndGrad(
      x,
      labels(() => false),
      none,
    );
    const wrong = loss.valueAndGrad(x, labels(hidden), none);
    expect(wrong.value.itemSync()).toBe(right.value.itemSync());
    expect(numbers(wrong.grad)).toEqual(numbers(right.grad));
    expect(() => loss.value(x, labels(hidden), some)).toThrow('received 560 other values');
    const mask = (bad: (c: number, s: number) => boolean) =>
      arrange(last, (_n, c, s) => (bad(c, s) ? 7 : (c + s) % 2));
    const clean = loss
      .value(
        x,
        mask(() => false),
        some,
      )
      .value.itemSync();
    expect(
      loss
        .value(
          x,
          mask((c, s) => c === 1 && hidden(s)),
          some,
        )
        .value.itemSync(),
    ).toBe(clean);
    expect(() =>
      loss.value(
        x,
        mask((c, s) => c === 2 && s === 600),
        some,
      ),
    ).toThrow(/7/);
  });
});

test('equal weights of all classes are a weight per voxel', () => {
  const c = makeCase({ spatial: [S], weight: 'float64', options: { activation: 'softmax' } });
  const w = numbers(c.weight as Tensor);
  const ofClasses = Array.from({ length: 2 * 3 * S }, (_, i) => {
    return w[Math.floor(i / (3 * S)) * S + (i % S)] as number;
  });
  const one = c.loss.valueAndGrad(c.predictions, c.target, { weight: c.weight as Tensor });
  const each = c.loss.valueAndGrad(c.predictions, c.target, {
    weight: tensor(ofClasses, [2, 3, S], 'float64'),
  });
  expect(each.value.itemSync()).toBeCloseTo(one.value.itemSync(), 6);
  expectClose('grad', numbers(each.grad), numbers(one.grad), 1e-8);
});

test('partial annotation by hand', () => {
  // p = (1/2, 1/2), (1/4, 3/4). Class 1 of voxel 0 is not annotated.
  const z = tensor([0, 0, 0, Math.log(3)], [1, 2, 2], 'float64');
  const y = tensor([0, 1], [1, 2], 'uint8');
  const weight = tensor([1, 1, 0, 1], [1, 2, 2], 'uint8');
  const dice = new DiceLoss({ activation: 'softmax', smoothDenominator: 0 });
  // Class 0: I = 1/2, P = 1/4 + 1/16, T = 1. Class 1, voxel 1 alone: I = 3/4, P = 9/16, T = 1.
  const [first, second] = numbers(dice.value(z, y, { weight }).perClass);
  expect(first).toBeCloseTo(1 - 1 / 1.3125, 14);
  expect(second).toBeCloseTo(1 - 1.5 / 1.5625, 14);
  // The cross-entropy of a voxel has the weight of the target's class: here 1 for both, or none of voxel 0.
  const entropy = new CrossEntropyLoss();
  const value = (weight: Typed) => entropy.value(z, y, { weight }).value.itemSync();
  expect(value(weight)).toBeCloseTo((Math.log(2) + Math.log(4 / 3)) / 2, 14);
  expect(value(tensor([0, 1, 1, 1], [1, 2, 2], 'uint8'))).toBeCloseTo(Math.log(4 / 3), 14);
});

test('a weight per class and voxel: every way to call it', async () => {
  const c = makeCase({
    loss: 'diceCE',
    weight: 'float32',
    weightOfClasses: true,
    target: 'dense',
    dtype: 'float64',
    spatial: [8, 8],
  });
  const { loss, predictions: x, target: y, weight } = c;
  const options = { weight: weight as Typed };
  const { value, grad } = loss.valueAndGrad(x, y, options);
  const sums = loss.statistics(x, y, options);
  expectClose('statistics', sums.data, reference(c.problem).statistics, 1e-9);
  expect(loss.fromStatistics(sums).value.itemSync()).toBe(value.itemSync());
  expect(numbers(loss.gradient(x, y, sums, options))).toEqual(numbers(grad));
  const later = await loss.valueAndGradAsync(x, y, options);
  expect(numbers(later.grad)).toEqual(numbers(grad));
  expect(numbers(loss.plan(x, y, options).execute().grad)).toEqual(numbers(grad));
  const ofTarget = numbers(loss.targetGradient(x, y, sums, options));
  expectClose('target gradient', ofTarget, reference(c.problem).targetGradient, 1e-8); // float32
  const scales = new DeepSupervision(loss, [1, 1]);
  const coarse = makeCase({ loss: 'diceCE', dtype: 'float64', spatial: [4, 4] }).predictions;
  // Voxel (1, 1) of each 2 x 2 is that of the coarse target and weight.
  const middle = (t: Typed) => {
    const all = numbers(t);
    const at = Array.from({ length: 6 * 16 }, (_, i) => {
      const [plane, row, column] = [Math.floor(i / 16), Math.floor(i / 4) % 4, i % 4];
      return all[plane * 64 + (2 * row + 1) * 8 + 2 * column + 1] as number;
    });
    return tensor(at, [2, 3, 4, 4], t.dtype);
  };
  const both = scales.valueAndGrad([x, coarse], y, options);
  const small = loss.valueAndGrad(coarse, middle(y), { weight: middle(weight as Typed) });
  expect(both.value.itemSync()).toBeCloseTo(value.itemSync() + small.value.itemSync(), 12);
  expectClose('grad', numbers((both.scales[1] as { grad: Tensor }).grad), numbers(small.grad), 0);
});

/**
 * Poisons the predictions that `hidden` names, and their values of a dense target: value and gradient must stay as they were, and
 * the gradient there must be exactly 0.
 */
function expectHidden(
  spec: Spec,
  bad: number,
  hidden: (c: ReturnType<typeof makeCase>) => boolean[],
): void {
  const c = makeCase(spec);
  const { C, S } = c.problem;
  const last = spec.options?.layout === 'channels-last';
  for (let i = 0; c.weight && i < c.weight.data.length; i++) {
    // Float weights are never 0 by chance.
    const s = last && spec.weightOfClasses ? Math.floor(i / C) % S : i % S;
    if (s >= 10 && s < 60) c.weight.data[i] = 0;
  }
  const isHidden = hidden(c);
  expect(isHidden).toContain(true);
  expect(isHidden).toContain(false);
  const voxelOf = (i: number) =>
    isHidden.length === 2 * C * S
      ? i
      : spec.options?.layout === 'channels-last'
        ? Math.floor(i / C)
        : Math.floor(i / (C * S)) * S + (i % S);
  const poisoned = {
    ...c.predictions,
    data: Float32Array.from(numbers(c.predictions), (x, i) => (isHidden[voxelOf(i)] ? bad : x)),
  };
  const weight = c.weight ? { weight: c.weight } : {};
  const clean = c.loss.valueAndGrad(c.predictions, c.target, weight);
  const dirty = c.loss.valueAndGrad(poisoned, c.target, weight);
  expect(dirty.value.itemSync()).toBe(clean.value.itemSync());
  const [a, b] = [numbers(dirty.grad), numbers(clean.grad)];
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] || (isHidden[voxelOf(i)] && a[i] !== 0)) {
      throw new Error(`${JSON.stringify(spec)}, ${bad}: grad[${i}] is ${a[i]}, without it ${b[i]}`);
    }
  }
}
