// Half-precision numbers as the 16 bits of a Uint16Array.
import { type Case, type HalfDType, isHalf } from './cases.js';

const formats = {
  float16: { fraction: 10, minExponent: -14 },
  bfloat16: { fraction: 7, minExponent: -126 },
};

/** What an element of this dtype stores for x; x must be exactly representable (no rounding here). */
export function encodeExact(x: number, dtype: Case['dtype']): number {
  if (!isHalf(dtype) || x === 0) return x;
  const { fraction, minExponent } = formats[dtype];
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  const mantissa = Math.abs(x) / 2 ** exponent - 1;
  const bits = ((exponent - minExponent + 1) << fraction) + mantissa * 2 ** fraction;
  return (x < 0 ? 0x8000 : 0) + bits;
}

/** The number that each pattern of 16 bits stands for. */
export function decodeTable(dtype: HalfDType): Float64Array {
  const { fraction, minExponent } = formats[dtype];
  const highest = 2 ** (15 - fraction) - 1;
  return Float64Array.from({ length: 65536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits & 0x7fff) >> fraction;
    const mantissa = (bits & (2 ** fraction - 1)) / 2 ** fraction;
    if (exponent === highest) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    if (exponent === 0) return sign * mantissa * 2 ** minExponent;
    return sign * (1 + mantissa) * 2 ** (exponent - 1 + minExponent);
  });
}

/** Half an ulp of x at most: relative for normal numbers, absolute for the smallest. 0 for others (the budget has it). */
export function roundingOf(dtype: Case['dtype']): { relative: number; absolute: number } {
  if (!isHalf(dtype)) return { relative: 0, absolute: 0 };
  const { fraction, minExponent } = formats[dtype];
  return { relative: 2 ** -(fraction + 1), absolute: 2 ** (minExponent - fraction - 1) };
}
