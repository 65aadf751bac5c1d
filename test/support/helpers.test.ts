// The helpers of the tests that could be wrong themselves.
import { describe, expect, test } from '@jest/globals';
import { expectNoGarbage } from './garbage.js';
import { decodeHalf, encodeHalf, type Half, ulp } from './half.js';
import { PartOfCases, readEvery } from './part-of-cases.js';

describe('half precision', () => {
  const isNaNBits = (bits: number, infinity: number) => (bits & 0x7fff) > infinity;

  describe.each([
    ['float16', 0x7c00],
    ['bfloat16', 0x7f80],
  ] as [Half, number][])('%s', (half, infinity) => {
    test('every finite number survives a round trip', () => {
      for (let bits = 0; bits < 0x10000; bits++) {
        if (isNaNBits(bits, infinity)) expect(decodeHalf(bits, half)).toBeNaN();
        else if (encodeHalf(decodeHalf(bits, half), half) !== bits) throw new Error(`bits ${bits}`);
      }
    });

    test('halfway between two neighbours it takes the even one, else the nearest', () => {
      for (let bits = 0; bits < infinity - 1; bits++) {
        const low = decodeHalf(bits, half);
        const high = decodeHalf(bits + 1, half);
        const middle = (low + high) / 2;
        const even = bits % 2 === 0 ? bits : bits + 1;
        const step = high - low;
        if (
          encodeHalf(middle, half) !== even ||
          encodeHalf(middle - step / 8, half) !== bits ||
          encodeHalf(middle + step / 8, half) !== bits + 1 ||
          step !== ulp(low, half)
        )
          throw new Error(`between ${low} and ${high}`);
      }
    });
  });

  test('numbers known from elsewhere', () => {
    expect(encodeHalf(1, 'float16')).toBe(0x3c00);
    expect(encodeHalf(-2, 'float16')).toBe(0xc000);
    expect(encodeHalf(0.1, 'float16')).toBe(0x2e66);
    expect(encodeHalf(2 ** -24, 'float16')).toBe(1);
    expect(encodeHalf(65504, 'float16')).toBe(0x7bff);
    expect(encodeHalf(65519.99, 'float16')).toBe(0x7bff);
    expect(encodeHalf(65520, 'float16')).toBe(0x7c00);
    expect(encodeHalf(-1e300, 'float16')).toBe(0xfc00);
    expect(encodeHalf(-0, 'float16')).toBe(0x8000);
    expect(encodeHalf(NaN, 'float16') & 0x7c00).toBe(0x7c00);
    expect(encodeHalf(1, 'bfloat16')).toBe(0x3f80);
    expect(encodeHalf(3.14159274, 'bfloat16')).toBe(0x4049);
    expect(encodeHalf(3.4e38, 'bfloat16')).toBe(0x7f80);
    expect(encodeHalf(-Infinity, 'bfloat16')).toBe(0xff80);
  });

  test('a bfloat16 is the upper half of its float32', () => {
    const f = new Float32Array(1);
    const u = new Uint32Array(f.buffer);
    for (let bits = 0; bits < 0x7f80; bits += 7) {
      u[0] = bits << 16;
      if (decodeHalf(bits, 'bfloat16') !== f[0]) throw new Error(`bits ${bits}`);
    }
  });
});

describe('a part of the cases', () => {
  test('WARPDICE_TEST_EVERY is an integer from 1', () => {
    expect(readEvery(undefined)).toBeUndefined();
    expect(readEvery('1')).toBe(1);
    expect(readEvery('10')).toBe(10);
    for (const text of ['abc', '0', '-1', '1.5', '', 'NaN', 'Infinity']) {
      expect(() => readEvery(text)).toThrow(
        `Expected an integer from 1 for WARPDICE_TEST_EVERY but received '${text}'`,
      );
    }
  });

  test('every nth case, and what was left out', () => {
    const part = new PartOfCases(3);
    expect(part.summary()).toBeUndefined();
    expect(Array.from({ length: 7 }, () => part.next())).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      true,
    ]);
    expect(part.summary()).toBe('one case in 3, 3 of 7');
  });

  test('all cases', () => {
    const part = new PartOfCases(1);
    expect([part.next(), part.next()]).toEqual([true, true]);
    expect(part.summary()).toBeUndefined();
  });

  test('a suite of which no case was run fails', () => {
    const part = new PartOfCases(Number.NaN);
    part.next();
    expect(() => part.summary()).toThrow('No case was run: one case in NaN, 0 of 1');
  });
});

describe('garbage', () => {
  test('an object that each step leaves is seen', () => {
    let left: unknown;
    expect(() => expectNoGarbage(() => (left = { of: left === undefined }))).toThrow(
      /^500 steps leave [89]\d{3}|\d{5,} bytes or more$/,
    );
  });

  test('steps that leave none', () => {
    let steps = 0;
    expectNoGarbage(() => steps++);
    expect(steps).toBe(10_000);
  });
});
