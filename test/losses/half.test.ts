// Half-precision gradients: what float32 would have, rounded once, in every place of a block and of a cache line.
import { describe, expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, type Float16Like, Tensor } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { decodeHalf, encodeHalf, type Half, ulp } from '../support/half.js';
import { everyNth } from '../support/in-this-run.js';
import { bitsOf } from '../support/tensors.js';

const layouts = ['channels-first', 'channels-last'] as const;
const some = everyNth(5);

describe.each<Half>(['float16', 'bfloat16'])('%s', (dtype) => {
  // More voxels than two blocks of any size, and a part of a vector at the end.
  test.each([1, 3, 19])('%d classes: the bits of the float32 gradient, rounded', (C) => {
    for (const layout of layouts)
      for (const target of ['labels', 'dense'] as const)
        for (const gradScale of [1, 2 ** 12, 2 ** 30]) {
          if (!some()) continue;
          const activation = C === 1 ? 'sigmoid' : 'softmax';
          const options = { activation, layout, reduction: 'sum' } as const;
          const spec: Spec = { dtype, N: 1, C, spatial: [4999], target, options, gradScale };
          const { loss, predictions, target: t } = makeCase(spec);
          (predictions.data as Uint16Array)[100 * C] = 0x7fff; // NaN
          const statistics = loss.statistics(predictions, t);
          const exact = loss.gradient(predictions, t, statistics, {
            gradScale,
            gradDtype: 'float32',
          });
          const rounded = loss.gradient(predictions, t, statistics, { gradScale });
          expectRounded(bitsOf(rounded.data), exact.data as Float32Array, dtype);
        }
  });

  // Large gradients are written around the caches, from the first whole line on.
  test.each([0, 3])(
    'larger than the cache, %d elements into a line: the bits of smaller calls',
    (offset) => {
      const [C, S, part] = [2, 3_200_000, 4096];
      const numbers = Uint16Array.from({ length: 257 }, (_, i) =>
        encodeHalf(Math.sin(i * i), dtype),
      );
      const x = new Uint16Array(C * S);
      for (let i = 0; i < x.length; i++) x[i] = numbers[i % 257] as number;
      const y = new Uint8Array(S);
      for (let s = 0; s < S; s++) y[s] = (s >> 3) & 1;
      const loss = new DiceLoss({ activation: 'softmax' });
      const options = { gradScale: 2 ** 22 };
      const logits = Tensor.from(x, [1, C, S], { dtype });
      const labels = Tensor.from(y, [1, S]);
      const statistics = loss.statistics(logits, labels);
      const whole = new Uint16Array(C * S + offset + 1);
      const grad = Tensor.from(whole.subarray(offset, offset + C * S), [1, C, S], { dtype });
      loss.valueAndGrad(logits, labels, { ...options, out: { grad } });
      expect([...whole.subarray(0, offset), whole.at(-1)]).toEqual(Array(offset + 1).fill(0));

      for (const s of [0, 1_600_001, S - part]) {
        const rows = (from: Uint16Array) =>
          Array.from({ length: C }, (_, c) => from.subarray(c * S + s, c * S + s + part));
        const small = loss.gradient(
          Tensor.from(join(rows(x)), [1, C, part], { dtype }),
          Tensor.from(y.slice(s, s + part), [1, part]),
          statistics,
          options,
        );
        expect(join(rows(whole.subarray(offset, -1)))).toEqual(bitsOf(small.data));
      }
    },
  );
});

function expectRounded(rounded: Uint16Array, exact: Float32Array, dtype: Half) {
  for (let i = 0; i < exact.length; i++) {
    const [bits, x] = [rounded[i] as number, exact[i] as number];
    const nan = (bits & 0x7fff) > (dtype === 'float16' ? 0x7c00 : 0x7f80);
    if (Number.isNaN(x) ? nan : bits === encodeHalf(x, dtype)) continue;
    throw new Error(`${i}: ${bits.toString(16)} for ${x}`);
  }
}

function join(rows: Uint16Array[]): Uint16Array {
  return Uint16Array.from(rows.flatMap((row) => [...row]));
}

// Node 24 has Float16Array; before it there is nothing to test.
const Float16 = (globalThis as { Float16Array?: { from(x: number[]): Float16Like } }).Float16Array;
(Float16 ? test : test.skip)('a step of SGD on a Float16Array', async () => {
  const [shape, target] = [[4], Tensor.from(Uint8Array.of(1, 0, 1, 0), [4])];
  const loss = new DiceLoss({ activation: 'sigmoid' });
  for (const data of [
    Float16?.from([0.5, -1, 2, 0]),
    bitsOf(Float16?.from([0.5, -1, 2, 0]) as never),
  ]) {
    const logits = Tensor.from(data as Float16Like, shape, { dtype: 'float16' });
    const { value, grad } = loss.valueAndGrad(logits, target);
    expect(grad.data[Symbol.toStringTag]).toBe('Float16Array');
    const stepped = Float16?.from([0.5, -1, 2, 0]) as Float16Like;
    for (let i = 0; i < 4; i++) stepped[i] = (stepped[i] as number) - (grad.data[i] as number);
    expect(loss.value({ data: stepped, shape }, target).value.itemSync()).toBeLessThan(
      value.itemSync(),
    );
    const copies = [
      Tensor.copyOf(data as Float16Like, shape, { dtype: 'float16' }).data,
      await logits.read(),
    ];
    for (const copy of copies) expect(copy).toEqual(data);
    const to = Tensor.empty(shape, 'float16');
    await to.write(data as Float16Like);
    expect([...to.data]).toEqual([0.5, -1, 2, 0]);
  }
});

// Half precision over whole steps of vectors, which the passes widen and narrow themselves, and a rest.
describe('whole steps of vectors', () => {
  const S = 1111;
  const shape = [2, 3, S];
  const logits = Float32Array.from({ length: 6 * S }, (_, i) => ((i * 7) % 33) / 8 - 2); // exact in every dtype
  const labels = Tensor.from(
    Uint8Array.from({ length: 2 * S }, (_, i) => (i * 5) % 3),
    [2, S],
  );

  /** The upper half of a float32 that bfloat16 holds exactly. */
  const bfloat16 = Uint16Array.from(new Uint32Array(logits.buffer), (bits) => bits >>> 16);

  test.each(['softmax', 'sigmoid'] as const)('%s: cross-entropy as of float32', (activation) => {
    const loss = new DiceCELoss({ activation });
    const expected = loss.value(Tensor.from(logits, shape), labels).value.itemSync();
    const given = Tensor.from(bfloat16, shape, { dtype: 'bfloat16' });
    expect(loss.value(given, labels).value.itemSync()).toBeCloseTo(expected, 6);
  });

  test('a NaN with all its bits set stays NaN in a bfloat16 gradient', () => {
    const loss = new DiceLoss({ activation: 'none' });
    const probabilities = new Float32Array(S).fill(0.5);
    const given = Tensor.from(probabilities, [1, 1, S]);
    const target = Tensor.from(new Uint16Array(S).fill(0x3f00), [1, 1, S], { dtype: 'bfloat16' });
    const statistics = loss.statistics(given, target);
    new Uint32Array(probabilities.buffer).fill(0x7fffffff, 100, 101);
    const gradient = loss.targetGradient(given, target, statistics);
    expect((gradient.data[100] as number) & 0x7fff).toBeGreaterThan(0x7f80);
    expect((gradient.data[101] as number) & 0x7fff).toBeLessThan(0x7f80);
  });

  /** Of one voxel, exact in every dtype: up to 64 the exponentials need no maximum, beyond they overflow or vanish. */
  const far = [
    [64, -64, 0],
    [64, 64, -64],
    [-64, -63, -64],
    [64.5, 64, 0],
    [0, -64.5, 1],
    [89, 88, -89],
    [100, 1, 0],
    [-100, -101, -99],
    [256, 0, 1],
    [-32768, 32768, 1],
    [-Infinity, 1, 0],
    [-Infinity, 64, 63],
  ];
  const stepVoxels = 128; // of the widest vectors

  describe('a NaN of a bfloat16 call, whatever its bits, makes the gradient NaN', () => {
    const voxels = 512;
    const labels = Tensor.from(
      Uint8Array.from({ length: voxels }, (_, i) => i % 2),
      [1, voxels],
    );
    /** Fractions of 1 to 127, of either sign: all NaN that there are, in the first voxels of class 0. */
    const nans = Array.from({ length: 254 }, (_, i) => (i % 2 ? 0xff80 : 0x7f80) + 1 + (i >> 1));

    test.each(['softmax', 'sigmoid', 'none'] as const)('%s: of a logit', (activation) => {
      const bits = new Uint16Array(2 * voxels).fill(0x3e80);
      const loss = new DiceLoss({ activation });
      const given = Tensor.from(bits, [1, 2, voxels], { dtype: 'bfloat16' });
      const statistics = loss.statistics(given, labels);
      bits.set(nans);
      const { data } = loss.gradient(given, labels, statistics);
      const gradient = new Uint16Array(data.buffer, data.byteOffset, voxels);
      expect(Array.from(gradient, isNaN16)).toEqual(
        Array.from(gradient, (_, i) => i < nans.length),
      );
    });

    test.each(['softmax', 'sigmoid', 'none'] as const)(
      '%s: of the upstream gradient',
      (activation) => {
        const bits = new Uint16Array(2 * voxels).fill(0x3e80);
        const loss = new DiceLoss({ activation, reduction: 'none', denominator: 'linear' });
        const upstream = new Float64Array(2);
        new BigUint64Array(upstream.buffer).set([0x7fffffffffffffffn, 0xffffffffffffffffn]);
        const { grad } = loss.valueAndGrad(
          Tensor.from(bits, [1, 2, voxels], { dtype: 'bfloat16' }),
          labels,
          {
            upstream: Tensor.from(upstream, [1, 2]),
          },
        );
        const gradient = new Uint16Array(grad.data.buffer, grad.data.byteOffset, 2 * voxels);
        expect(Array.from(gradient).filter((half) => !isNaN16(half))).toEqual([]);
      },
    );
  });

  function isNaN16(half: number): boolean {
    return (half & 0x7fff) > 0x7f80;
  }

  describe.each(['float16', 'bfloat16'] as Half[])('%s', (dtype) => {
    const voxels = (far.length + 1) * stepVoxels;
    const loss = new DiceLoss({ activation: 'softmax' });

    /** Logits [1,3,S]: small ones, but in one voxel of each step. */
    function problem(): { logits: Float32Array; labels: Tensor } {
      const logits = Float32Array.from({ length: 3 * voxels }, (_, i) => ((i * 7) % 33) / 8 - 2);
      for (const [step, voxel] of far.entries())
        for (const [c, z] of voxel.entries()) logits[c * voxels + step * stepVoxels + step * 3] = z;
      const labels = Uint8Array.from({ length: voxels }, (_, i) => (i * 5) % 3);
      return { logits, labels: Tensor.from(labels, [1, voxels]) };
    }

    function halves(logits: Float32Array): Tensor {
      const bits = Uint16Array.from(logits, (z) => encodeHalf(z, dtype));
      return Tensor.from(bits, [1, 3, voxels], { dtype });
    }

    test('large logits of either sign have the value and gradient of float32', () => {
      const { logits, labels } = problem();
      const expected = loss.valueAndGrad(Tensor.from(logits, [1, 3, voxels]), labels, {
        gradScale: voxels,
      });
      const actual = loss.valueAndGrad(halves(logits), labels, { gradScale: voxels });
      expect(actual.value.itemSync()).toBeCloseTo(expected.value.itemSync(), 7);
      const gradient = Array.from(expected.grad.data, Number);
      const largest = Math.max(...gradient.map(Math.abs));
      const bits = new Uint16Array(
        actual.grad.data.buffer,
        actual.grad.data.byteOffset,
        3 * voxels,
      );
      const wrong = gradient.filter((g, i) => {
        const error = Math.abs(decodeHalf(bits[i] as number, dtype) - g);
        return !(error <= ulp(g, dtype) / 2 + 1e-5 * largest);
      });
      expect(wrong).toEqual([]);
    });

    test('a NaN logit makes the gradient of its voxel NaN, of no other', () => {
      const { logits, labels } = problem();
      const statistics = loss.statistics(halves(logits), labels);
      const voxel = voxels - stepVoxels + 5; // all others of its step are small
      logits[voxels + voxel] = NaN;
      expect(loss.value(halves(logits), labels).value.itemSync()).toBeNaN();
      const { data } = loss.gradient(halves(logits), labels, statistics, { gradScale: voxels });
      const bits = new Uint16Array(data.buffer, data.byteOffset, 3 * voxels);
      const nans = Array.from(bits.keys()).filter((i) =>
        Number.isNaN(decodeHalf(bits[i] as number, dtype)),
      );
      expect(nans).toEqual([voxel, voxels + voxel, 2 * voxels + voxel]);
    });
  });

  /** Beyond the caches, where the place of a gradient in a line says how it is written. Some steps have a logit of 70. */
  test('the bits of a gradient of halves do not depend on where in memory it begins', () => {
    const voxels = 2_200_000;
    const size = 3 * voxels;
    const numbers = Uint16Array.from({ length: 10_007 }, (_, i) =>
      encodeHalf(i === 0 ? 70 : i / 1000 - 5, 'float16'),
    );
    const bits = Tensor.empty([size], 'float16').data as Uint16Array;
    for (let i = 0; i < size; i++) bits[i] = numbers[(i * 7919 + (i >> 10)) % 10_007] as number;
    const given = Tensor.from(bits, [1, 3, voxels], { dtype: 'float16' });
    const labels = Tensor.from(
      Uint8Array.from({ length: voxels }, (_, i) => (i >> 3) % 3),
      [1, voxels],
    );
    const loss = new DiceLoss({ activation: 'softmax' });
    const statistics = loss.statistics(given, labels);
    const whole = Tensor.empty([size + 32], 'float16').data as Uint16Array; // begins a line
    const [aligned, other] = [0, 3].map((offset) => {
      const data = whole.subarray(offset, offset + size);
      const grad = Tensor.from(data, [1, 3, voxels], { dtype: 'float16' });
      loss.gradient(given, labels, statistics, { gradScale: voxels, out: { grad } });
      return data.slice();
    }) as [Uint16Array, Uint16Array];
    expect(aligned.filter((half, i) => half !== other[i])).toHaveLength(0);
  });
});
