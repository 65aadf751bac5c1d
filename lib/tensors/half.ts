// Reads an element of an array as a number; half-precision elements from their bits.
import type { DType, TypedArray } from './dtype.js';
import { kindOf } from './typed-array.js';

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

function bfloatToNumber(half: number): number {
  bits[0] = half << 16;
  return float[0] as number;
}

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** The first element of an array of that dtype. */
export function firstNumber(data: TypedArray, dtype: DType): number {
  const value = Number(data[0]);
  if (dtype === 'float16' && kindOf(data) !== 'Float16Array') return halfToNumber(value);
  return dtype === 'bfloat16' ? bfloatToNumber(value) : value;
}
