// Tensors of 2^31 to 2^33 elements and bytes. Nothing touches them, so the system gives them addresses and no memory.
import { constants } from 'node:buffer';
import { describe, expect, test } from '@jest/globals';
import { Device, Tensor, WarpDiceError } from '../../lib/index.js';
import { kindOf, partOf } from '../../lib/tensors/typed-array.js';
import { allTests } from '../support/in-this-run.js';
import { runWell } from '../support/process.js';

const sizes = [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32];
const cases = sizes.flatMap((size) =>
  (['uint8', 'float16', 'float32'] as const)
    .filter((dtype) => dtype !== 'float32' || size <= 2 ** 31 + 1)
    .map((dtype) => [size, dtype] as const),
);

describe.each([
  ['Tensor.empty', (size: number, dtype: 'uint8') => Tensor.empty([size], dtype)],
  ['a result', (size: number, dtype: 'uint8') => Tensor.forResult([size], dtype, Device.cpu)],
])('%s', (_, make) => {
  test.each(cases)('%d elements of %s', (size, dtype) => {
    const tensor = make(size, dtype as 'uint8');
    const bytes = { uint8: 1, float16: 2, float32: 4 }[dtype];
    expect([tensor.size, tensor.data.length, tensor.byteLength]).toEqual([
      size,
      size,
      size * bytes,
    ]);
    const { data } = tensor;
    data[size - 1] = 1;
    const end = tensor.view([2], size - 2).data;
    expect([end[0], end[1], end.length]).toEqual([0, 1, 2]);
    expect(kindOf(partOf(data, size - 1, size))).toBe(kindOf(data));
  });
});

test('1.1e9 elements of float32, as Node makes them', () => {
  expect(Tensor.empty([1.1e9]).byteLength).toBe(4.4e9);
});

test('more elements than an array can have: the error says so', () => {
  const size = 2 ** 52;
  expect(() => Tensor.empty([size], 'uint8')).toThrow(WarpDiceError);
  const limit = size > constants.MAX_LENGTH ? `.* at most ${constants.MAX_LENGTH}$` : '';
  expect(() => Tensor.empty([size], 'uint8')).toThrow(
    new RegExp(`^Could not allocate ${size} bytes for ${size} elements of a Uint8Array${limit}`),
  );
});

// Shared memory that nobody holds any more is collected in a synchronous loop too: V8 is told how much it is.
describe('shared memory', () => {
  const count = allTests ? 80 : 50;
  test.each(['dispose', 'drop'])(`%s: ${count} tensors of 16 MB do not pile up`, async (how) => {
    const megabytes = Number(await runWell('shared-memory.mjs', { args: [how, String(count)] }));
    expect(megabytes).toBeLessThan(600);
  });
});
