// The passes over memory that the benchmarks compare with: they must touch every byte and no other.
import { describe, expect, test } from '@jest/globals';
import { native } from '../lib/binding.js';

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

describe.each(sizes)('%d bytes', (size) => {
  test.each([0, 1, 60])('%d bytes into a line', (offset) => {
    const { whole, part } = region(size, offset);
    expect(native.read(part)).toBe(wordSum(part));
    for (const streaming of [false, true]) {
      const to = new Uint8Array(whole.length).fill(9);
      native.copy(to.subarray(offset, offset + size), part, streaming);
      const copied = new Uint8Array(whole.length).fill(9);
      copied.set(part, offset);
      expect(Buffer.compare(to, copied)).toBe(0);

      native.fill(to.subarray(offset, offset + size), 7, streaming);
      expect(Buffer.compare(to, copied.fill(7, offset, offset + size))).toBe(0);
    }
  });
});
