// Classes with no target voxel, worked out by hand: `absent: 'formula'`, `'skip'`, `'perfect'` and `'worst'`.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, type LossOptions } from '../../lib/index.js';
import { close, exact } from '../support/closeness.js';
import { numbers, tensor } from '../support/tensors.js';

const { log } = Math;

describe('absent', () => {
  // Class 1 has no voxel. Class 0: I = 1.5, P = 1.25, T = 2; class 1: P = .25.
  const x = tensor([1, 0.5, 0, 0.5], [1, 2, 2], 'float64');
  const y = tensor([0, 0], [1, 2], 'uint8');
  const L0 = 1 - 3 / 3.25;

  test.each([
    ['formula', [L0, 1], (L0 + 1) / 2],
    ['skip', [L0, 1], L0],
    ['perfect', [L0, 0], L0 / 2],
    ['worst', [L0, 1], (L0 + 1) / 2],
  ] as const)('%s', (absent, classes, mean) => {
    const loss = new DiceLoss({ absent, ...exact });
    const { value, perClass, grad } = loss.valueAndGrad(x, y);
    close(numbers(perClass), ...classes);
    close(numbers(value), mean);
    expect([...numbers(grad).subarray(2)]).toEqual([0, 0]); // I = 0 without smoothing
  });

  test('a class whose index is ignored is absent', () => {
    // Class 0 is ignored. Voxel 1 is of class 1, of which p is 0.5: I = .5, P = .25, T = 1; voxel 0 is not read.
    const labels = tensor([0, 1], [1, 2], 'uint8');
    const mean = (options: LossOptions) =>
      new DiceLoss({ ignoreIndex: 0, ...exact, ...options }).value(x, labels).value.itemSync();
    const L1 = 1 - 1 / 1.25;
    expect(mean({})).toBeCloseTo((1 + L1) / 2, 12);
    expect(mean({ absent: 'perfect' })).toBeCloseTo(L1 / 2, 12);
    expect(mean({ absent: 'skip' })).toBeCloseTo(L1, 12);
    expect(mean({ background: false })).toBeCloseTo(L1, 12);
  });

  test('with smoothing the formula has a gradient, the policies have none', () => {
    for (const absent of ['formula', 'skip', 'perfect', 'worst'] as const) {
      const { grad } = new DiceLoss({ absent, smoothNumerator: 1 }).valueAndGrad(x, y);
      expect(numbers(grad)[3] !== 0).toBe(absent === 'formula');
    }
  });

  test("is 'skip' for log-Dice", () => {
    const loss = new DiceLoss({ transform: 'log', ...exact });
    close(numbers(loss.value(x, y).value), -log(3 / 3.25));
    const formula = new DiceLoss({ transform: 'log', absent: 'formula', ...exact });
    close(numbers(formula.value(x, y).perClass), -log(3 / 3.25), log(1e12));
  });

  test('nothing is counted: value 0, gradient 0', () => {
    const loss = new DiceLoss({ absent: 'skip', background: false });
    const { value, grad } = loss.valueAndGrad(x, y);
    expect(value.itemSync()).toBe(0);
    expect([...numbers(grad)]).toEqual([0, 0, 0, 0]);
  });
});
