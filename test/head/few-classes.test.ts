// Calls with few classes, whose products read the features where they are, and gradients that are larger than the caches. The
// borders: 6 classes, 8 with short vectors, share a read of a feature, up to 24 have the weight's gradient summed along the rows.
import { describe, expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, linearLogits, Tensor } from '../../lib/index.js';
import { type FloatDType, numbers, type Typed, tensor } from '../support/tensors.js';
import { composed, expectLikeComposed, expectNear, makeData, parts } from './composed.js';

const lossOf = (C: number) => new DiceCELoss({ activation: C === 1 ? 'sigmoid' : 'softmax' });

describe('valueAndGrad is that of the logits in memory', () => {
  for (const C of [1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 24, 25]) {
    test.each([1, 31, 33])(`%d features, ${C} classes`, (K) => {
      // Less than a step of voxels, whole ones, some over.
      for (const S of [1, 256, 1331]) expectLikeComposed(lossOf(C), { N: 2, K, C, size: [S] });
      expectLikeComposed(lossOf(C), { N: 1, K, C, size: [267], dtype: 'float64' });
      expectLikeComposed(lossOf(C), {
        N: 1,
        K,
        C,
        size: [299],
        dtype: 'float16',
        weightDtype: 'float32',
      });
      const last = new DiceLoss({ activation: 'sigmoid', layout: 'channels-last' });
      expectLikeComposed(last, { N: 1, K, C, size: [299], channelsLast: true });
    });
  }
  test.each([1, 2, 5, 7])('1024 features, %d classes', (C) => {
    expectLikeComposed(lossOf(C), { N: 1, K: 1024, C, size: [300] });
  });
  test.each([2, 7, 24])('weights of voxels, ignored ones, %d classes', (C) => {
    const loss = new DiceCELoss({ activation: 'softmax', ignoreIndex: 255 });
    const of = { N: 2, K: 33, C, size: [300], ignore: 255 };
    expectLikeComposed(loss, { ...of, voxelWeights: true });
    expectLikeComposed(loss, { ...of, voxelWeights: 'classes' });
  });
});

describe('where the arrays lie', () => {
  test.each([2, 7])('features that begin within a cache line, %d classes', (C) => {
    const of = { N: 1, K: 9, C, size: [528] };
    const data = makeData(of);
    const shifted = new Float32Array(data.features.data.length + 3).subarray(3);
    shifted.set(data.features.data as Float32Array);
    const logits = linearLogits({ ...data.features, data: shifted }, data.weight, data.bias);
    const wanted = composed(lossOf(C), of, data);
    const { grad } = lossOf(C).valueAndGrad(logits, data.target);
    for (const part of parts) expectNear(numbers(grad[part] as never), wanted[part], 2e-5, part);
  });
  test.each([2, 7, 25])('the gradient replaces the features, %d classes', (C) => {
    const of = { N: 2, K: 9, C, size: [300] };
    const data = makeData(of);
    const wanted = composed(lossOf(C), of, data);
    const logits = linearLogits(data.features, data.weight, data.bias);
    const out = { grad: { features: data.features } };
    const { grad } = lossOf(C).valueAndGrad(logits, data.target, { out: out as never });
    for (const part of parts) expectNear(numbers(grad[part] as never), wanted[part], 2e-5, part);
  });
});

describe('a gradient that is larger than the caches', () => {
  const K = 32;
  const C = 3;
  /** Features and their gradient have 25 MB or more. */
  const cases: [string, FloatDType, number, boolean][] = [
    ['rows that begin with a cache line', 'float32', 102_400, false],
    ['rows that do not', 'float32', 102_403, false],
    ['float64', 'float64', 51_200, false],
    ['float16', 'float16', 204_800, false],
    ['channels last', 'float32', 102_403, true],
    ['channels last, bfloat16', 'bfloat16', 204_803, true],
  ];
  test.each(cases)('is the same: %s', (_, dtype, S, last) => {
    const shape = last ? [1, S, K] : [1, K, S];
    const features = Tensor.empty(shape, dtype);
    const few = makeData({ N: 1, K, C, size: [509], dtype });
    const repeated = few.features.data as Float32Array;
    for (let at = 0; at < features.size; at += repeated.length) {
      const part = repeated.subarray(0, Math.min(repeated.length, features.size - at));
      (features.data as Float32Array).set(part, at);
    }
    const target = tensor(
      Array.from({ length: S }, (_, s) => (s * 7) % C),
      [1, S],
      'uint8',
    );
    const loss = new DiceLoss({
      activation: 'softmax',
      layout: last ? 'channels-last' : 'channels-first',
    });
    const run = (accumulate: boolean) => {
      const out = { grad: { features: Tensor.empty(shape, dtype) } };
      const logits = linearLogits(features as unknown as Typed, few.weight, few.bias);
      const options = { out, accumulate: { features: accumulate }, gradScale: 1e4 };
      return loss.valueAndGrad(logits, target, options as never);
    };
    // What is added to is read first, so it is not written around the caches.
    const [got, wanted] = [run(false), run(true)];
    for (const part of parts) {
      const [a, b] = [bytesOf(got.grad[part]), bytesOf(wanted.grad[part])];
      expect(a.some((byte) => byte !== 0)).toBe(true);
      expect(Buffer.compare(a, b)).toBe(0);
    }
  });
});

const bytesOf = (grad: { data: unknown } | null) => {
  const data = grad?.data as Float32Array;
  const { buffer, byteOffset, byteLength } = data;
  return Buffer.from(buffer, byteOffset, byteLength);
};
