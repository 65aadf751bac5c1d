// Nearest resampling in the addon: any element size, both layouts, any rank, against index arithmetic written out.
import { expect, test } from '@jest/globals';
import type { NativeResampling } from '../../binding.js';
import { callResample } from '../../lib/calls/resample.js';
import { setThreads } from '../../lib/index.js';
import { native } from '../../lib/native/load.js';

const product = (sizes: number[]) => sizes.reduce((a, b) => a * b, 1);

/**
 * The voxel of `from` that holds the middle of voxel i of `to`, found by walking: in units of 1 / (2 * to) voxels, voxel j of
 * `from` begins at j * 2 * to and the middle is at (2 * i + 1) * from.
 */
function middle(i: number, from: number, to: number): number {
  let j = 0;
  while ((j + 1) * 2 * to <= (2 * i + 1) * from) j++;
  return j;
}

/** Element by element: unravel the index, take the middle on every axis, ravel again. */
function expected(values: number[], outer: number, from: number[], to: number[], inner: number) {
  return Array.from({ length: outer * product(to) * inner }, (_, at) => {
    const unit = at % inner;
    let left = Math.floor(at / inner);
    const place: number[] = [];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      place[axis] = left % (to[axis] as number);
      left = Math.floor(left / (to[axis] as number));
    }
    let source = left;
    for (let axis = 0; axis < to.length; axis++) {
      const [f, t] = [from[axis] as number, to[axis] as number];
      source = source * f + middle(place[axis] as number, f, t);
    }
    return values[source * inner + unit] as number;
  });
}

const types = [Uint8Array, Uint16Array, Float32Array, Float64Array];
const cases: [outer: number, from: number[], to: number[], inner: number][] = [
  [1, [8], [4], 1],
  [3, [7], [3], 1],
  [2, [31, 33], [7, 16], 1],
  [2, [6, 5, 4], [3, 2, 1], 3],
  [1, [2, 3], [5, 7], 2],
  [1, [1, 1, 1], [1, 1, 1], 5],
  [4, [257, 130], [129, 65], 1],
];

test.each(cases)('outer %j, from %j to %j, inner %j', (outer, from, to, inner) => {
  const values = Array.from({ length: outer * product(from) * inner }, (_, i) => (i * 31) % 251);
  const want = expected(values, outer, from, to, inner);
  for (const Type of types) {
    for (const threads of [1, 3]) {
      setThreads(threads);
      const result = new Type(want.length + 1).fill(77);
      callResample(native, {
        from: Type.from(values),
        elementBytes: Type.BYTES_PER_ELEMENT,
        outer,
        fromSizes: from,
        toSizes: to,
        inner,
        to: result,
        stream: undefined,
      });
      expect(Array.from(result)).toEqual([...want, 77]);
    }
  }
  setThreads(2);
});

test('the middle of each block, as nearest-exact of PyTorch', () => {
  const at = (from: number, to: number) => expected([...Array(from).keys()], 1, [from], [to], 1);
  expect(at(8, 4)).toEqual([1, 3, 5, 7]);
  expect(at(32, 4)).toEqual([4, 12, 20, 28]);
  expect(at(9, 3)).toEqual([1, 4, 7]);
  expect(at(7, 3)).toEqual([1, 3, 5]);
  expect(at(2, 5)).toEqual([0, 0, 1, 1, 1]);
});

test('what does not fit is an error, and nothing is written', () => {
  const good: NativeResampling = {
    from: new Uint8Array(12),
    elementBytes: 1,
    outer: 1,
    fromSizes: [3, 4],
    toSizes: [2, 2],
    inner: 1,
    to: new Uint8Array(4),
    stream: undefined,
  };
  const refuse = (change: Partial<NativeResampling>, message: RegExp) => {
    const to = new Uint8Array(4).fill(7);
    expect(() => callResample(native, { ...good, to, ...change })).toThrow(message);
    expect(to).toEqual(new Uint8Array(4).fill(7));
  };
  refuse({ from: new Uint8Array(11) }, /Expected at least 12 bytes for from but received 11/);
  refuse({ to: new Uint8Array(3) }, /Expected at least 4 bytes for to but received 3/);
  refuse({ fromSizes: [12] }, /as many sizes/);
  refuse({ fromSizes: [], toSizes: [] }, /as many sizes/);
  refuse({ toSizes: [0, 2] }, /Expected sizes from 1/);
  refuse({ toSizes: [2 ** 40, 2 ** 40] }, /Expected sizes from 1/);
  refuse({ fromSizes: [2 ** 31, 1], toSizes: [2 ** 31, 1] }, /Expected sizes from 1/); // 2 * from * to is 2^63
  refuse({ outer: -1 }, /Expected sizes from 1/);
  const from = new Uint8Array(12).fill(7);
  refuse({ from, to: from.subarray(8) }, /overlaps from/);
  expect(from).toEqual(new Uint8Array(12).fill(7));
  const to = new Uint8Array(4).fill(7);
  callResample(native, { ...good, to });
  expect(to).toEqual(new Uint8Array(4));
});

test('axes whose product is beyond 32 bits', () => {
  const [from, to] = [3_000_000, 1_000_001];
  const values = Uint8Array.from({ length: from }, (_, i) => i % 251);
  const result = new Uint8Array(to);
  callResample(native, {
    from: values,
    elementBytes: 1,
    outer: 1,
    fromSizes: [from],
    toSizes: [to],
    inner: 1,
    to: result,
    stream: undefined,
  });
  for (const i of [0, 1, 500_000, 999_999, 1_000_000]) {
    const place = Number(((2n * BigInt(i) + 1n) * BigInt(from)) / (2n * BigInt(to)));
    expect(result[i]).toBe(values[place]);
  }
});
