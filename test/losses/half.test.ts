// Half-precision gradients: what float32 would have, rounded once, in every place of a block and of a cache line.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { encodeHalf, type Half } from '../support/half.js';

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
          expectRounded(rounded.data as Uint16Array, exact.data as Float32Array, dtype);
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
        expect(join(rows(grad.data as Uint16Array))).toEqual(small.data);
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
