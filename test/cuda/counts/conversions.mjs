// Instructions that convert numbers.
import {
  double,
  float,
  halfToFloat,
  ofDouble,
  ofFloat,
  ofHalf,
  pair,
  target,
  word,
} from './operands.mjs';

/** Writes a double to a pair of registers. */
export function putDouble(t, to, x) {
  const [low, high] = ofDouble(x);
  to(t, low, 0);
  to(t, high, 1);
}

export function toInteger({ operands, name }) {
  const to = target(operands[0]);
  const from = (name.includes('F64') ? double : float)(operands.at(-1));
  return (t) => {
    const x = from(t);
    const most = name.includes('64') ? 2 ** 63 : name.includes('U32') ? 2 ** 32 - 1 : 2 ** 31 - 1;
    const whole = Number.isNaN(x)
      ? 0
      : Math.max(name.includes('U32') ? 0 : -most, Math.min(most, Math.trunc(x)));
    to(t, Number(BigInt.asUintN(32, BigInt(whole))));
    if (name.includes('64')) to(t, Number(BigInt.asUintN(32, BigInt(whole) >> 32n)), 1);
  };
}

export function ofInteger({ operands, name }) {
  const to = target(operands[0]);
  const isWide = /[US]64/.test(name);
  const text = operands.at(-1);
  const byte = /\.B(\d)$/.exec(text)?.[1] ?? 0;
  const read = isWide ? pair(text) : word(text);
  return (t) => {
    let value = read(t);
    if (isWide) value = Number(name.includes('U64') ? value : BigInt.asIntN(64, value));
    else if (name.includes('U16')) value &= 0xffff;
    else if (name.includes('U8')) value = (value >>> (8 * byte)) & 255;
    else if (!name.includes('U32')) value = value | 0;
    if (name.includes('F64')) putDouble(t, to, value);
    else to(t, ofFloat(value));
  };
}

export function convertFloat({ operands, name }) {
  const to = target(operands[0]);
  const [, into, from] = name.split('.').filter((part) => /^F\d/.test(part) || part === 'F2F');
  const read = (from === 'F64' ? double : float)(operands.at(-1));
  return (t) => {
    if (into === 'F64') putDouble(t, to, read(t));
    else to(t, into === 'F16' ? ofHalf(read(t)) : ofFloat(read(t)));
  };
}

/** Two halves at once: here only as a constant, and as the way from a half to a float. */
export function halves({ operands, name }) {
  const to = target(operands[0]);
  if (name.startsWith('HADD2.F32')) {
    const text = operands.at(-1);
    const read = word(text.replace(/^-/, ''));
    const upper = text.includes('H1');
    return (t) => to(t, ofFloat(halfToFloat(upper ? read(t) >>> 16 : read(t) & 0xffff)));
  }
  const numbers = operands.slice(-2).map(Number);
  const value = numbers.some(Number.isNaN)
    ? 0
    : ((ofHalf(numbers[0]) << 16) | ofHalf(numbers[1])) >>> 0;
  return (t) => to(t, value);
}

export function packHalves({ operands, name }) {
  const to = target(operands[0]);
  const [a, b] = operands.slice(1).map(float);
  const half = name.includes('BF16') ? (x) => ofFloat(x) >>> 16 : ofHalf;
  return (t) => to(t, ((half(a(t)) << 16) | half(b(t))) >>> 0);
}
