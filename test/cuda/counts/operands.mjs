// The operands of instructions, as functions of a thread that read and write 32 bits; floats by their bits.
const words = new Uint32Array(2); // on a machine whose numbers begin with their lowest byte
const floats = new Float32Array(words.buffer);
const doubles = new Float64Array(words.buffer);

export function toFloat(bits) {
  words[0] = bits;
  return floats[0];
}
export function ofFloat(x) {
  floats[0] = x;
  return words[0];
}
export function toDouble(low, high) {
  words[0] = low;
  words[1] = high;
  return doubles[0];
}
/** [low, high] */
export function ofDouble(x) {
  doubles[0] = x;
  return [words[0], words[1]];
}
export function halfToFloat(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}
/** The half nearest to a number that is one, or close enough for counting. */
export function ofHalf(x) {
  if (x === 0 || Number.isNaN(x)) return Number.isNaN(x) ? 0x7e00 : Object.is(x, -0) ? 0x8000 : 0;
  const sign = x < 0 ? 0x8000 : 0;
  const size = Math.abs(x);
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  if (exponent > 15) return sign | 0x7c00;
  const fraction = Math.round((size / 2 ** exponent) * 1024);
  return (
    sign | (exponent === -14 && fraction < 1024 ? fraction : ((exponent + 14) << 10) + fraction)
  );
}

const special = {
  '+INF': 0x7f800000,
  '-INF': 0xff800000,
  '+QNAN': 0x7fffffff,
  '-QNAN': 0xffffffff,
};

/** The number that an immediate is: an integer in hexadecimal, or a float. */
function immediate(text, isDouble) {
  if (text in special)
    return isDouble ? special[text.replace('QNAN', 'INF')] | 0x7ff00000 : special[text];
  if (/^-?0x/.test(text)) return Number(text.replace('-', '')) * (text.startsWith('-') ? -1 : 1);
  return isDouble ? ofDouble(Number(text))[1] : ofFloat(Number(text));
}

function constant(text) {
  const [, bank, register, offset] = /^c\[(0x\w)\]\[(?:(U?R\w+)(?:\.\w+)?\+?)?(-?0x\w+)?\]$/.exec(
    text,
  );
  const read = register ? word(register) : () => 0;
  const from = Number(offset ?? 0);
  return (t, next = 0) => t.block.constant(Number(bank), (read(t) | 0) + from + next);
}

/** Reads word `next` of a register pair, a constant or an immediate, without signs. */
function plain(text, isDouble) {
  if (text.startsWith('c[')) {
    const read = constant(text);
    return (t, next = 0) => read(t, 4 * next);
  }
  const register = /^(U?)R(\d+|Z)$/.exec(text);
  if (!register) {
    const value = immediate(text, isDouble);
    if (isDouble) return (_, next = 0) => (next ? value >>> 0 : 0);
    return (_, next = 0) => (next ? (value < 0 ? 0xffffffff : 0) : value >>> 0);
  }
  if (register[2] === 'Z') return () => 0;
  const number = Number(register[2]);
  return register[1] ? (t, next = 0) => t.U[number + next] : (t, next = 0) => t.R[number + next];
}

const clean = (text) => text.replace(/\.(H\d_H\d|64|B\d|U32)$/, '');

/** The bits of an integer: -a, ~a. */
export function word(text) {
  const [, sign, rest] = /^([-~]?)(.*)$/.exec(text);
  const isNumber = /^-?0x/.test(text);
  const read = plain(clean(isNumber ? text : rest));
  if (sign === '' || isNumber) return read;
  return sign === '-' ? (t) => -read(t) >>> 0 : (t, next = 0) => ~read(t, next) >>> 0;
}

/** A float: -a, |a|. */
export function float(text) {
  const isNumber = /^[-+]?(\d|INF|QNAN)/.test(text);
  const [, negative, absolute, rest] = isNumber
    ? [0, '', '', text]
    : /^(-?)(\|?)([^|]*)/.exec(text);
  const read = plain(clean(rest));
  return (t) => {
    let bits = read(t);
    if (absolute) bits &= 0x7fffffff;
    return toFloat(negative ? bits ^ 0x80000000 : bits);
  };
}

export function double(text) {
  const isNumber = /^[-+]?(\d|INF|QNAN)/.test(text);
  const [, negative, absolute, rest] = isNumber
    ? [0, '', '', text]
    : /^(-?)(\|?)([^|]*)/.exec(text);
  const read = plain(clean(rest), true);
  return (t) => {
    const x = toDouble(read(t, 0), read(t, 1));
    const size = absolute ? Math.abs(x) : x;
    return negative ? -size : size;
  };
}

/** 64 bits as a BigInt, without a sign. */
export function pair(text) {
  const negative = text.startsWith('-') && !text.startsWith('-0x');
  const read = plain(clean(negative ? text.slice(1) : text));
  return (t) => {
    const value = (BigInt(read(t, 1)) << 32n) | BigInt(read(t, 0));
    return negative ? BigInt.asUintN(64, -value) : value;
  };
}

/** Writes word `next` of a register. */
export function target(text) {
  const [, uniform, number] = /^(U?)R(\d+|Z)/.exec(text);
  if (number === 'Z') return () => {};
  const at = Number(number);
  return uniform
    ? (t, value, next = 0) => {
        t.U[at + next] = value;
      }
    : (t, value, next = 0) => {
        t.R[at + next] = value;
      };
}

export const isPredicate = (text) => /^!?U?P(\d|T)$/.test(text);

export function predicate(text) {
  const [, not, uniform, number] = /^(!?)(U?)P(\d|T)$/.exec(text);
  const at = number === 'T' ? 7 : Number(number);
  const wanted = not ? 0 : 1;
  return uniform ? (t) => t.UP[at] === wanted : (t) => t.P[at] === wanted;
}

export function setPredicate(text) {
  const [, uniform, number] = /^(U?)P(\d|T)$/.exec(text);
  if (number === 'T') return () => {};
  return uniform
    ? (t, value) => {
        t.UP[number] = value ? 1 : 0;
      }
    : (t, value) => {
        t.P[number] = value ? 1 : 0;
      };
}

/** An address: [R2+UR4+0x10], desc[UR8][R2.64+0x10]. */
export function address(text) {
  const inside = /\[([^[\]]*)\]$/.exec(text)[1];
  const wide = text.startsWith('desc') || inside.includes('.64');
  const terms = inside === '' ? [] : inside.split(/\+(?=-?0x|U?R)/).filter(Boolean);
  const parts = terms.map((term) => {
    if (/^-?0x/.test(term)) {
      const offset = immediate(term);
      return () => offset;
    }
    const read = plain(clean(term));
    const isWide = wide && (term.startsWith('UR') || term.endsWith('.64'));
    return isWide
      ? (t) => read(t, 1) * 2 ** 32 + read(t, 0)
      : (t) => (wide ? read(t) : read(t) | 0);
  });
  if (parts.length === 1) return parts[0];
  return (t) => parts.reduce((sum, part) => sum + part(t), 0);
}

/** Destination predicates at the beginning, sources, source predicates at the end. */
export function split(operands) {
  let first = 1;
  while (first < operands.length && isPredicate(operands[first])) first++;
  let end = operands.length;
  while (end > first && isPredicate(operands[end - 1])) end--;
  return {
    to: target(operands[0]),
    carries: operands.slice(1, first).map(setPredicate),
    sources: operands.slice(first, end),
    inputs: operands.slice(end).map(predicate),
  };
}
