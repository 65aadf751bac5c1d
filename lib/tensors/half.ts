// Half-precision numbers from their bits.
const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

export function bfloatToNumber(half: number): number {
  bits[0] = half << 16;
  return float[0] as number;
}

export function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
