// Memory that moves, shrinks, is shared or overlaps.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';
import { expectSameBits } from '../support/compare.js';
import { detach, full, type Typed, tensor } from '../support/tensors.js';

const shape = [1, 2, 64];
const values = Float64Array.from({ length: 128 }, (_, i) => Math.sin(3 * i));
const x = tensor(values, shape);
const y = tensor(
  Float64Array.from({ length: 64 }, (_, i) => i % 2),
  [1, 64],
  'uint8',
);
const loss = new DiceLoss({ activation: 'softmax' });
const expected = loss.valueAndGrad(x, y);
const expectWorks = () => {
  expect(loss.valueAndGrad(x, y).value.itemSync()).toBe(expected.value.itemSync());
};

describe('a detached ArrayBuffer', () => {
  const places: [string, (bad: Typed) => [Typed | Tensor, Typed | Tensor, object]][] = [
    ['predictions', () => [tensor(values, shape), y, {}]],
    ['target', () => [x, full([1, 64], 0, 'uint8'), {}]],
    ['weight', () => [x, y, { weight: full([1, 64], 1) }]],
    ['out.grad', () => [x, y, { out: { grad: full(shape, 0) } }]],
    ['out.value', () => [x, y, { out: { value: full([], 0, 'float64') } }]],
  ];
  test.each(places)('%s', async (name, place) => {
    for (const wrap of [
      (t: Typed) => t,
      (t: Typed) => Tensor.from(t.data, t.shape, { dtype: t.dtype }),
    ]) {
      const [a, b, options] = place(x) as [
        Typed,
        Typed,
        Record<string, Typed | Record<string, Typed>>,
      ];
      const find = (): Typed => {
        if (name === 'predictions') return a;
        if (name === 'target') return b;
        if (name === 'weight') return options.weight as Typed;
        return Object.values(options.out as Record<string, Typed>)[0] as Typed;
      };
      const bad = find();
      const wrapped = wrap(bad);
      detach(bad.data);
      const given =
        name === 'weight'
          ? { weight: wrapped }
          : name === 'out.grad'
            ? { out: { grad: wrapped } }
            : name === 'out.value'
              ? { out: { value: wrapped } }
              : {};
      const predictions = name === 'predictions' ? wrapped : a;
      const target = name === 'target' ? wrapped : b;
      expect(() => loss.valueAndGrad(predictions, target, given)).toThrow(
        new RegExp(`^Expected \\d+ elements for ${name.replace('.', '\\.')}.*detached`),
      );
      expect(() => loss.valueAndGradAsync(predictions, target, given)).toThrow(/detached/);
      expectWorks();
    }
  });
});

// Node 20 has resizable ArrayBuffers; the types of ES2023 do not.
interface Resizable extends ArrayBuffer {
  resize(length: number): void;
}
const resizable = (length: number, max: number) =>
  new (ArrayBuffer as unknown as new (length: number, options: object) => Resizable)(length, {
    maxByteLength: max,
  });
interface Growable extends SharedArrayBuffer {
  grow(length: number): void;
}

describe('a resizable ArrayBuffer', () => {
  test('works', () => {
    const buffer = resizable(512, 1024);
    const data = new Float32Array(buffer);
    data.set(values);
    const { value } = loss.valueAndGrad({ data, shape }, y, { out: { grad: { data, shape } } });
    expect(value.itemSync()).toBe(expected.value.itemSync());
    expectSameBits('grad', data, expected.grad.data as Typed['data']);
  });

  test('that was shrunk is an error, before and after a tensor was made of it', async () => {
    const buffer = resizable(512, 1024);
    const data = new Float32Array(buffer, 0, 128);
    data.set(values);
    const before = Tensor.from(data, shape);
    const tracking = Tensor.from(new Float32Array(buffer), shape);
    const plan = loss.plan(before, y).execute();
    buffer.resize(256);
    for (const predictions of [before, tracking, { data, shape }]) {
      expect(() => loss.valueAndGrad(predictions, y)).toThrow(
        /^Expected 128 elements for predictions/,
      );
      expect(() => loss.valueAsync(predictions, y)).toThrow(/predictions/);
      expect(() => loss.valueAndGrad(x, y, { out: { grad: predictions } })).toThrow(/out\.grad/);
    }
    expect(() => plan.execute()).toThrow(/predictions/);
    expectWorks();
  });

  test('that was grown under a tensor that tracks its length is an error', () => {
    const buffer = resizable(512, 1024);
    const tracking = Tensor.from(new Float32Array(buffer), shape);
    buffer.resize(1024);
    expect(() => loss.value(tracking, y)).toThrow(/128 elements.*predictions.*256/);
    expectWorks();
  });
});

describe('a SharedArrayBuffer', () => {
  test('works for everything', async () => {
    const shared = (like: Typed): Typed => {
      const buffer = new SharedArrayBuffer(like.data.byteLength);
      const data = new (like.data.constructor as new (b: SharedArrayBuffer) => Float32Array)(
        buffer,
      );
      data.set(like.data as Float32Array);
      return { ...like, data };
    };
    const out = {
      value: shared(full([], 7, 'float64')),
      perClass: shared(full([1, 2], 7, 'float64')),
      grad: shared(full(shape, 7)),
    };
    const weight = shared(full([1, 64], 1));
    for (const run of ['valueAndGrad', 'valueAndGradAsync'] as const) {
      out.grad.data.fill(7 as never);
      await loss[run](shared(x), shared(y), { weight, out });
      const plain = loss.valueAndGrad(x, y, { weight });
      expect(out.value.data[0]).toBe(plain.value.itemSync());
      expectSameBits('grad', out.grad.data, plain.grad.data as Typed['data']);
    }
  });

  test('a growable one works too', () => {
    const buffer = new (
      SharedArrayBuffer as unknown as new (
        length: number,
        options: object,
      ) => Growable
    )(512, {
      maxByteLength: 1024,
    });
    const data = new Float32Array(buffer, 0, 128);
    data.set(values);
    buffer.grow(1024);
    expect(loss.value({ data, shape }, y).value.itemSync()).toBe(expected.value.itemSync());
  });
});

describe('memory that overlaps', () => {
  /** Views of one buffer, `offset` elements apart. */
  const views = (offset: number) => {
    const all = new Float32Array(128 + offset);
    const a = all.subarray(0, 128);
    const b = all.subarray(offset);
    a.set(values);
    return [all, a, b] as const;
  };

  test.each([1, 16, 127])(
    'the gradient over part of the predictions, %d elements apart',
    async (offset) => {
      const [all, a, b] = views(offset);
      const before = all.slice();
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        const call = [{ data: from, shape }, y, { out: { grad: { data: to, shape } } }] as const;
        expect(() => loss.valueAndGrad(...call)).toThrow(RangeError);
        expect(() => loss.valueAndGrad(...call)).toThrow(
          /^Expected .*out\.grad.*overlaps predictions/,
        );
        expect(() => loss.valueAndGradAsync(...call)).toThrow(/overlaps/);
        expectSameBits('memory', all, before);
      }
      expectWorks();
    },
  );

  test('neighbours that only touch are fine', () => {
    const [, a, b] = views(128);
    loss.valueAndGrad({ data: a, shape }, y, { out: { grad: { data: b, shape } } });
    expectSameBits('grad', b, expected.grad.data as Typed['data']);
  });

  const bytes = new ArrayBuffer(4096);
  const grad = { data: new Float32Array(bytes, 0, 128), shape };
  const at = <T>(
    array: new (b: ArrayBuffer, offset: number, length: number) => T,
    offset: number,
    length: number,
  ) => new array(bytes, offset, length);
  const statistics = loss.statistics(x, y);

  test.each([
    [
      'grad over the target',
      x,
      { data: at(Uint8Array, 500, 64), shape: [1, 64] },
      { out: { grad } },
      /out\.grad.*target/,
    ],
    [
      'grad over the weight',
      x,
      y,
      { weight: { data: at(Float32Array, 256, 64), shape: [1, 64] }, out: { grad } },
      /out\.grad.*weight/,
    ],
    [
      'value over grad',
      x,
      y,
      { out: { grad, value: { data: at(Float64Array, 504, 1), shape: [] } } },
      /overlaps/,
    ],
    [
      'perClass over grad',
      x,
      y,
      { out: { grad, perClass: { data: at(Float64Array, 496, 2), shape: [1, 2] } } },
      /overlaps/,
    ],
    [
      'value over perClass',
      x,
      y,
      {
        out: {
          value: { data: at(Float64Array, 1024, 1), shape: [] },
          perClass: { data: at(Float64Array, 1016, 2), shape: [1, 2] },
        },
      },
      /overlaps/,
    ],
    [
      'value over the target',
      x,
      { data: at(Uint8Array, 1000, 64), shape: [1, 64] },
      { out: { value: { data: at(Float64Array, 1008, 1), shape: [] } } },
      /out\.value.*target/,
    ],
    [
      'accumulate over the predictions',
      { data: grad.data, shape },
      y,
      { accumulate: true, out: { grad } },
      /out\.grad.*predictions/,
    ],
    [
      'grad of another dtype over the predictions',
      { data: at(Uint16Array, 0, 128), shape, dtype: 'float16' },
      y,
      { gradDtype: 'float32', out: { grad } },
      /out\.grad.*predictions/,
    ],
  ] as [string, Typed, Typed, object, RegExp][])(
    '%s',
    async (_, predictions, target, options, message) => {
      new Uint8Array(bytes).fill(0);
      expect(() => loss.valueAndGrad(predictions, target, options)).toThrow(RangeError);
      expect(() => loss.valueAndGrad(predictions, target, options)).toThrow(message);
      expect(() => loss.valueAndGradAsync(predictions, target, options)).toThrow(message);
      expect(new Uint8Array(bytes).every((byte) => byte === 0)).toBe(true);
      expectWorks();
    },
  );

  test('grad over the statistics that it is made of', () => {
    const over = {
      data: new Float32Array(statistics.data.buffer as ArrayBuffer, 0, 2),
      shape: [1, 2, 1],
    };
    const small = [full([1, 2, 1], 0), full([1, 1], 0, 'uint8')] as const;
    expect(() => loss.gradient(...small, statistics, { out: { grad: over } })).toThrow(
      /overlaps statistics/,
    );
  });

  test('inputs may overlap one another', () => {
    const mask = tensor([1, 0, 1, 1], [4], 'float32');
    expect(
      new DiceLoss({ smoothDenominator: 0 }).value(mask, mask, { weight: mask }).value.itemSync(),
    ).toBe(0);
  });
});

test('sizes beyond 2^31 elements that do not fit the data are an error, not an overflow', () => {
  for (const huge of [
    [2 ** 31, 2],
    [65536, 65536],
    [1, 2, 2 ** 32],
    [2 ** 26, 2 ** 26],
  ]) {
    expect(() => loss.value({ data: x.data, shape: huge }, y)).toThrow(/^Expected .* received/);
  }
  expectWorks();
});
