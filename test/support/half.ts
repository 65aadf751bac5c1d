// Half-precision numbers, kept in 16 bits: float16 (IEEE binary16) and bfloat16 (the upper half of a float32).

const { abs, floor, max, min } = Math;
const { isNaN: notANumber, POSITIVE_INFINITY: inf } = Number;

export type Half = 'float16' | 'bfloat16';

/** Bits kept of the fraction, and the exponent of the smallest normal number. */
const FORMAT = {
  float16: { fraction: 10, minExponent: -14, maxExponent: 15 },
  bfloat16: { fraction: 7, minExponent: -126, maxExponent: 127 },
};

/** The distance between the neighbours of x in a half-precision format. */
export function ulp(x: number, half: Half): number {
  const { fraction, minExponent } = FORMAT[half];
  return 2 ** (max(exponentOf(x), minExponent) - fraction);
}

/** Rounds to the nearest number of the format, ties to even, and returns its 16 bits. */
export function encodeHalf(x: number, half: Half): number {
  const { fraction, minExponent, maxExponent } = FORMAT[half];
  const sign = x < 0 || 1 / x < 0 ? 0x8000 : 0;
  const infinity = (maxExponent * 2 + 1) << fraction;
  if (notANumber(x)) return infinity | (1 << (fraction - 1));
  const steps = roundToEven(abs(x) / ulp(x, half)); // exact: a division by a power of two
  if (steps === inf) return sign | infinity;
  // Subnormals are their number of steps. Otherwise steps has an implied leading bit: the bits of the exponent are added to
  // it, and a step too far in the fraction carries into the exponent, as it should, up to infinity.
  const biased = max(exponentOf(x), minExponent) - minExponent;
  return sign | min((biased << fraction) + steps, infinity);
}

/** The number that 16 bits stand for. */
export function decodeHalf(bits: number, half: Half): number {
  const { fraction, minExponent, maxExponent } = FORMAT[half];
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fraction;
  const mantissa = bits & ((1 << fraction) - 1);
  if (exponent === maxExponent * 2 + 1) return mantissa ? NaN : sign * inf;
  const smallest = 2 ** (minExponent - fraction);
  if (exponent === 0) return sign * mantissa * smallest;
  return sign * (mantissa + 2 ** fraction) * smallest * 2 ** (exponent - 1);
}

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
const upper = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0; // little-endian: the second word

/** floor(log2(|x|)), from the exponent bits of the float64. Low for 0 and high for infinities and NaN. */
function exponentOf(x: number): number {
  double[0] = x;
  return (((words[upper] as number) >>> 20) & 0x7ff) - 1023;
}

function roundToEven(x: number): number {
  const below = floor(x);
  const rest = x - below;
  if (rest > 0.5 || (rest === 0.5 && below % 2 === 1)) return below + 1;
  return below;
}
