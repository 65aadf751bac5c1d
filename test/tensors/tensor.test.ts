import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import { Device, DiceLoss, Tensor, WarpDiceError } from '../../lib/index.js';
import { native } from '../../lib/native/load.js';
import { tensor } from '../support/tensors.js';

test('from borrows', () => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const x = Tensor.from(data, [2, 3]);
  expect(x.data).toBe(data);
  expect(x.shape).toEqual([2, 3]);
  expect(x.dtype).toBe('float32');
  expect(x.size).toBe(6);
  expect(x.byteLength).toBe(24);
  expect(x.device).toBe(Device.cpu);
  expect(x.disposed).toBe(false);
});

test('copyOf copies', () => {
  const data = Float64Array.of(1, 2);
  const x = Tensor.copyOf(data, [2]);
  data[0] = 9;
  expect([...x.data]).toEqual([1, 2]);
  const half = Uint16Array.of(0x3c00);
  const one = Tensor.copyOf(half, [1], { dtype: 'bfloat16' });
  half[0] = 0;
  expect([one.dtype, one.data[0]]).toEqual(['bfloat16', 0x3c00]);
});

test.each([
  ['float32', Float32Array, 4],
  ['float64', Float64Array, 8],
  ['float16', (globalThis as { Float16Array?: typeof Uint16Array }).Float16Array ?? Uint16Array, 2],
  ['bfloat16', Uint16Array, 2],
  ['uint8', Uint8Array, 1],
  ['int32', Int32Array, 4],
  ['int64', BigInt64Array, 8],
] as const)('empty is zeros on shared memory: %s', (dtype, array, bytes) => {
  const x = Tensor.empty([2, 3], dtype);
  expect(x.data).toBeInstanceOf(array);
  expect(x.data.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect([...x.data].map(Number)).toEqual([0, 0, 0, 0, 0, 0]);
  expect(x.dtype).toBe(dtype);
  expect(x.byteLength).toBe(6 * bytes);
});

test.each(['float32', 'float64', 'bfloat16', 'uint8', 'int64'] as const)(
  'from 16 kB memory begins on a cache line: %s',
  (dtype) => {
    for (const bytes of [1 << 14, 100_008, 5 << 20]) {
      const x = Tensor.empty([bytes / Tensor.empty([1], dtype).byteLength], dtype);
      expect(native.bytesToLine(x.data)).toBe(0);
      expect(x.byteLength).toBe(bytes);
      expect(x.data.length).toBe(x.size);
      expect(x.data.every((value) => Number(value) === 0)).toBe(true);
    }
  },
);

test('so does a gradient that a call allocates, and small memory is as large as it says', () => {
  const { grad } = new DiceLoss().valueAndGrad(Tensor.empty([5000]), Tensor.empty([5000], 'uint8'));
  expect(native.bytesToLine(grad.data)).toBe(0);
  expect(Tensor.empty([4095]).data.buffer.byteLength).toBe(4 * 4095);
});

test('bytes to the next cache line', () => {
  const { buffer } = Tensor.empty([128], 'uint8').data;
  const first = native.bytesToLine(new Uint8Array(buffer));
  expect(first).toBeLessThan(64);
  for (let i = 0; i < 64; i++) {
    expect(native.bytesToLine(new Uint8Array(buffer, i))).toBe((first - i + 64) % 64);
  }
});

test('empty is float32 unless told', () => {
  expect(Tensor.empty([3]).dtype).toBe('float32');
});

test('the shape cannot be changed behind its back', () => {
  const shape = [2, 3];
  const x = Tensor.from(new Float32Array(6), shape);
  shape[0] = 99;
  expect(x.shape).toEqual([2, 3]);
  expect(() => {
    (x.shape as number[])[0] = 99;
  }).toThrow(/read only/);
});

describe('item', () => {
  test.each(['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int32', 'int64'] as const)(
    '%s',
    async (dtype) => {
      const { data } = tensor([3], [], dtype);
      const x = Tensor.from(data, [], { dtype });
      expect(x.itemSync()).toBe(3);
      expect(await x.item()).toBe(3);
    },
  );

  test('half-precision numbers of every kind', () => {
    const item = (bits: number, dtype: 'float16' | 'bfloat16') =>
      Tensor.from(Uint16Array.of(bits), [1], { dtype }).itemSync();
    expect(item(0x3555, 'float16')).toBe(1365 / 4096);
    expect(item(0x0001, 'float16')).toBe(2 ** -24);
    expect(item(0xfc00, 'float16')).toBe(-Infinity);
    expect(item(0x7e00, 'float16')).toBeNaN();
    expect(item(0xbf80, 'bfloat16')).toBe(-1);
    expect(item(0x7f80, 'bfloat16')).toBe(Infinity);
  });

  test('needs one element', async () => {
    const x = Tensor.from(new Float32Array(2), [2]);
    expect(() => x.itemSync()).toThrow(RangeError);
    await expect(x.item()).rejects.toThrow(RangeError);
  });
});

test('read is a copy', async () => {
  const data = Float32Array.of(1, 2);
  const x = Tensor.from(data, [2]);
  const copies = [x.readSync(), await x.read()];
  data[0] = 9;
  for (const copy of copies) expect([...copy]).toEqual([1, 2]);
});

describe('dispose', () => {
  test('twice is fine; the data is then out of reach', async () => {
    const x = Tensor.from(new Float32Array(1), [1]);
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    for (const use of [
      () => x.data,
      () => x.itemSync(),
      () => x.readSync(),
      () => x.to(Device.cpu),
    ]) {
      expect(use).toThrow(WarpDiceError);
      expect(use).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    }
    await expect(x.item()).rejects.toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    await expect(x.read()).rejects.toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  });

  test('Symbol.dispose', () => {
    const x = Tensor.from(new Float32Array(1), [1]);
    x[Symbol.dispose]();
    expect(x.disposed).toBe(true);
  });

  test('to makes a handle that lives on its own', () => {
    const data = Float32Array.of(5);
    const x = Tensor.from(data, [1]);
    const y = x.to(Device.cpu);
    expect(y).not.toBe(x);
    y.dispose();
    expect(x.disposed).toBe(false);
    expect(x.itemSync()).toBe(5);
  });
});

describe('a tensor in postMessage', () => {
  const x = Tensor.from(new Float32Array(2), [2]);

  test('is an error that says how to share memory', () => {
    expect(() => structuredClone(x)).toThrow(/Tensor\.empty/);
    const { port1, port2 } = new MessageChannel();
    expect(() => port1.postMessage({ x })).toThrow(/Tensor\.empty/);
    port1.close();
    port2.close();
  });

  test('what the error says to do works', () => {
    const shared = Tensor.empty([2]);
    const { data, shape, dtype } = structuredClone({
      data: shared.data,
      shape: shared.shape,
      dtype: shared.dtype,
    });
    const there = Tensor.from(data, shape, { dtype });
    (there.data as Float32Array)[1] = 7;
    expect([...shared.data]).toEqual([0, 7]);
  });
});

describe('devices', () => {
  test('the CPU is always there and is named', () => {
    expect(Device.cpu.kind).toBe('cpu');
    expect(Device.cpu.name).toMatch(/cpu/);
    expect(Device.list()).toContain(Device.cpu);
    expect(Device.list()).toContain(Device.default());
  });

  test('a reason is given where there is no GPU', () => {
    if (Device.default().kind === 'cpu') expect(Device.whyNoGpu).toMatch(/\w+ \w+/);
    else expect(Device.whyNoGpu).toBeUndefined();
  });
});

describe('errors', () => {
  const from = Tensor.from as (...args: unknown[]) => Tensor;
  const data = new Float32Array(6);
  test.each([
    [
      'more elements than data',
      () => from(data, [7]),
      RangeError,
      /Expected 7 elements .* received 6/,
    ],
    [
      'fewer elements than data',
      () => from(data, [5]),
      RangeError,
      /Expected 5 elements .* received 6/,
    ],
    ['a shape that is no array', () => from(data, 6), TypeError, /shape.* received 6/],
    ['a size that is no number', () => from(data, ['6']), TypeError, /shape/],
    ['a size of 0', () => from(new Float32Array(0), [0, 3]), RangeError, /shape.*\[0, 3\]/],
    ['a negative size', () => from(data, [-2, -3]), RangeError, /shape.*\[-2, -3\]/],
    ['a fractional size', () => from(data, [1.5, 4]), RangeError, /shape/],
    ['a size of NaN', () => from(data, [NaN]), RangeError, /shape/],
    ['sizes beyond all memory', () => from(data, [2 ** 40, 2 ** 40]), RangeError, /shape|elements/],
    ['data that is an array', () => from([1, 2], [2]), TypeError, /data.*received \[1, 2\]/],
    ['data that is a string', () => from('ab', [2]), TypeError, /data.*'ab'/],
    ['no data', () => from(undefined, [2]), TypeError, /data.*undefined/],
    ['an ArrayBuffer', () => from(new ArrayBuffer(8), [2]), TypeError, /data.*ArrayBuffer/],
    ['a DataView', () => from(new DataView(new ArrayBuffer(8)), [2]), TypeError, /data.*DataView/],
    [
      'Int8Array',
      () => from(new Int8Array(6), [6]),
      TypeError,
      /data.*an Int8Array of 6: use Int32Array\.from\(data\)$/,
    ],
    [
      'Uint32Array',
      () => from(new Uint32Array(6), [6]),
      TypeError,
      /data.*a Uint32Array of 6: use Int32Array\.from\(data\)$/,
    ],
    [
      'BigUint64Array',
      () => from(new BigUint64Array(6), [6]),
      TypeError,
      /data.*BigUint64Array of 6: use BigInt64Array\.from\(data\)$/,
    ],
    [
      'a shape that is a number',
      () => from(data, 6),
      TypeError,
      /shape but received 6: write \[6\]$/,
    ],
    [
      'Uint16Array without dtype',
      () => from(new Uint16Array(6), [6]),
      TypeError,
      /^Expected a dtype \('uint16' or 'float16' or 'bfloat16'\) for tensor/,
    ],
    [
      'Uint16Array as uint8',
      () => from(new Uint16Array(6), [6], { dtype: 'uint8' }),
      TypeError,
      /uint16 or float16 or bfloat16/,
    ],
    [
      'Float32Array as float64',
      () => from(data, [6], { dtype: 'float64' }),
      TypeError,
      /float32.*received 'float64'/,
    ],
    ['an unknown dtype', () => from(data, [6], { dtype: 'float8' }), RangeError, /dtype.*'float8'/],
    [
      'an unknown option',
      () => from(data, [6], { dtpye: 'float32' }),
      TypeError,
      /^Unknown option 'dtpye': did you mean dtype\?$/,
    ],
    [
      'options that are none',
      () => from(data, [6], 'float16'),
      TypeError,
      /for options but received 'float16': write \{ dtype: 'float16' \}$/,
    ],
    [
      'empty: an unknown dtype',
      () => Tensor.empty([2], 'half' as never),
      RangeError,
      /dtype.*'half'/,
    ],
    ['empty: a size of 0', () => Tensor.empty([0]), RangeError, /shape/],
    ['empty: no shape', () => (Tensor.empty as () => Tensor)(), TypeError, /shape/],
    ['to: no device', () => from(data, [6]).to('cpu' as never), TypeError, /Device.*'cpu'/],
  ] as const)('%s', (_, make, type, message) => {
    expect(make).toThrow(type);
    expect(make).toThrow(message);
    expect(make).toThrow(/^(Expected .* but received |Unknown option )/);
  });

  test('empty: more memory than there is', () => {
    expect(() => Tensor.empty([2 ** 50])).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_MEMORY',
        message: expect.stringMatching(
          /^Could not allocate 4503599627370496 bytes for 1125899906842624 elements of a Float32Array/,
        ),
      }),
    );
  });
});

test('copies of a Buffer are copies, although its own slice() is a view', () => {
  const buffer = Buffer.from([1, 2, 3]);
  const copy = Tensor.copyOf(buffer, [3]);
  const borrowed = Tensor.from(buffer, [3]);
  const read = borrowed.readSync();
  buffer[0] = 9;
  expect([copy.data[0], borrowed.data[0], read[0]]).toEqual([1, 9, 1]);
});

test('a float16 scalar on a Uint16Array of another realm is a number', () => {
  const foreign = runInNewContext('Uint16Array.of(0x3c00)') as Uint16Array;
  expect(Tensor.from(foreign, [], { dtype: 'float16' }).itemSync()).toBe(1);
});
