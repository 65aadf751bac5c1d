// Half-precision gradients: what float32 would have, rounded once, in every place of a block and of a cache line.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, type Float16Like, Tensor } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { encodeHalf, type Half } from '../support/half.js';
import { bitsOf } from '../support/tensors.js';

const layouts = ['channels-first', 'channels-last'] as const;

describe.each<Half>(['float16', 'bfloat16'])('%s', (dtype) => {
  // More voxels than two blocks of any size, and a part of a vector at the end.
  test.each([1, 3, 19])('%d classes: the bits of the float32 gradient, rounded', (C) => {
    for (const layout of layouts)
      for (const target of ['labels', 'dense'] as const)
        for (const gradScale of [1, 2 ** 12, 2 ** 30]) {
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
