// valueAndGrad computes the exponentials once and keeps them where the gradient goes; gradient() computes
// them again. Which of the two a call does depends on sizes and dtypes: the bits may not.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, type DType, Tensor, type TypedArray } from '../../lib/index.js';
import { expectSameBits } from '../support/compare.js';
import { encodeHalf } from '../support/half.js';
import { inThisRun } from '../support/in-this-run.js';
import { Random } from '../support/random.js';

const shapes: [name: string, first: number[], last: number[]][] = [
  ['one class', [2, 1, 1009], [2, 1009, 1]],
  ['four classes', [3, 4, 777], [3, 777, 4]],
  ['many classes', [1, 19, 333], [1, 333, 19]],
];

function predictions(shape: number[], dtype: DType): Tensor {
  const random = new Random(7);
  const size = shape.reduce((product, length) => product * length, 1);
  const data = dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
  for (let i = 0; i < size; i++) data[i] = 8 * random.uniform() - 4;
  return Tensor.from(data, shape);
}

const bytes = (data: TypedArray) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

for (const dtype of ['float32', 'float64'] as const) {
  for (const layout of ['channels-first', 'channels-last'] as const) {
    describe(`${dtype}, ${layout}`, () => {
      test.each(shapes)('%s: fused and separate gradients have the same bits', (_, first, last) => {
        const shape = layout === 'channels-first' ? first : last;
        const classes = first[1] as number;
        const activation = classes === 1 ? 'sigmoid' : 'softmax';
        const loss = new DiceLoss({ activation, layout });
        const x = predictions(shape, dtype);
        const labels = new Uint8Array((first[0] as number) * (first[2] as number));
        for (let i = 0; i < labels.length; i++) labels[i] = (i * 7) % Math.max(classes, 2);
        const y = Tensor.from(labels, [first[0] as number, first[2] as number]);

        const separate = loss.gradient(x, y, loss.statistics(x, y));
        const { grad } = loss.valueAndGrad(x, y);
        expect(bytes(grad.data).equals(bytes(separate.data))).toBe(true);

        const inPlace = Tensor.copyOf(x.data, shape);
        loss.valueAndGrad(inPlace, y, { out: { grad: inPlace } });
        expect(bytes(inPlace.data).equals(bytes(separate.data))).toBe(true);
      });
    });
  }
}

test('a gradient larger than the cache (written around it) has the bits of the same voxels in a smaller call', () => {
  const [C, S] = [2, 5 * 2 ** 20 + 64];
  const x = predictions([1, C, S], 'float32');
  const y = Tensor.from(new Uint8Array(S).fill(1, 0, 1000), [1, S]);
  const loss = new DiceLoss({ activation: 'softmax' });
  const statistics = loss.statistics(x, y);
  const large = loss.gradient(x, y, statistics).data as Float32Array;
  const fused = loss.valueAndGrad(x, y).grad.data as Float32Array;
  expect(bytes(fused).equals(bytes(large))).toBe(true);

  const part = 4096;
  const xs = Tensor.from(new Float32Array(C * part), [1, C, part]);
  for (let c = 0; c < C; c++)
    xs.data.set((x.data as Float32Array).subarray(c * S, c * S + part) as never, c * part);
  const ys = Tensor.from((y.data as Uint8Array).slice(0, part), [1, part]);
  const small = loss.gradient(xs, ys, statistics).data as Float32Array;
  for (let c = 0; c < C; c++) {
    const expected = bytes(small.subarray(c * part, (c + 1) * part));
    expect(bytes(large.subarray(c * S, c * S + part)).equals(expected)).toBe(true);
  }
});

/** Beyond the caches gradients are written around them, wherever in a line they or their rows begin. */
const beyondCaches = [
  [2, 3, 700_003, 0, 'channels-first', 'float32'],
  [3, 1, 1_100_001, 1, 'channels-first', 'float32'],
  [2, 19, 90_001, 5, 'channels-first', 'float32'],
  [2, 4, 500_000, 3, 'channels-first', 'float32'],
  [2, 3, 700_003, 0, 'channels-last', 'float32'],
  [2, 19, 90_001, 5, 'channels-last', 'float32'],
  [2, 4, 250_000, 1, 'channels-last', 'float64'],
  [2, 3, 1_300_003, 0, 'channels-last', 'float16'],
  [1, 5, 1_600_007, 3, 'channels-last', 'bfloat16'],
] as const;
test.each(beyondCaches.filter(inThisRun))(
  '[%d, %d, %d] beyond the caches, %d elements into a line, %s, %s: the bits of a call in place',
  (N, C, S, offset, layout, dtype) => {
    const size = N * C * S;
    const last = layout === 'channels-last';
    const shape = last ? [N, S, C] : [N, C, S];
    const half = dtype === 'float16' || dtype === 'bfloat16';
    const numbers = Array.from({ length: 1009 }, (_, i) =>
      half ? encodeHalf(i / 100 - 5, dtype) : i / 100 - 5,
    );
    const make = (length: number) => Tensor.empty([length], dtype).data as Float32Array;
    const x = make(size);
    for (let i = 0; i < size; i++) x[i] = numbers[(i * 7919) % 1009] as number;
    const whole = make(size + offset + 16);
    const logits = Tensor.from(x, shape, { dtype });
    const labels = Tensor.from(
      Uint8Array.from({ length: N * S }, (_, i) => (i >> 3) % Math.max(C, 2)),
      [N, S],
    );
    const grad = Tensor.from(whole.subarray(offset, offset + size), shape, { dtype });
    const loss = new DiceLoss({ activation: C === 1 ? 'sigmoid' : 'softmax', layout });
    const gradScale = half ? 2 ** 20 : 1;
    const inPlace = Tensor.from(x.slice(), shape, { dtype });
    loss.valueAndGrad(inPlace, labels, { gradScale, out: { grad: inPlace } });
    const statistics = loss.statistics(logits, labels);
    // Where valueAndGrad keeps what it computed, gradient alone still writes around the caches.
    for (const fill of [
      () => loss.valueAndGrad(logits, labels, { gradScale, out: { grad } }),
      () => loss.gradient(logits, labels, statistics, { gradScale, out: { grad } }),
    ]) {
      whole.fill(0);
      fill();
      expectSameBits('grad', grad.data as Float32Array, inPlace.data as Float32Array);
      expect([...whole.subarray(0, offset), ...whole.subarray(offset + size)]).toEqual(
        Array(offset + 16).fill(0),
      );
    }
  },
);
