// Every overlap loss of the family and its options on numbers that can be worked out by hand, as its doc comment does,
// and those with a cross-entropy or a focal loss.
import { describe, expect, test } from '@jest/globals';
import {
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  JaccardLoss,
  type Loss,
  type LossOptions,
  MatthewsLoss,
  type Tensor,
  TverskyLoss,
  UnifiedFocalLoss,
} from '../../lib/index.js';
import { close, exact } from '../support/closeness.js';
import { numbers, tensor } from '../support/tensors.js';

const { log, cosh } = Math;

// I = 2.4, sum p = 2.7, sum p^2 = 1.99, T = 3.
const p = tensor([0.9, 0.8, 0.2, 0.7, 0.1], [5], 'float64');
const t = tensor([1, 1, 0, 1, 0], [5], 'uint8');
const binary = (loss: Loss) => loss.value(p, t).value.itemSync();

test('Tversky', () => {
  // False positives .2 + .1, false negatives .1 + .2 + .3.
  const r = 2.4 / (2.4 + 0.3 * 0.3 + 0.7 * 0.6);
  expect(binary(new TverskyLoss({ alpha: 0.3, beta: 0.7, ...exact }))).toBeCloseTo(1 - r, 14);
  expect(binary(new TverskyLoss({ alpha: 0.3, beta: 0.7 }))).toBeCloseTo(0.175257766, 7);
});

test('Tversky: 1/2 and 1/2 is Dice, 1 and 1 is Jaccard, in both denominators', () => {
  for (const denominator of ['linear', 'squared'] as const) {
    const options = { denominator, ...exact };
    expect(binary(new TverskyLoss(options))).toBeCloseTo(binary(new DiceLoss(options)), 14);
    const ones = new TverskyLoss({ alpha: 1, beta: 1, ...options });
    expect(binary(ones)).toBeCloseTo(binary(new JaccardLoss(options)), 14);
  }
});

test('focal Tversky', () => {
  const r = 2.4 / (2.4 + 0.3 * 0.3 + 0.7 * 0.6);
  const loss = new TverskyLoss({ alpha: 0.3, beta: 0.7, gamma: 4 / 3, ...exact });
  expect(binary(loss)).toBeCloseTo((1 - r) ** 0.75, 14);
});

test('transforms of Dice', () => {
  const D = 4.8 / 4.99;
  expect(binary(new DiceLoss({ transform: 'log', ...exact }))).toBeCloseTo(-log(D), 14);
  const exponential = new DiceLoss({ transform: 'log', gamma: 0.3, ...exact });
  expect(binary(exponential)).toBeCloseTo((-log(D)) ** 0.3, 14);
  const logCosh = new DiceLoss({ transform: 'log-cosh', ...exact });
  expect(binary(logCosh)).toBeCloseTo(log(cosh(1 - D)), 14);
});

test.each([
  { gamma: 4 / 3 },
  { gamma: 0.5 },
  { transform: 'log' },
  { transform: 'log', gamma: 0.3 },
  { transform: 'log-cosh' },
] as const)('a perfect match without smoothing, r = 1: %j is 0 with gradient 0', (options) => {
  const mask = tensor([1, 0, 1], [3], 'float64');
  for (const Class of [DiceLoss, JaccardLoss, TverskyLoss, GeneralizedDiceLoss]) {
    const { value, grad } = new Class({ ...options, ...exact }).valueAndGrad(mask, mask);
    close(numbers(value), 0);
    close(numbers(grad), 0, 0, 0);
  }
});

describe('Matthews', () => {
  // Class 0: TP 1.75, FP .5, FN .25, TN .5. Class 1: TP .5, FP .25, FN .5, TN 1.75.
  const x = tensor([0.75, 0.5, 1, 0.25, 0.5, 0], [1, 2, 3], 'float64');
  const y = tensor([0, 1, 0], [1, 3], 'uint8');
  const [A0, X0, Y0] = [1.75 * 0.5 - 0.5 * 0.25, 2.25 * 0.75, 2];
  const [A1, X1, Y1] = [0.5 * 1.75 - 0.25 * 0.5, 0.75 * 2.25, 2];
  const at = (options: object, target = y) => {
    const { value, perClass } = new MatthewsLoss(options).value(x, target);
    return [value.itemSync(), ...numbers(perClass)];
  };

  test('of one class', () => {
    // Its doc comment.
    const loss = new MatthewsLoss().value(
      tensor([0.75, 0.5, 0.25, 0], [4], 'float64'),
      tensor([1, 1, 0, 0], [4], 'uint8'),
    );
    expect(loss.value.itemSync()).toBeCloseTo(0.4836022205, 9);
    expect(binary(new MatthewsLoss())).toBeCloseTo(
      1 - (2.4 * 1.7 - 0.3 * 0.6) / Math.sqrt(2.7 * 2.3 * 3 * 2),
      14,
    );
  });

  test('macro, micro, multiclass', () => {
    const [r0, r1] = [A0 / Math.sqrt(X0 * Y0), A1 / Math.sqrt(X1 * Y1)];
    close(at({}), 1 - (r0 + r1) / 2, 1 - r0, 1 - r1);
    const micro = 1 - (2.25 * 2.25 - 0.75 * 0.75) / Math.sqrt(3 * 3 * 3 * 3);
    close(at({ average: 'micro' }), micro, micro, micro);
    const [a, b] = [1, 3];
    const multiclass = 1 - (a * A0 + b * A1) / Math.sqrt((a * X0 + b * X1) * (a * Y0 + b * Y1));
    close(at({ average: 'multiclass', classWeights: [a, b] }), multiclass, multiclass, multiclass);
  });

  test('a perfect prediction is 0, its opposite 2, a class that is everywhere or nowhere 1', () => {
    const mask = tensor([1, 0, 1], [3], 'float64');
    const other = tensor([0, 1, 0], [3], 'uint8');
    const full = tensor([1, 1, 1], [3], 'uint8');
    const loss = new MatthewsLoss();
    expect(loss.value(mask, mask).value.itemSync()).toBeCloseTo(0, 14);
    expect(loss.value(mask, other).value.itemSync()).toBeCloseTo(2, 14);
    const { value, grad } = loss.valueAndGrad(mask, full);
    expect(value.itemSync()).toBe(1);
    close(numbers(grad), 0, 0, 0);
    const none = tensor([0, 0, 0], [1, 3], 'uint8');
    close(at({}, none), 1, 1, 1);
    close(at({ absent: 'perfect' }, none), 0.5, 1, 0);
  });
});

describe('Unified Focal', () => {
  const third = log(4 / 3);
  const z = tensor([0, 0, 0, log(3)], [1, 2, 2], 'float64'); // p = (1/2, 1/2), (1/4, 3/4)
  const y = tensor([0, 1], [1, 2], 'uint8');
  const of = (options: object) => new UnifiedFocalLoss({ ...exact, ...options }).value(z, y);
  const [r0, r1] = [0.5 / (0.5 + 0.6 * 0.5 + 0.4 * 0.25), 0.75 / (0.75 + 0.6 * 0.25 + 0.4 * 0.5)];

  test('asymmetric: its doc comment', () => {
    const [T, E, F] = [
      (1 - r0 + (1 - r1) ** 0.5) / 2,
      (0.6 * third) / 2,
      (0.4 * 0.5 ** 0.5 * log(2)) / 2,
    ];
    const { value, parts } = of({});
    expect(value.itemSync()).toBeCloseTo(0.3442953478, 9);
    close(numbers(parts as Tensor), T, E, F);
    const weighted = of({ classWeights: [2, 3], lambda: 0.25 });
    const expected = 0.75 * (1 - r0 + 1.5 * (1 - r1) ** 0.5) + 0.25 * (3 * E + 2 * F);
    expect(weighted.value.itemSync()).toBeCloseTo(expected, 14);
  });

  test('symmetric', () => {
    const T = ((1 - r0) ** 0.75 + (1 - r1) ** 0.75) / 2;
    const F = (0.4 * 0.5 ** 0.25 * log(2) + 0.6 * 0.25 ** 0.25 * third) / 2;
    const { value, parts } = of({ asymmetric: false, gamma: 0.25, lambda: 0.75 });
    expect(value.itemSync()).toBeCloseTo(0.75 * F + 0.25 * T, 14);
    close(numbers(parts as Tensor), T, 0, F);
  });

  test('lambda 0 is the focal Tversky loss, and the symmetric loss with gamma 0 is Tversky and cross-entropy', () => {
    const tversky = (gamma: number) =>
      new TverskyLoss({ ...exact, activation: 'softmax', alpha: 0.4, beta: 0.6, gamma })
        .value(z, y)
        .value.itemSync();
    const focal = of({ lambda: 0, asymmetric: false });
    expect(focal.parts).toBeUndefined();
    expect(focal.value.itemSync()).toBeCloseTo(tversky(2), 14);
    const plain = of({ gamma: 0, delta: 0.6, asymmetric: false }).value.itemSync();
    expect(plain).toBeCloseTo((tversky(1) + (0.4 * log(2) + 0.6 * third) / 2) / 2, 14);
  });
});

describe('generalized Dice', () => {
  // Class 0: I = 1.75, sum p = 2.25, V = 2. Class 1: I = .5, sum p = .75, V = 1.
  const x = tensor([0.75, 0.5, 1, 0.25, 0.5, 0], [1, 2, 3], 'float64');
  const y = tensor([0, 1, 0], [1, 3], 'uint8');
  const value = (options: object) =>
    new GeneralizedDiceLoss({ ...exact, ...options }).value(x, y).value.itemSync();

  test('square, simple, uniform', () => {
    expect(value({})).toBeCloseTo(1 / 3, 14);
    expect(value({ weighting: 'simple' })).toBeCloseTo(1 - 2.75 / (4.25 / 2 + 1.75), 14);
    expect(value({ weighting: 'uniform' })).toBeCloseTo(1 - 4.5 / 6, 14);
  });

  test('one number per sample and, for every class, that number', () => {
    const loss = new GeneralizedDiceLoss({ reduction: 'none', ...exact });
    const { value, perClass } = loss.value(x, y);
    expect(value.shape).toEqual([1]);
    close(numbers(value), 1 / 3);
    close(numbers(perClass), 1 / 3, 1 / 3);
    const pooled = new GeneralizedDiceLoss({ reduction: 'none', batch: true, ...exact });
    expect(pooled.value(x, y).value.shape).toEqual([]);
    close(numbers(pooled.value(x, y).perClass), 1 / 3, 1 / 3);
  });

  test('V is sum t, whatever power the denominator has', () => {
    // Class 0: I = 1.625, sum p^2 = 1.8125, sum t^2 = 1.5, V = 2. Class 1: .375, .3125, .5 and 1.
    const soft = tensor([0.5, 0.5, 1, 0.5, 0.5, 0], [1, 2, 3], 'float64');
    const loss = new GeneralizedDiceLoss({ denominator: 'squared', weighting: 'simple', ...exact });
    const A = 1.625 / 2 + 0.375;
    const B = (1.8125 + 1.5) / 2 + (0.3125 + 0.5);
    expect(loss.value(x, soft).value.itemSync()).toBeCloseTo(1 - (2 * A) / B, 14);
  });

  test('an absent class weighs as much as the heaviest present one, or nothing', () => {
    const only0 = tensor([0, 0, 0], [1, 3], 'uint8'); // V = 3, so w_0 = w_1 = 1/9
    const at = (options: object) =>
      new GeneralizedDiceLoss({ ...exact, ...options }).value(x, only0).value.itemSync();
    expect(at({})).toBeCloseTo(1 - 4.5 / (2.25 + 3 + 0.75), 14);
    expect(at({ absent: 'skip' })).toBeCloseTo(1 - 4.5 / (2.25 + 3), 14);
  });

  test('an absent class with negative predictions: their minimum with t = 0 counts in I', () => {
    // Class 0: I = 1.25, sum p = 1.25, V = 2. Class 1: I = -1/128, sum p = 1/2 - 1/128. Both weigh 1/4, the second three times.
    const x = tensor([0.75, 0.5, -1 / 128, 0.5], [1, 2, 2], 'float64');
    const only0 = tensor([0, 0], [1, 2], 'uint8');
    const loss = new GeneralizedDiceLoss({ overlap: 'minimum', classWeights: [1, 3], ...exact });
    const { value, grad } = loss.valueAndGrad(x, only0);
    const [A, B] = [2 * (1.25 - 3 / 128), 3.25 + 3 * (0.5 - 1 / 128)];
    expect(value.itemSync()).toBeCloseTo(1 - A / B, 14);
    const [dI, dP] = [-2 / B, A / B ** 2];
    close(numbers(grad), dI + dP, dI + dP, 3 * (dI + dP), 3 * dP);
  });

  test('no class present: all weigh 1', () => {
    const none = tensor([0, 0, 0, 0, 0, 0], [1, 2, 3], 'float64');
    const loss = new GeneralizedDiceLoss({ smoothNumerator: 1, smoothDenominator: 1 });
    expect(loss.value(x, none).value.itemSync()).toBeCloseTo(1 - 1 / (2.25 + 0.75 + 1), 14);
  });

  test('a trace of a class weighs no more than one whole voxel', () => {
    const soft = tensor([1, 1, 1 - 1e-12, 0, 0, 1e-12], [1, 2, 3], 'float64');
    const at = new GeneralizedDiceLoss(exact).value(x, soft).value.itemSync();
    expect(at).toBeCloseTo(1 - 4.5 / 9 / (5.25 / 9 + 0.75), 11);
  });
});

describe('the minimum as overlap', () => {
  const soft = tensor([0.5, 0.75, 0.25, 1, 0], [5], 'float64');
  const at = (loss: Loss, x = p) => loss.value(x, soft).value.itemSync();

  test('Dice and Jaccard', () => {
    // min: .5, .75, .2, .7, 0: I = 2.15; sum p = 2.7, sum t = 2.5.
    const options = { overlap: 'minimum', ...exact } as const;
    expect(at(new DiceLoss(options))).toBeCloseTo(1 - 4.3 / 5.2, 14);
    expect(at(new JaccardLoss(options))).toBeCloseTo(1 - 2.15 / 3.05, 14);
  });

  test('is 0 where p = t, where the product is not', () => {
    const options = { overlap: 'minimum', ...exact } as const;
    expect(at(new DiceLoss(options), soft)).toBe(0);
    expect(at(new JaccardLoss(options), soft)).toBe(0);
    expect(at(new DiceLoss({ denominator: 'linear', ...exact }), soft)).toBeGreaterThan(0.2);
  });

  test('is the product for a mask', () => {
    const minimum = new DiceLoss({ overlap: 'minimum', ...exact });
    expect(binary(minimum)).toBeCloseTo(1 - 4.8 / 5.7, 14);
  });

  test('is the product for a mask, with the same gradient where p is exactly 0 or 1 too', () => {
    const x = tensor([0, 1, 0, 1, 0.5, 0, 0], [1, 1, 7], 'float64');
    for (const mask of [
      [0, 1, 1, 0, 1, 0, 1],
      [0, 0, 0, 0, 0, 0, 0],
    ]) {
      const y = tensor(mask, [1, 7], 'uint8');
      const minimum = new DiceLoss({ overlap: 'minimum' }).valueAndGrad(x, y);
      const product = new DiceLoss({ denominator: 'linear' }).valueAndGrad(x, y);
      expect(minimum.value.data).toEqual(product.value.data);
      close(numbers(minimum.grad), ...numbers(product.grad));
    }
  });

  test('at p = t the derivative of the minimum is t', () => {
    const loss = new DiceLoss({ overlap: 'minimum', ...exact });
    const half = tensor([0.5], [1], 'float64');
    // r = 2I/(P+T) = 1: dL/dp = -2/(P+T)*[p<t] + 1/(P+T)
    expect(numbers(loss.valueAndGrad(half, half).grad)[0]).toBeCloseTo(-2 * 0.5 + 1, 14);
    const quarter = tensor([0.25], [1], 'float64');
    expect(numbers(loss.valueAndGrad(quarter, quarter).grad)[0]).toBeCloseTo(-4 * 0.25 + 2, 14);
    const below = loss.valueAndGrad(tensor([0.25], [1], 'float64'), half).grad;
    expect(numbers(below)[0]).toBeCloseTo(-2 / 0.75 + 0.5 / 0.75 ** 2, 14);
  });
});

// Dice beside a cross-entropy and a focal loss, on numbers that can be worked out by hand.
describe('compound losses', () => {
  const { log } = Math;

  describe('Dice and cross-entropy', () => {
    // p = (1/2, 1/2), (1/4, 3/4).
    const z = tensor([0, 0, 0, log(3)], [1, 2, 2], 'float64');
    const y = tensor([0, 1], [1, 2], 'uint8');
    const [D0, D1] = [1 / (5 / 16 + 1), 1.5 / (13 / 16 + 1)];
    const dice = 1 - (D0 + D1) / 2;
    const solve = (options: LossOptions = {}) =>
      new DiceCELoss({ ...exact, ...options }).value(z, y);

    test('value and parts', () => {
      const ce = (log(2) + log(4 / 3)) / 2;
      const { value, parts } = solve();
      close(numbers(value), dice + ce);
      expect(parts?.shape).toEqual([3]);
      close(numbers(parts as never), dice, ce, 0);
    });

    test('weights of the parts', () => {
      const ce = (log(2) + log(4 / 3)) / 2;
      const { value, parts } = solve({ overlapWeight: 0.5, crossEntropy: { weight: 3 } });
      close(numbers(value), 0.5 * dice + 3 * ce);
      close(numbers(parts as never), dice, ce, 0);
    });

    test('class weights serve both parts; the cross-entropy divides by them', () => {
      const { parts } = solve({ classWeights: [1, 3] });
      const overlap = (1 - D0 + 3 * (1 - D1)) / 2;
      close(numbers(parts as never), overlap, (log(2) + 3 * log(4 / 3)) / 4, 0);
    });

    test('without background the cross-entropy keeps class 0', () => {
      const { parts } = solve({ background: false });
      close(numbers(parts as never), 1 - D1, (log(2) + log(4 / 3)) / 2, 0);
    });

    test('a weight of NaN makes every part NaN, not 0', () => {
      const weight = tensor([NaN, 1], [1, 2], 'float64');
      for (const Class of [DiceCELoss, DiceFocalLoss]) {
        const { parts } = new Class({ overlapWeight: 0 }).value(z, y, { weight });
        expect(numbers(parts as never).filter(Number.isNaN)).toHaveLength(2);
      }
    });

    test('label smoothing', () => {
      const { parts } = solve({ crossEntropy: { labelSmoothing: 0.2 } });
      // Targets .9 and .1.
      const ce = log(2) + 0.1 * log(4) + 0.9 * log(4 / 3);
      close(numbers(parts as never), dice, ce / 2, 0);
    });

    test('sigmoid: the binary cross-entropy of every class', () => {
      const { parts } = solve({ activation: 'sigmoid' });
      // Logits 0, 0 for class 0 with mask 1, 0; logits 0, log 3 for class 1 with mask 0, 1: p = 1/2, 1/2, 1/2, 3/4.
      const ce = (3 * log(2) + log(4 / 3)) / 4;
      expect(numbers(parts as never)[1]).toBeCloseTo(ce, 14);
    });

    test("reduction 'none' is one number per sample, with the parts of each", () => {
      const two = tensor([0, 0, 0, log(3), 0, 0, 0, 0], [2, 2, 2], 'float64');
      const labels = tensor([0, 1, 0, 1], [2, 2], 'uint8');
      const loss = new DiceCELoss({ reduction: 'none', ...exact });
      const { value, parts, perClass } = loss.value(two, labels);
      const first = (log(2) + log(4 / 3)) / 2;
      const half = 1 - 1 / 1.5;
      expect([value.shape, parts?.shape, perClass.shape]).toEqual([[2], [2, 3], [2, 2]]);
      close(numbers(parts as never), dice, first, 0, half, log(2), 0);
      close(numbers(value), dice + first, half + log(2));
      close(numbers(perClass), 1 - D0, 1 - D1, half, half);
    });

    test('any loss can have one', () => {
      const loss = new JaccardLoss({ activation: 'softmax', crossEntropy: {}, ...exact });
      const jaccard = 1 - (D0 / (2 - D0) + D1 / (2 - D1)) / 2;
      close(numbers(loss.value(z, y).parts as never), jaccard, (log(2) + log(4 / 3)) / 2, 0);
      expect(
        new JaccardLoss({ activation: 'softmax', ...exact }).value(z, y).parts,
      ).toBeUndefined();
    });
  });

  describe('Dice and focal loss', () => {
    const z = tensor([0, 0, 0, log(3)], [1, 2, 2], 'float64');
    const y = tensor([0, 1], [1, 2], 'uint8');
    const dice = 1 - (1 / (5 / 16 + 1) + 1.5 / (13 / 16 + 1)) / 2;
    const solve = (options: LossOptions = {}) =>
      new DiceFocalLoss({ ...exact, ...options }).value(z, y);

    test('softmax', () => {
      const focal = (log(2) / 4 + log(4 / 3) / 16) / 4;
      const { value, parts } = solve();
      close(numbers(parts as never), dice, 0, focal);
      close(numbers(value), dice + focal);
    });

    test('gamma 0 is the cross-entropy over voxels and classes; weights of the parts', () => {
      const focal = (log(2) + log(4 / 3)) / 4;
      const { value, parts } = solve({ focal: { gamma: 0, weight: 2 }, overlapWeight: 0.5 });
      close(numbers(parts as never), dice, 0, focal);
      close(numbers(value), dice / 2 + 2 * focal);
    });

    test('sigmoid: each class on its own', () => {
      // p = 1/2 (mask 1), 1/2 (0); 1/2 (0), 3/4 (1): three times (1/2)^2 log 2, once (1/4)^2 log 4/3
      const focal = ((3 * log(2)) / 4 + log(4 / 3) / 16) / 4;
      expect(numbers(solve({ activation: 'sigmoid' }).parts as never)[2]).toBeCloseTo(focal, 14);
    });

    test('with a cross-entropy too', () => {
      const ce = (log(2) + log(4 / 3)) / 2;
      const focal = (log(2) / 4 + log(4 / 3) / 16) / 4;
      const { value, parts } = solve({ crossEntropy: { weight: 3 } });
      close(numbers(parts as never), dice, ce, focal);
      close(numbers(value), dice + 3 * ce + focal);
    });
  });
});
