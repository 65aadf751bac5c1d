// The passes over memory that the benchmark compares with: they must touch every byte and no other. The package has none of them.
import { describe, expect, test } from '@jest/globals';
import { loadPasses } from '../../bench/measure/passes.js';
import { native } from '../../lib/native/load.js';

const passes = loadPasses(2);

const sizes = [1, 3, 4, 63, 64, 65, 257, 1021, 2 ** 18, 2 ** 18 + 4, 3 * 2 ** 18 + 61];

/** Bytes that differ from their neighbours, `offset` bytes into a buffer with as many behind. */
function region(size: number, offset: number): { whole: Uint8Array; part: Uint8Array } {
  const whole = new Uint8Array(size + 2 * offset).map((_, i) => (i * 37 + (i >> 8)) % 251);
  return { whole, part: whole.subarray(offset, offset + size) };
}

function wordSum(bytes: Uint8Array): number {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return new Uint32Array(padded.buffer).reduce((sum, word) => (sum + word) >>> 0, 0);
}

// As many numbers as make a whole part of a thread and its end, from the first place of a line and from the sixteenth.
test.each([1, 3, 16, 67, 2 ** 16 + 5])('exponentials of %d numbers', (count) => {
  for (const offset of [0, 1, 15]) {
    const from = new Float32Array(count).map((_, i) => ((i * 37) % 251) / 8 - 16);
    for (const streaming of [false, true]) {
      const whole = new Float32Array(count + 2 * offset).fill(9);
      passes.exponentials(whole.subarray(offset, offset + count), from, streaming);
      whole.forEach((result, i) => {
        const inside = i >= offset && i < offset + count;
        const right = inside ? Math.exp(-Math.abs(Number(from[i - offset]))) : 9;
        // Without fused multiply-add, as the sanitizers compile, the exponent's reduction costs a few digits.
        if (!(Math.abs(result - right) <= 1e-6 * right))
          throw new Error(`${i}: ${result} for ${right}`);
      });
    }
  }
});

test('exponentials near 0: every place of an octave, to the last digits', () => {
  const from = new Float32Array(4096).map((_, i) => -i / 2700);
  const to = new Float32Array(from.length);
  passes.exponentials(to, from, false);
  expect(to[0]).toBe(1);
  from.forEach((x, i) => {
    // The last term: what is rounded without fused multiply-add.
    const most = (1.5e-7 - x * 6e-8) * Math.exp(x);
    const off = Math.abs(Number(to[i]) - Math.exp(x));
    if (!(off <= most)) throw new Error(`${x}: off by ${off}, not ${most}`);
  });
});

// One of each in a vector of ordinary numbers.
test('exponentials at the ends: 0 soon after the smallest normal number, NaN for NaN', () => {
  const ends: [from: number, to: number][] = [
    [0, 1],
    [-0, 1],
    [87, Math.exp(-87)],
    [87.33, Math.exp(-87.33)],
    [87.7, 0],
    [89, 0],
    [104, 0],
    [3e38, 0],
    [-Infinity, 0],
    [Number.NaN, Number.NaN],
  ];
  for (const [from, right] of ends) {
    const to = new Float32Array(64);
    passes.exponentials(to, new Float32Array(64).fill(1).fill(from, 20, 21), false);
    expect(Math.abs(Number(to[19]) - Math.exp(-1))).toBeLessThan(1e-6);
    if (right === 0 || Number.isNaN(right)) expect(to[20]).toBe(right);
    // Without fused multiply-add, as the sanitizers compile, the reduction of 87 rounds by up to 87 * 2^-24.
    else expect(Math.abs(Number(to[20]) - right)).toBeLessThanOrEqual(6e-6 * right);
  }
});

describe.each(sizes)('%d bytes', (size) => {
  test.each([0, 1, 60])('%d bytes into a line', (offset) => {
    const { whole, part } = region(size, offset);
    expect(passes.read(part)).toBe(wordSum(part));
    for (const streaming of [false, true]) {
      const to = new Uint8Array(whole.length).fill(9);
      passes.copy(to.subarray(offset, offset + size), part, streaming);
      const copied = new Uint8Array(whole.length).fill(9);
      copied.set(part, offset);
      expect(Buffer.compare(to, copied)).toBe(0);

      passes.fill(to.subarray(offset, offset + size), 7, streaming);
      expect(Buffer.compare(to, copied.fill(7, offset, offset + size))).toBe(0);
    }
  });
});

test('the addon of the package exports none of them', () => {
  const ours = Object.keys(native);
  expect(ours).toContain('Loss');
  expect(Object.keys(passes).sort()).toEqual([
    'copy',
    'exponentials',
    'fill',
    'multiplyAdds',
    'plainSums',
    'read',
    'use',
  ]);
  expect(ours.filter((name) => name in passes)).toEqual([]);
});

test('a SIMD target that is not there is refused', () => {
  expect(() => passes.use('mmx', 2)).toThrow('Expected a SIMD target but received mmx');
});

// With and without the check they are the same sums, to the bit: the check reads and writes nothing else.
test.each([1, 3, 4])('sums without an activation, of %d classes', (C) => {
  const S = 2176;
  const p = new Float32Array(C * S).map((_, i) => ((i * 37) % 251) / 251);
  const labels = new Uint8Array(S).map((_, s) => (s * 7) % Math.max(C, 2));
  const dense = new Float32Array(C * S).map((_, i) => ((i * 29) % 241) / 241);
  const first = (s: number) => Number(labels[s] === (C === 1 ? 1 : 0));
  const sum = (t: (s: number) => number) =>
    p.subarray(0, S).reduce((total, x, s) => total + x * t(s), 0);
  for (const checks of [false, true]) {
    expect(passes.plainSums(p, labels, C, checks)).toBeCloseTo(sum(first), 3);
    expect(passes.plainSums(p, dense, C, checks)).toBeCloseTo(
      sum((s) => Number(dense[s])),
      3,
    );
  }
  dense[C * S - 1] = 2; // is seen: one more
  expect(passes.plainSums(p, dense, C, true) - passes.plainSums(p, dense, C, false)).toBe(1);
});
