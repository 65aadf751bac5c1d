// Shapes that end in the middle of a vector, a block or a partition.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import type { Spec } from '../support/cases.js';
import { check } from '../support/check.js';
import { inThisRun } from '../support/in-this-run.js';
import type { FloatDType } from '../support/tensors.js';
import { expectSolution } from '../support/tolerance.js';

const dtypes: FloatDType[] = ['float32', 'float64', 'float16', 'bfloat16'];
const layouts = ['channels-first', 'channels-last'] as const;
const few = [1, 2, 3, 5, 8, 9, 19, 33];

/** Half-precision gradients need a scale, or they are lost in rounding. */
const scaled = (spec: Spec): Spec => ({ ...spec, gradScale: 64 });

describe.each(dtypes)('%s', (dtype) => {
  describe.each(layouts)('%s', (layout) => {
    test.each(['softmax', 'sigmoid', 'none'] as const)('%s: few of everything', (activation) => {
      for (const N of few)
        for (const C of few)
          for (const S of [1, 2, 3]) {
            if (C === 1 && activation === 'softmax') continue;
            if (!inThisRun()) continue;
            check(scaled({ dtype, N, C, spatial: [S], options: { activation, layout } }));
          }
    });

    test.each(['softmax', 'sigmoid'] as const)('%s: odd numbers of voxels', (activation) => {
      for (const S of [4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 1009])
        for (const C of few)
          for (const target of ['labels', 'dense'] as const) {
            if (C === 1 && activation === 'softmax') continue;
            if (!inThisRun()) continue;
            const N = 1 + (S % 3);
            check(scaled({ dtype, N, C, spatial: [S], target, options: { activation, layout } }));
          }
    });

    test('many voxels', () => {
      for (const C of [1, 2, 9]) {
        const activation = C === 1 ? 'sigmoid' : 'softmax';
        const options = { activation, layout, ignoreIndex: 77 } as const;
        if (inThisRun()) check(scaled({ dtype, C, spatial: [20011], ignored: 0.1, options }));
      }
    });
  });
});

describe('spatial axes', () => {
  test.each([0, 1, 2, 3, 4, 5])('%d', (axes) => {
    const spatial = [3, 2, 5, 1, 4].slice(0, axes);
    for (const layout of layouts)
      for (const activation of ['none', 'sigmoid', 'softmax'] as const)
        for (const target of ['labels', 'dense'] as const)
          for (const N of [1, 4])
            for (const C of [1, 3]) {
              if (C === 1 && activation === 'softmax') continue;
              check({ N, C, spatial, target, weight: 'float32', options: { activation, layout } });
            }
  });

  test('none: a row of classes per sample', () => {
    check({ N: 7, C: 5, spatial: [], options: { activation: 'softmax', batch: true } });
  });
});

describe('one class', () => {
  const p = Float32Array.of(0.2, 0.9, 0.4, 0.6, 0.3, 0.8);
  const t = Uint8Array.of(0, 1, 1, 0, 0, 1);
  const loss = new DiceLoss();

  test('the mask may have the class axis or not', () => {
    const solution = reference({ loss: 'dice', N: 2, C: 1, S: 3, predictions: p, labels: t });
    const predictions = { data: p, shape: [2, 1, 3] };
    for (const shape of [
      [2, 3],
      [2, 1, 3],
    ]) {
      const outcome = loss.valueAndGrad(predictions, { data: t, shape });
      expectSolution(outcome, solution, 'float32');
      expect(outcome.perClass.shape).toEqual([2, 1]);
      expect(outcome.grad.shape).toEqual([2, 1, 3]);
    }
  });

  test('rank 1 is one sample of one class', () => {
    const solution = reference({ loss: 'dice', N: 1, C: 1, S: 6, predictions: p, labels: t });
    const predictions = { data: p, shape: [6] };
    const outcome = loss.valueAndGrad(predictions, { data: t, shape: [6] });
    expectSolution(outcome, solution, 'float32');
    expect(outcome.grad.shape).toEqual([6]);
    for (const layout of layouts) {
      const same = new DiceLoss({ layout }).value(predictions, { data: t, shape: [6] });
      expect(same.value.itemSync()).toBe(outcome.value.itemSync());
    }
  });

  test('label 1 is the class, not label 0', () => {
    const outcome = loss.value(
      { data: Float64Array.of(1, 0), shape: [2] },
      { data: Uint8Array.of(1, 0), shape: [2] },
    );
    expect(outcome.value.itemSync()).toBeLessThan(1e-6);
  });
});

test('shapes of the results', () => {
  const predictions = { data: new Float32Array(2 * 3 * 4 * 5), shape: [2, 3, 4, 5] };
  const target = { data: new Uint8Array(2 * 4 * 5), shape: [2, 4, 5] };
  const shapes = (options: ConstructorParameters<typeof DiceLoss>[0]) => {
    const { value, perClass } = new DiceLoss(options).value(predictions, target);
    return [value.shape, perClass.shape];
  };
  expect(shapes({})).toEqual([[], [2, 3]]);
  expect(shapes({ reduction: 'sum' })).toEqual([[], [2, 3]]);
  expect(shapes({ reduction: 'none' })).toEqual([[2, 3], [2, 3]]); // biome-ignore format: a pair a line
  expect(shapes({ batch: true })).toEqual([[], [3]]);
  expect(shapes({ batch: true, reduction: 'none' })).toEqual([[3], [3]]);
});
