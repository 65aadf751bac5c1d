// The formula at the centre, 1 - 2 sum(pt) / (sum p^2 + sum t^2 + eps), in its three forms.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { check } from '../support/check.js';
import { type DType, numbers, tensor } from '../support/tensors.js';
import { expectSolution } from '../support/tolerance.js';

const p = [0.9, 0.8, 0.2, 0.7, 0.1];
const t = [1, 1, 0, 1, 0];
const exact = 0.038076171581639846;

describe('binary: probabilities and a mask, flat', () => {
  test('float64', () => {
    const loss = new DiceLoss({ smoothDenominator: 1e-7 });
    const predictions = { data: Float64Array.from(p), shape: [5] };
    const target = { data: Float64Array.from(t), shape: [5] };
    const { value, perClass, grad } = loss.valueAndGrad(predictions, target);
    expect(value.shape).toEqual([]);
    expect(value.dtype).toBe('float64');
    expect(Math.abs(value.itemSync() - exact)).toBeLessThanOrEqual(4e-16);
    expect(perClass.shape).toEqual([1, 1]);
    expect(perClass.itemSync()).toBe(value.itemSync());
    expect(grad.shape).toEqual([5]);
    expect(grad.dtype).toBe('float64');
    expectSolution(
      { value, perClass, grad },
      reference({ loss: 'dice', N: 1, C: 1, S: 5, predictions: p, labels: t }),
      'float64',
    );
  });

  test('eps of 1e-7 is the default', () => {
    const predictions = { data: Float64Array.from(p), shape: [5] };
    const target = { data: Uint8Array.from(t), shape: [5] };
    const { value } = new DiceLoss().value(predictions, target);
    expect(Math.abs(value.itemSync() - exact)).toBeLessThanOrEqual(4e-16);
    const other = new DiceLoss({ smoothDenominator: 0 }).value(predictions, target).value;
    expect(Math.abs(other.itemSync() - exact)).toBeGreaterThan(1e-8);
  });

  test.each(['float32', 'float16', 'bfloat16'] as const)('%s', (dtype) => {
    const predictions = tensor(p, [5], dtype);
    for (const targetDtype of ['uint8', 'int32', 'int64', 'float32', dtype] as DType[]) {
      const target = tensor(t, [5], targetDtype);
      const problem = { loss: 'dice', N: 1, C: 1, S: 5, labels: t } as const;
      const solution = reference({ ...problem, predictions: numbers(predictions) });
      expectSolution(new DiceLoss().valueAndGrad(predictions, target), solution, dtype);
    }
  });
});

describe.each(['float64', 'float32', 'float16', 'bfloat16'] as const)('%s', (dtype) => {
  test('multi-class: probabilities and one-hot, pooled over the batch, mean over classes', () => {
    for (const targetDtype of ['uint8', 'float32', dtype] as DType[]) {
      check({ dtype, C: 4, target: 'dense', targetDtype, options: { batch: true } });
    }
  });

  test('from logits, channels last, per sample and class', () => {
    check({ dtype, C: 4, options: { activation: 'softmax', layout: 'channels-last' } });
  });
});

test('the value of the first sample does not depend on the second', () => {
  const loss = new DiceLoss({ activation: 'softmax', reduction: 'none' });
  const z = Float32Array.from({ length: 2 * 3 * 4 }, (_, i) => Math.sin(7 * i));
  const y = Uint8Array.from([0, 1, 2, 1, 2, 0, 0, 1]);
  const both = loss.value({ data: z, shape: [2, 3, 4] }, { data: y, shape: [2, 4] }).value;
  const one = loss.value(
    { data: z.subarray(0, 12), shape: [1, 3, 4] },
    { data: y.subarray(0, 4), shape: [1, 4] },
  ).value;
  expect(both.shape).toEqual([2, 3]);
  expect([...one.data]).toEqual([...both.data].slice(0, 3));
});
