// Numbers at the ends of their range: huge and infinite logits, probabilities of exactly 0 and 1, NaN, absent classes.
import { describe, expect, test } from '@jest/globals';
import { DiceCELoss, DiceFocalLoss, DiceLoss, JaccardLoss } from '../../lib/index.js';
import { type ReferenceOptions, reference } from '../reference/reference.js';
import type { Spec } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { everyNth } from '../support/in-this-run.js';
import { type LossKey, makeLoss } from '../support/losses.js';
import { Random } from '../support/random.js';
import { type DType, type FloatDType, full, numbers, sizeOf, tensor } from '../support/tensors.js';
import { expectSolution } from '../support/tolerance.js';

const floats: FloatDType[] = ['float32', 'float64', 'float16', 'bfloat16'];
const S = 203; // not a multiple of any vector

const some = everyNth(3);

/** Solves [2, C, S] with the given predictions and random labels both ways, for both losses and layouts. */
function compare(
  spec: Pick<Spec, 'dtype' | 'C'>,
  options: ReferenceOptions,
  next: (random: Random) => number,
): void {
  const { dtype = 'float32', C = 4 } = spec;
  for (const loss of ['dice', 'jaccard'] as const)
    for (const layout of ['channels-first', 'channels-last'] as const) {
      if (!some()) continue;
      const random = new Random(5);
      const shape = layout === 'channels-first' ? [2, C, S] : [2, S, C];
      const predictions = tensor(
        random.array(sizeOf(shape), () => next(random)),
        shape,
        dtype,
      );
      const labels = random.array(2 * S, () => random.integer(C === 1 ? 2 : C));
      const upstream = full([2, C], 1, 'float64');
      const outcome = makeLoss(loss, { ...options, layout }).valueAndGrad(
        predictions,
        tensor(labels, [2, S], 'uint8'),
        { gradScale: 50, ...(options.reduction === 'none' ? { upstream } : {}) },
      );
      const solution = reference({
        loss,
        N: 2,
        C,
        S,
        predictions: numbers(predictions),
        labels,
        gradScale: 50,
        options: { ...options, layout },
      });
      expectSolution(outcome, solution, dtype);
    }
}

const pick = (random: Random, from: readonly number[]) =>
  from[random.integer(from.length)] as number;

describe.each(floats)('%s', (dtype) => {
  test('logits of -1e4 to 1e4 among ordinary ones', () => {
    const next = (random: Random) =>
      random.integer(2) ? (2 * random.uniform() - 1) * 1e4 : random.normal();
    compare({ dtype }, { activation: 'softmax' }, next);
    compare({ dtype }, { activation: 'sigmoid' }, next);
    compare({ dtype, C: 1 }, { activation: 'sigmoid' }, next);
  });

  test('logits of exactly 1e4 and -1e4', () => {
    const next = (random: Random) => pick(random, [1e4, -1e4, 0]);
    compare({ dtype }, { activation: 'softmax' }, next);
    compare({ dtype }, { activation: 'sigmoid' }, next);
  });

  test('sigmoid: logits of 10 to 16, where 1 - p would have lost its digits', () => {
    const next = (random: Random) => (random.integer(2) ? 1 : -1) * (10 + 6 * random.uniform());
    compare({ dtype, C: 1 }, { activation: 'sigmoid' }, next);
    compare({ dtype }, { activation: 'sigmoid' }, next);
  });

  test('every power of two as a logit, both signs', () => {
    for (const activation of ['softmax', 'sigmoid'] as const) {
      let i = 0;
      compare({ dtype }, { activation }, () => (i++ % 2 ? 1 : -1) * 2 ** ((i % 30) - 15));
    }
  });

  test('softmax: a class at -Infinity is impossible and has no gradient', () => {
    const next = (random: Random) => (random.uniform() < 0.2 ? -Infinity : 3 * random.normal());
    // Five or more classes: at 203 voxels, all of them at once would not happen (0.2^8).
    compare({ dtype, C: 8 }, { activation: 'softmax' }, next);
    const loss = new DiceLoss({ activation: 'softmax' });
    const z = tensor([0, 1, -Infinity, 2, -1, -Infinity], [2, 3], dtype);
    const { grad } = loss.valueAndGrad(z, { data: Uint8Array.of(0, 1), shape: [2] });
    expect(numbers(grad)[2]).toBe(0);
    expect(numbers(grad)[5]).toBe(0);
    expect(numbers(grad)[0]).toBeLessThan(0);
  });

  test('sigmoid of an infinite logit is exactly 0 or 1', () => {
    const next = (random: Random) => pick(random, [Infinity, -Infinity, 0.5, -2]);
    compare({ dtype }, { activation: 'sigmoid' }, next);
    const z = tensor([Infinity, -Infinity, Infinity, -Infinity], [4], dtype);
    const target = { data: Uint8Array.of(1, 0, 1, 0), shape: [4] };
    const { value, grad } = new DiceLoss({
      activation: 'sigmoid',
      smoothDenominator: 0,
    }).valueAndGrad(z, target);
    expect(value.itemSync()).toBe(0);
    expect([...numbers(grad)].map(Math.abs)).toEqual([0, 0, 0, 0]);
  });

  test('probabilities of exactly 0 and 1', () => {
    compare({ dtype }, { activation: 'none' }, (random) => random.integer(2));
    const mask = tensor([1, 0, 1, 1, 0], [5], dtype);
    const dice = new DiceLoss({ smoothDenominator: 0 });
    expect(dice.value(mask, mask).value.itemSync()).toBe(0);
    const opposite = tensor([0, 1, 0, 0, 1], [5], dtype);
    expect(dice.value(mask, opposite).value.itemSync()).toBe(1);
    expect(new JaccardLoss({ smoothDenominator: 0 }).value(mask, opposite).value.itemSync()).toBe(
      1,
    );
  });

  // Where a NaN or +Infinity goes: the voxel, the class (none, sigmoid) or all classes (softmax) of its sample, no further.
  test.each([NaN, Infinity])('softmax: a logit of %d makes its sample NaN and no other', (bad) => {
    for (const position of [0, 7, 64, S - 1])
      for (const C of [2, 3, 19]) {
        let i = 0;
        compare({ dtype, C }, { activation: 'softmax', reduction: 'none' }, (random) =>
          i++ === position ? bad : random.normal(),
        );
      }
    const z = tensor([0, bad, 1, 2], [2, 2], dtype);
    const { value } = new DiceLoss({ activation: 'softmax' }).value(z, {
      data: Uint8Array.of(0, 1),
      shape: [2],
    });
    expect(value.itemSync()).toBeNaN();
  });

  test('softmax: all classes at -Infinity is NaN', () => {
    const z = tensor([-Infinity, -Infinity, 1, 2], [2, 2], dtype);
    const loss = new DiceLoss({ activation: 'softmax', reduction: 'none' });
    const target = { data: Uint8Array.of(0, 1), shape: [2] };
    const upstream = { data: new Float64Array(4).fill(1), shape: [2, 2] };
    const { value, grad } = loss.valueAndGrad(z, target, { upstream });
    expect([...value.data].map((x) => Number.isNaN(x))).toEqual([true, true, false, false]);
    expect([...numbers(grad)].map((x) => Number.isNaN(x))).toEqual([true, true, false, false]);
  });

  test.each(['none', 'sigmoid'] as const)(
    '%s: a NaN makes its class of its sample NaN',
    (activation) => {
      for (const position of [0, 7, 64, S - 1]) {
        let i = 0;
        compare({ dtype }, { activation, reduction: 'none' }, (random) =>
          i++ === position ? NaN : random.uniform(),
        );
      }
    },
  );
});

// Where every voxel is nearly decided, the terms of its gradient cancel: what is left is exact next to the terms,
// not next to itself.
describe('nearly decided voxels: the error of the gradient is small next to its terms', () => {
  /** Solves [1, C, S] both ways; the gradient with respect to the probabilities is what the terms are made of. */
  const compareTerms = (activation: 'none' | 'softmax', C: number, z: Float64Array) => {
    const random = new Random(3);
    const problem = {
      loss: 'dice' as const,
      N: 1,
      C,
      S: z.length / C,
      labels: random.array(z.length / C, () => random.integer(C)),
      options: { activation },
    };
    const target = tensor(problem.labels, [1, problem.S], 'uint8');
    for (const dtype of ['float32', 'float64'] as const) {
      const predictions = tensor(z, [1, C, problem.S], dtype);
      const solution = reference({ ...problem, predictions: numbers(predictions) });
      const [, P, T] = solution.statistics as unknown as [number, number, number];
      const term = 2 / (P + T) / C; // dL/dI of class 0; the others are much alike
      const { grad } = new DiceLoss({ activation }).valueAndGrad(predictions, target);
      expectClose(
        'grad',
        numbers(grad),
        solution.gradient,
        (dtype === 'float64' ? 4e-15 : 1e-6) * term,
      );
    }
  };

  test('softmax of logits of -1e4 to 1e4', () => {
    const random = new Random(4);
    compareTerms(
      'softmax',
      4,
      random.array(4 * S, () => (2 * random.uniform() - 1) * 1e4),
    );
  });

  test('probabilities that are the target, but for 1e-3', () => {
    const random = new Random(3);
    const labels = random.array(S, () => random.integer(3));
    const p = new Float64Array(3 * S).map((_, i) =>
      labels[i % S] === Math.floor(i / S) ? 0.999 : 0.001,
    );
    compareTerms('none', 3, p);
  });
});

test('NaN in a class that is not counted stays there', () => {
  const p = tensor([NaN, 0.5, 0.25, 0.75], [1, 2, 2]);
  const target = { data: Uint8Array.of(0, 1), shape: [1, 2] };
  for (const reduction of ['mean', 'sum'] as const) {
    const { value, perClass } = new DiceLoss({ background: false, reduction }).value(p, target);
    expect(value.itemSync()).toBeCloseTo(1 - 1.5 / (0.625 + 1), 6);
    expect(perClass.data[0]).toBeNaN();
    const counted = new DiceLoss({ reduction }).value(p, target);
    expect(counted.value.itemSync()).toBeNaN();
  }
});

describe('absent classes', () => {
  const classes = (value: { data: ArrayLike<number | bigint> }) => [...numbers(value)];
  const loss = new DiceLoss({ reduction: 'none' });
  const upstream = { data: new Float64Array(2).fill(1), shape: [1, 2] };

  test('no target voxel: loss 1, and a gradient only where there is a prediction', () => {
    const p = tensor([0.5, 0, 0.5, 0.25], [1, 2, 2], 'float64');
    const target = { data: Uint8Array.of(1, 1), shape: [1, 2] };
    const { value, grad } = loss.valueAndGrad(p, target, { upstream });
    expect(classes(value)[0]).toBe(1);
    expect([...numbers(grad)].slice(0, 2)).toEqual([0, 0]); // 2I = 0, so dL/dP = 0 as well
  });

  test('neither target nor prediction: loss 1, also without eps', () => {
    const p = tensor([0, 0, 1, 1], [1, 2, 2], 'float32');
    const target = { data: Uint8Array.of(1, 1), shape: [1, 2] };
    expect(classes(loss.value(p, target).value)[0]).toBe(1);
    const bare = new DiceLoss({ reduction: 'none', smoothDenominator: 0 });
    expect(classes(bare.value(p, target).value)[0]).toBe(1);
    const smooth = new DiceLoss({ reduction: 'none', smoothNumerator: 1, smoothDenominator: 1 });
    expect(classes(smooth.value(p, target).value)[0]).toBe(0);
  });
});

test('values near 0 keep their digits', () => {
  // p = t but for 1e-4: the loss is about 1e-8 and must be within 1e-7 of it.
  const n = 10_000;
  const p = new Float32Array(n).map((_, i) => (i % 2 ? 1 - 1e-4 : 1e-4));
  const t = new Uint8Array(n).map((_, i) => i % 2);
  const { value } = new DiceLoss().value({ data: p, shape: [n] }, { data: t, shape: [n] });
  const expected = reference({ loss: 'dice', N: 1, C: 1, S: n, predictions: p, labels: t });
  expect(Math.abs(value.itemSync() - (expected.value[0] as number))).toBeLessThanOrEqual(1e-7);
});

// Cross-entropy and focal loss are computed from logits, so that their values are exact up to logits of 1e37 in float32.
describe('large logits', () => {
  const S = 200;

  test.each([
    ['float32', 1e37],
    ['bfloat16', 1e37],
    ['float64', 1e305],
  ] as const)('%s: %d', (dtype, large) => {
    const values = Float64Array.from({ length: 2 * S }, (_, i) => (i < S ? large : -large));
    const wrong = full([1, S], 1, 'uint8');
    const rounded = numbers(tensor([large], [1], dtype))[0] as number;

    // Softmax: -log p = z_0 - z_1. Sigmoid: both classes are wrong, each by |z|.
    const z = tensor(values, [1, 2, S], dtype);
    for (const Class of [DiceCELoss, DiceFocalLoss]) {
      const { parts, grad } = new Class().valueAndGrad(z, wrong);
      const [, entropy, focal] = parts?.data ?? [];
      const sum = entropy || (focal as number) * 2; // the focal loss is a mean over classes too
      expect((sum as number) / (2 * rounded)).toBeCloseTo(1, 6);
      expect(numbers(grad).every(Number.isFinite)).toBe(true);
    }
    const { parts } = new DiceCELoss({ activation: 'sigmoid' }).value(z, wrong);
    expect((parts?.data[1] as number) / rounded).toBeCloseTo(1, 6);
  });
});

// Dense masks and a sigmoid that is sure of them. Near t = 1 the gradient is made of 1 - p, which p itself has lost: it has the
// digits that labels have.
describe('saturated masks', () => {
  const [N, C, S] = [2, 2, 203];
  const random = new Random(7);
  const labels = random.array(N * S, () => random.integer(C));
  const voxelWeights = random.array(N * S, () => random.integer(3));
  const sure = random.array(N * C * S, () => 10 + 6 * random.uniform());

  const layouts = ['channels-first', 'channels-last'] as const;
  const floats: FloatDType[] = ['float32', 'float64', 'float16'];
  const targetDtypes: DType[] = ['uint8', 'float32', 'bfloat16'];

  function solve(key: LossKey, dtype: FloatDType, layout: 'channels-first', weighted: boolean) {
    const first = layout === 'channels-first';
    const [shape, mask] = [first ? [N, C, S] : [N, S, C], new Float64Array(N * C * S)];
    for (let i = 0; i < N * S; i++) {
      const [n, s, c] = [Math.floor(i / S), i % S, labels[i] as number];
      mask[first ? (n * C + c) * S + s : i * C + c] = 1;
    }
    const x = tensor(
      sure.map((z, i) => (mask[i] === 1 ? z : -z)),
      shape,
      dtype,
    );
    const weight = tensor(voxelWeights, [N, S], 'uint8');
    const loss = makeLoss(key, { activation: 'sigmoid', layout });
    const solved = (target: ReturnType<typeof tensor>) =>
      loss.valueAndGrad(x, target, {
        ...(dtype === 'float16' && { gradDtype: 'float32' as const }),
        ...(weighted && { weight }),
      });
    const byLabels = solved(tensor(labels, [N, S], 'uint8'));
    const problem = {
      loss: 'dice' as const,
      ...{ N, C, S, predictions: numbers(x), dense: mask },
      ...(weighted && { weight: voxelWeights }),
    };
    return { byLabels, byMask: (type: DType) => solved(tensor(mask, shape, type)), problem };
  }

  describe.each(floats)('%s', (dtype) => {
    test.each(['dice', 'jaccard', 'diceFocal'] as const)('%s: as with labels', (key) => {
      for (const layout of layouts)
        for (const weighted of [false, true]) {
          const { byLabels, byMask } = solve(key, dtype, layout as 'channels-first', weighted);
          const expected = numbers(byLabels.grad);
          const most = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
          expect(most).toBeGreaterThan(0);
          for (const type of targetDtypes) {
            const { grad } = byMask(type);
            expectClose(
              'grad',
              numbers(grad),
              expected,
              (dtype === 'float64' ? 1e-13 : 1e-6) * most,
            );
          }
        }
    });

    test('cross-entropy: as exact as ever', () => {
      for (const layout of layouts)
        for (const weighted of [false, true]) {
          const given = solve('diceCE', dtype, layout as 'channels-first', weighted);
          const options = { activation: 'sigmoid', layout, crossEntropy: {} } as const;
          const solution = reference({ ...given.problem, options });
          expectSolution(given.byLabels, solution, dtype);
          for (const type of targetDtypes) expectSolution(given.byMask(type), solution, dtype);
        }
    });
  });
});
