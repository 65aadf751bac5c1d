// Half-precision numbers, kept in 16 bits: float16 (IEEE binary16) and bfloat16 (the upper half of a float32).

export type Half = 'float16' | 'bfloat16';

/** Bits kept of the fraction, and the exponent of the smallest normal number. */
const FORMAT = {
  float16: { fraction: 10, minExponent: -14, maxExponent: 15 },
  bfloat16: { fraction: 7, minExponent: -126, maxExponent: 127 },
};

/** The distance between the neighbours of x in a half-precision format. */
export function ulp(x: number, half: Half): number {
  const { fraction, minExponent } = FORMAT[half];
  return 2 ** (Math.max(exponentOf(x), minExponent) - fraction);
}

/** Rounds to the nearest number of the format, ties to even, and returns its 16 bits. */
export function encodeHalf(x: number, half: Half): number {
  const { fraction, minExponent, maxExponent } = FORMAT[half];
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const infinity = (maxExponent * 2 + 1) << fraction;
  if (Number.isNaN(x)) return infinity | (1 << (fraction - 1));
  const steps = roundToEven(Math.abs(x) / ulp(x, half)); // exact: a division by a power of two
  if (steps === Infinity) return sign | infinity;
  // Subnormals are their number of steps. Otherwise steps has an implied leading bit: the bits of the exponent are added to
  // it, and a step too far in the fraction carries into the exponent, as it should, up to infinity.
  const biased = Math.max(exponentOf(x), minExponent) - minExponent;
  return sign | Math.min((biased << fraction) + steps, infinity);
}

/** The number that 16 bits stand for. */
export function decodeHalf(bits: number, half: Half): number {
  const { fraction, minExponent, maxExponent } = FORMAT[half];
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fraction;
  const mantissa = bits & ((1 << fraction) - 1);
  if (exponent === maxExponent * 2 + 1) return mantissa ? NaN : sign * Infinity;
  const smallest = 2 ** (minExponent - fraction);
  if (exponent === 0) return sign * mantissa * smallest;
  return sign * (mantissa + 2 ** fraction) * smallest * 2 ** (exponent - 1);
}

/** floor(log2(|x|)), exactly. */
function exponentOf(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude === 0) return -Infinity;
  if (!Number.isFinite(magnitude)) return 128;
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--; // log2 may round up just below a power of two
  if (2 ** (exponent + 1) <= magnitude) exponent++;
  return exponent;
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest > 0.5 || (rest === 0.5 && below % 2 === 1)) return below + 1;
  return below;
}
