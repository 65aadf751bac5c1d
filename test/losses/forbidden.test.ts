// A class of weight 0 contributes nothing, whatever its loss: value, parts and gradients of the others are as if it were
// finite. So does any other part that weighs 0.
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceCELoss,
  DiceLoss,
  GeneralizedDiceLoss,
  JaccardLoss,
  Tensor,
} from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { callOptions, gradOptions } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { forbiddenCase, forbiddenCells } from '../support/forbidden.js';
import { everyNth } from '../support/in-this-run.js';
import { numbers } from '../support/tensors.js';
import { expectSolution, gradTolerance } from '../support/tolerance.js';

const some = everyNth(5);

describe.each(['softmax', 'sigmoid'] as const)('%s', (activation) => {
  describe.each(forbiddenCells)('$key $variant', (cell) => {
    test.each(['labels', 'dense'] as const)('%s', (target) => {
      for (let i = 0; i < 12; i++) {
        if (!some()) continue;
        const c = forbiddenCase(cell, activation, target, i);
        const { loss, predictions, problem, spec, upstream } = c;
        const { dtype = 'float32', options = {} } = spec;
        const expected = reference(problem);
        const outcome = loss.valueAndGrad(predictions, c.target, gradOptions(c));
        expectSolution(outcome, expected, dtype, options.classWeights);
        expect(numbers(outcome.value).every(Number.isFinite)).toBe(true);
        expect(numbers(outcome.grad).every(Number.isFinite)).toBe(true);

        const statistics = loss.statistics(predictions, c.target, callOptions(c));
        const { value, parts } = loss.fromStatistics(statistics);
        expect([...value.data]).toEqual([...outcome.value.data]);
        expect(parts?.data).toEqual(outcome.parts?.data);

        if (target === 'labels') continue;
        const slope = loss.targetGradient(predictions, c.target, statistics, {
          ...callOptions(c),
          ...(upstream && { upstream }),
        });
        const near = gradTolerance('float32', expected.targetGradient); // the dtype of the target
        expectClose('targetGrad', numbers(slope), expected.targetGradient, near);
        expect(numbers(slope).every(Number.isFinite)).toBe(true);
      }
    });
  });
});

test('by hand: two classes of weight 1 and 0, the second forbidden everywhere', () => {
  const loss = new DiceCELoss({ classWeights: [1, 0], overlapWeight: 0 });
  const z = Tensor.from(Float64Array.of(0, 0, -Infinity, -Infinity), [1, 2, 2]);
  const { value, grad, parts } = loss.valueAndGrad(z, Tensor.from(Uint8Array.of(0, 1), [1, 2]));
  expect(value.itemSync()).toBe(0); // p_0 = 1
  expect(parts?.data[1]).toBe(0);
  expect([...numbers(grad)].map(Math.abs)).toEqual([0, 0, 0, 0]);
});

test('a class of weight 0 whose overlap is 0/0', () => {
  const options = { smoothDenominator: 0, classWeights: [0, 1] };
  const p = Tensor.from(Float64Array.of(0, 0, 1, 0.5), [1, 2, 2]);
  const t = Tensor.from(Float64Array.of(0, 0, 1, 0.5), [1, 2, 2]);
  for (const loss of [new DiceLoss(options), new JaccardLoss(options)]) {
    const { value, perClass, grad } = loss.valueAndGrad(p, t);
    expect(value.itemSync()).toBe(0);
    expect(perClass.data[0]).toBe(1);
    expect([...grad.data].map((g) => Math.abs(g as number) < 1e-15)).toEqual(Array(4).fill(true));
    const slope = loss.targetGradient(p, t, loss.statistics(p, t));
    expect([...slope.data].map((g) => Math.abs(g as number) < 1e-15)).toEqual(Array(4).fill(true));
  }
});

test.each([
  ['present', [0.5, 0, 1, 0]],
  ['absent', [0, 0, 0, 0]],
])('generalized Dice: a %s class of weight 0 with a NaN', (_, target) => {
  const loss = new GeneralizedDiceLoss({ activation: 'sigmoid', classWeights: [0, 2] });
  const t = Tensor.from(Float64Array.of(...target, 1, 0.5, 0, 0), [1, 2, 4]);
  const solve = (first: number) => {
    const z = Tensor.from(Float64Array.of(first, 1, 2, 3, 0, 1, -1, 2), [1, 2, 4]);
    const { value, grad } = loss.valueAndGrad(z, t);
    const slope = loss.targetGradient(z, t, loss.statistics(z, t));
    return [...value.data, ...grad.data.slice(1), ...slope.data.slice(1)];
  };
  expect(solve(NaN)).toEqual(solve(0.25));
});

test('the slope of a target of weight 0, where another class costs an infinite cross-entropy', () => {
  const loss = new DiceCELoss({ classWeights: [0, 1], overlapWeight: 0 });
  const z = Tensor.from(Float64Array.of(0, 1, -Infinity, 2), [1, 2, 2]);
  const t = Tensor.from(Float64Array.of(0.5, 0.5, 0.5, 0.5), [1, 2, 2]);
  const statistics = loss.statistics(z, t);
  expect(loss.fromStatistics(statistics).value.itemSync()).toBe(Infinity);
  const slope = loss.targetGradient(z, t, statistics);
  expect([...slope.data].slice(0, 2).map(Number).map(Math.abs)).toEqual([0, 0]);
});

test('label smoothing of 1 looks at no label: a forbidden class is infinitely surprising, not NaN', () => {
  const z = Tensor.from(Float64Array.of(0, 0, -Infinity, 0), [1, 2, 2]);
  for (const labelSmoothing of [0.5, 1]) {
    const loss = new DiceCELoss({ crossEntropy: { labelSmoothing } });
    for (const label of [0, 1]) {
      const { value, grad } = loss.valueAndGrad(z, Tensor.from(Uint8Array.of(label, 0), [1, 2]));
      expect(value.itemSync()).toBe(Infinity);
      expect([...grad.data].map(Number).every(Number.isFinite)).toBe(true);
    }
  }
});

test('an overlap of weight 0 that is 0/0, beside a cross-entropy', () => {
  const options = { activation: 'sigmoid', smoothDenominator: 0, overlapWeight: 0 } as const;
  const z = Tensor.from(Float64Array.of(-Infinity, -Infinity), [2]);
  const { value, grad } = new DiceCELoss(options).valueAndGrad(z, {
    data: Uint8Array.of(0, 0),
    shape: [2],
  });
  expect(value.itemSync()).toBe(0);
  expect([...numbers(grad)].map(Math.abs)).toEqual([0, 0]);
});

test('a sample whose upstream is 0, and a scale of weight 0', () => {
  const p = Tensor.from(Float64Array.of(0, 0, 0.5, 1), [2, 1, 2]); // sample 0: 0/0
  const t = Tensor.from(Uint8Array.of(0, 0, 1, 1), [2, 2]);
  const each = new DiceLoss({ smoothDenominator: 0, reduction: 'none' });
  const upstream = Tensor.from(Float64Array.of(0, 1), [2, 1]);
  // dL/dp = -2t/(P+T) + 2I*2p/(P+T)^2 with I = 1.5, P = 1.25, T = 2
  const [a, b] = [-2 / 3.25 + 3 / 3.25 ** 2, -2 / 3.25 + 6 / 3.25 ** 2];
  const { grad } = each.valueAndGrad(p, t, { upstream });
  expectClose('grad', numbers(grad), [0, 0, a, b], 1e-15);

  const fine = Tensor.from(Float64Array.of(1, 0.5), [1, 1, 2]);
  const coarse = Tensor.from(Float64Array.of(0), [1, 1, 1]);
  const mask = Tensor.from(Uint8Array.of(1, 0), [1, 2]); // at the coarse size nothing
  const supervision = new DeepSupervision(new DiceLoss({ smoothDenominator: 0 }), [1, 0]);
  const { value, scales } = supervision.valueAndGrad([fine, coarse], mask);
  expect(value.itemSync()).toBeCloseTo(1 - 2 / 2.25, 15);
  expect(scales[1]?.value.itemSync()).toBe(1); // 0/0 counts as ratio 0
  expect(scales[1]?.grad.data[0]).toBe(0);
});
