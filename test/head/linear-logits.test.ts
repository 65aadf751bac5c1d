// linearLogits as arguments: every size, dtype and option gives the loss and the gradients of the logits in memory.
import { describe, expect, test } from '@jest/globals';
import {
  CrossEntropyLoss,
  DiceCELoss,
  DiceLoss,
  linearLogits,
  type Tensor,
} from '../../lib/index.js';
import { activationsOf, cells, entryOf } from '../support/losses.js';
import { type DType, numbers, type Typed, tensor } from '../support/tensors.js';
import { expectLikeComposed, expectNear, type HeadCase, makeData, parts } from './composed.js';

const softmax = new DiceLoss({ activation: 'softmax' });
const small: HeadCase = { N: 2, K: 5, C: 3, size: [7, 9] };

describe('valueAndGrad is that of the logits in memory', () => {
  const sizes: HeadCase[] = [
    { N: 1, K: 1, C: 2, size: [1] },
    { N: 3, K: 2, C: 2, size: [1, 1] },
    { N: 2, K: 31, C: 7, size: [33] },
    { N: 1, K: 32, C: 117, size: [257] },
    { N: 2, K: 33, C: 19, size: [31, 33] },
    { N: 1, K: 67, C: 5, size: [1031] },
    { N: 1, K: 6, C: 13, size: [11, 13, 17] },
    { N: 1, K: 257, C: 3, size: [130] },
    { N: 1, K: 3, C: 331, size: [129] },
  ];
  test.each(sizes)('$N x $K -> $C, $size', (of) => {
    expectLikeComposed(softmax, of);
    expectLikeComposed(new DiceLoss({ activation: 'softmax', layout: 'channels-last' }), {
      ...of,
      channelsLast: true,
    });
    expectLikeComposed(softmax, { ...of, dtype: 'float64' });
  });

  test('one class with sigmoid', () => {
    expectLikeComposed(new DiceLoss({ activation: 'sigmoid' }), { N: 2, K: 9, C: 1, size: [131] });
  });

  for (const cell of cells) {
    const { variant } = cell;
    const { Class, defaults } = entryOf(cell.key);
    for (const activation of activationsOf(cell)) {
      if (activation === 'none') continue;
      test(`${cell.key}, ${activation}, ${JSON.stringify(variant)}`, () => {
        const loss = new Class({ ...defaults, ...variant, activation } as never);
        expectLikeComposed(loss, small);
        expectLikeComposed(loss, { ...small, dtype: 'float64', voxelWeights: true });
      });
    }
  }
});

const dense: HeadCase = { ...small, dense: 'float32' };
const diceCE = new DiceCELoss({ activation: 'softmax' });

describe('every kind of input', () => {
  test.each(['uint8', 'int16', 'uint16', 'int32', 'int64'] as const)('labels of %s', (labels) => {
    expectLikeComposed(diceCE, { ...small, labels });
  });
  test.each(['uint8', 'float32', 'float64', 'float16', 'bfloat16'] as const)(
    'a dense target of %s',
    (dtype) => {
      expectLikeComposed(diceCE, { ...small, dense: dtype as DType });
      const last = new DiceCELoss({ activation: 'sigmoid', layout: 'channels-last' });
      expectLikeComposed(last, { ...small, dense: dtype as DType, channelsLast: true });
    },
  );
  test.each(['float32', 'float64', 'float16', 'bfloat16'] as const)('features of %s', (dtype) => {
    for (const weightDtype of [dtype, 'float32'] as const) {
      const of: HeadCase = { N: 2, K: 17, C: 5, size: [13, 11], dtype, weightDtype };
      expectLikeComposed(diceCE, of);
      const last = new DiceCELoss({ activation: 'softmax', layout: 'channels-last' });
      expectLikeComposed(last, { ...of, channelsLast: true });
      expectLikeComposed(diceCE, of, { gradDtype: dtype === 'float64' ? 'float64' : 'float32' });
    }
  });
  test('voxel weights, an ignore index, no bias', () => {
    const ignoring = new DiceCELoss({ activation: 'softmax', ignoreIndex: 255 });
    expectLikeComposed(ignoring, { ...small, ignore: 255, voxelWeights: true, bias: false });
    expectLikeComposed(diceCE, { ...dense, voxelWeights: true });
    expectLikeComposed(ignoring, { ...small, ignore: 255, voxelWeights: 'classes' });
    const last = new DiceCELoss({ activation: 'softmax', layout: 'channels-last' });
    expectLikeComposed(last, { ...dense, voxelWeights: 'classes', channelsLast: true });
  });
  test('a voxel of weight 0 contributes nothing, even when its features are NaN', () => {
    const of: HeadCase = { ...small, ignore: 255, voxelWeights: true };
    const data = makeData(of);
    const ignoring = new DiceCELoss({ activation: 'softmax', ignoreIndex: 255 });
    const options = { weight: data.voxelWeight as Typed };
    const run = () => {
      const logits = linearLogits(data.features, data.weight, data.bias);
      return ignoring.valueAndGrad(logits, data.target, options);
    };
    const wanted = run();
    const [x, w, y] = [data.features, options.weight, data.target].map(
      ({ data }) => data as Float32Array,
    );
    const S = 63;
    let without = 0;
    for (let i = 0; i < 2 * S; i++) {
      if (w?.[i] !== 0 && y?.[i] !== 255) continue;
      without++;
      const [n, s] = [Math.floor(i / S), i % S];
      for (let k = 0; k < of.K; k++) (x as Float32Array)[(n * of.K + k) * S + s] = Number.NaN;
    }
    expect(without).toBeGreaterThan(10);
    const got = run();
    expect(got.value.data).toEqual(wanted.value.data);
    for (const part of parts) {
      expectNear(numbers(got.grad[part] as never), numbers(wanted.grad[part] as never), 1e-6, part);
    }
  });
  test('a weight of a 1x1 convolution', () => {
    const data = makeData(small);
    const weight = { ...data.weight, shape: [...data.weight.shape, 1, 1] };
    const { grad } = diceCE.valueAndGrad(linearLogits(data.features, weight), data.target);
    expect(grad.weight?.shape).toEqual([small.C, small.K, 1, 1]);
  });
  test('batch, reductions, upstream and gradScale', () => {
    const pooled = new DiceLoss({ activation: 'softmax', batch: true, reduction: 'sum' });
    expectLikeComposed(pooled, small, { gradScale: 3 });
    const none = new DiceLoss({ activation: 'softmax', reduction: 'none' });
    const upstream = tensor([1, -2, 0.5, 3, 0, 1], [2, 3], 'float64');
    expectLikeComposed(none, small, { upstream });
    expectLikeComposed(new DiceLoss({ activation: 'softmax', background: false }), small);
    const classWeights = [0.5, 2, 1];
    expectLikeComposed(new CrossEntropyLoss({ activation: 'softmax', classWeights }), small);
  });
  test('extreme logits stay finite', () => {
    const data = makeData({ ...small, dtype: 'float64' });
    const huge = { ...data.weight, data: (data.weight.data as Float64Array).map((x) => 1e4 * x) };
    const { value, grad } = diceCE.valueAndGrad(linearLogits(data.features, huge), data.target);
    expect(Number.isFinite(value.itemSync())).toBe(true);
    for (const part of ['features', 'weight'] as const) {
      expect(numbers(grad[part] as never).every(Number.isFinite)).toBe(true);
    }
  });
});

test('the gradient is the slope of the value', () => {
  const data = makeData({ N: 1, K: 3, C: 4, size: [5, 2], dtype: 'float64', seed: 3 });
  const { features, weight, bias } = data;
  const value = () =>
    diceCE.value(linearLogits(features, weight, bias), data.target).value.itemSync();
  const { grad } = diceCE.valueAndGrad(linearLogits(features, weight, bias), data.target);
  for (const part of parts) {
    const array = (data[part] as Typed).data as Float64Array;
    array.forEach((x, i) => {
      const h = 1e-5;
      array[i] = x + h;
      const above = value();
      array[i] = x - h;
      const slope = (above - value()) / (2 * h);
      array[i] = x;
      expect(Math.abs(slope - ((grad[part] as Tensor).data[i] as number))).toBeLessThan(1e-9);
    });
  }
});
