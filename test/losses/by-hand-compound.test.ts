// Dice beside a cross-entropy and a focal loss, on numbers that can be worked out by hand.
import { describe, expect, test } from '@jest/globals';
import { DiceCELoss, DiceFocalLoss, JaccardLoss, type LossOptions } from '../../lib/index.js';
import { close, exact } from '../support/closeness.js';
import { numbers, tensor } from '../support/tensors.js';

const { log } = Math;

describe('Dice and cross-entropy', () => {
  // p = (1/2, 1/2), (1/4, 3/4).
  const z = tensor([0, 0, 0, log(3)], [1, 2, 2], 'float64');
  const y = tensor([0, 1], [1, 2], 'uint8');
  const [D0, D1] = [1 / (5 / 16 + 1), 1.5 / (13 / 16 + 1)];
  const dice = 1 - (D0 + D1) / 2;
  const solve = (options: LossOptions = {}) => new DiceCELoss({ ...exact, ...options }).value(z, y);

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
    expect(new JaccardLoss({ activation: 'softmax', ...exact }).value(z, y).parts).toBeUndefined();
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
