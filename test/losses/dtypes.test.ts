// Every dtype of predictions, targets, weights and gradients, and how a dtype is told from a typed array.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';
import { check } from '../support/check.js';
import { everyNth } from '../support/in-this-run.js';
import { type DType, type FloatDType, full, numbers, tensor } from '../support/tensors.js';

const floats: FloatDType[] = ['float32', 'float64', 'float16', 'bfloat16'];
const layouts = ['channels-first', 'channels-last'] as const;
const activations = ['none', 'sigmoid', 'softmax'] as const;

const some = everyNth(19);

describe.each(floats)('%s predictions', (dtype) => {
  const half = dtype === 'float16' || dtype === 'bfloat16';
  const gradDtypes = half ? [undefined, dtype, 'float32' as const] : [undefined, dtype];

  const run = (target: 'labels' | 'dense', targetDtype: DType) => {
    for (const layout of layouts)
      for (const activation of activations)
        for (const weight of [undefined, 'uint8', ...floats] as const)
          for (const gradDtype of gradDtypes)
            if (some())
              check({
                dtype,
                target,
                targetDtype,
                ...(weight ? { weight } : {}),
                ...(gradDtype ? { gradDtype } : {}),
                gradScale: 100,
                spatial: [3, 13],
                options: { layout, activation },
              });
  };

  test.each(['uint8', 'int32', 'int64'] as const)('%s labels', (targetDtype) =>
    run('labels', targetDtype),
  );
  test.each(['uint8', ...floats] as const)('%s dense target', (targetDtype) =>
    run('dense', targetDtype),
  );

  test('masks of one class in every dtype', () => {
    for (const targetDtype of ['uint8', 'int32', 'int64', ...floats] as const)
      for (const target of ['labels', 'dense'] as const) {
        const options = { activation: 'sigmoid', ignoreIndex: 255 } as const;
        check({
          dtype,
          C: 1,
          target,
          targetDtype,
          spatial: [77],
          gradScale: 100,
          options,
          ignored: 0.2,
        });
      }
  });
});

describe('gradients of half-precision predictions', () => {
  // 2^15 voxels: the gradient is at most about 1e-4, and below 6e-8 nothing is left in float16.
  const spec = { N: 1, C: 2, spatial: [2 ** 15], options: { activation: 'softmax' } } as const;

  test.each(['float16', 'bfloat16'] as const)('%s: as float32', (dtype) => {
    check({ ...spec, dtype, gradDtype: 'float32' });
  });

  test.each(['float16', 'bfloat16'] as const)('%s: scaled before rounding', (dtype) => {
    check({ ...spec, dtype, gradScale: 2 ** 12 });
  });

  test('the scale is applied before rounding, not after', () => {
    const predictions = full([1, 1, 2 ** 16], 0.5, 'float16');
    const target = full([1, 2 ** 16], 0, 'uint8');
    target.data[0] = 1;
    const loss = new DiceLoss();
    const plain = loss.valueAndGrad(predictions, target).grad;
    const scaled = loss.valueAndGrad(predictions, target, { gradScale: 2 ** 20 }).grad;
    expect(numbers(plain)[1]).toBe(0); // about 4e-9: less than half of the smallest float16
    expect(numbers(scaled)[1]).toBeGreaterThan(0);
  });

  test('float16 beyond its range is infinite, not wrapped', () => {
    const predictions = tensor([0.5, 0.5], [2], 'float16');
    const target = tensor([1, 0], [2], 'uint8');
    const { grad } = new DiceLoss().valueAndGrad(predictions, target, { gradScale: 1e9 });
    expect([...numbers(grad)]).toEqual([-Infinity, Infinity]);
  });
});

describe('how a dtype is told', () => {
  const loss = new DiceLoss();
  const shape = [4];
  const target = { data: Uint8Array.of(1, 0, 1, 0), shape };
  const value = (data: object, dtype?: DType) =>
    loss
      .value(
        { data, shape, ...(dtype ? { dtype } : {}) } as Parameters<DiceLoss['value']>[0],
        target,
      )
      .value.itemSync();
  const p = [0.5, 0.25, 0.75, 0.125]; // the same number in every format

  test('from the class of the array', () => {
    const expected = value(Float64Array.from(p), 'float64');
    expect(value(Float64Array.from(p))).toBe(expected);
    expect(Math.abs(value(Float32Array.from(p)) - expected)).toBeLessThan(1e-7);
    expect(Math.abs(value(tensor(p, shape, 'float16').data, 'float16') - expected)).toBeLessThan(
      1e-7,
    );
    expect(Math.abs(value(tensor(p, shape, 'bfloat16').data, 'bfloat16') - expected)).toBeLessThan(
      1e-7,
    );
  });

  test('Uint8ClampedArray is uint8', () => {
    const predictions = { data: Float64Array.from(p), shape };
    const clamped = { data: Uint8ClampedArray.of(1, 0, 1, 0), shape };
    expect(loss.value(predictions, clamped as never).value.itemSync()).toBe(
      loss.value(predictions, target).value.itemSync(),
    );
  });

  // Node 24 has Float16Array; before it there is nothing to test.
  const Float16 = (globalThis as { Float16Array?: { from(x: number[]): object } }).Float16Array;
  (Float16 ? test : test.skip)('Float16Array is float16', () => {
    const data = Float16?.from(p) as object;
    expect(value(data)).toBe(value(tensor(p, shape, 'float16').data, 'float16'));
    expect(Tensor.from(data as never, shape).dtype).toBe('float16');
  });
});

test('a view in the middle of a buffer is read and written where it is', () => {
  const buffer = new ArrayBuffer(8 + 4 * 6 + 8);
  const all = new Uint8Array(buffer).fill(0xaa);
  const data = new Float32Array(buffer, 8, 6);
  data.set([0.1, 0.9, 0.3, 0.8, 0.2, 0.6]);
  const target = { data: new Uint8Array([9, 0, 1, 0, 1, 0, 1]).subarray(1), shape: [6] };
  const loss = new DiceLoss();
  const apart = loss.valueAndGrad({ data: data.slice(), shape: [6] }, target);
  const inPlace = loss.valueAndGrad({ data, shape: [6] }, target, {
    out: { grad: { data, shape: [6] } },
  });
  expect(inPlace.value.itemSync()).toBe(apart.value.itemSync());
  expect([...data]).toEqual([...apart.grad.data]);
  expect([...all.slice(0, 8), ...all.slice(-8)]).toEqual(new Array(16).fill(0xaa));
});

test('addresses that are not multiples of a vector', () => {
  const n = 200;
  for (const offset of [1, 2, 3, 5, 7]) {
    const z = new Float32Array(n + offset).subarray(offset);
    const y = new Uint8Array(n + offset).subarray(offset);
    for (let i = 0; i < n; i++) {
      z[i] = Math.sin(i);
      y[i] = i % 3 === 0 ? 1 : 0;
    }
    const loss = new DiceLoss({ activation: 'sigmoid' });
    const shifted = loss.valueAndGrad({ data: z, shape: [n] }, { data: y, shape: [n] });
    const aligned = loss.valueAndGrad(
      { data: z.slice(), shape: [n] },
      { data: y.slice(), shape: [n] },
    );
    expect(shifted.value.itemSync()).toBe(aligned.value.itemSync());
    expect([...shifted.grad.data]).toEqual([...aligned.grad.data]);
  }
});
