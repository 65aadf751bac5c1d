// What each instruction does to a thread. Only what decides which way the threads go must be right to the bit: the
// integers and predicates. Floats are rounded to nearest; what lies in global memory is made up.
import {
  convertFloat,
  halves,
  ofInteger,
  packHalves,
  putDouble,
  toInteger,
} from './conversions.mjs';
import { add64, extreme64, extremeOfThree } from './newer.mjs';
import {
  address,
  double,
  float,
  isPredicate,
  ofDouble,
  ofFloat,
  pair,
  predicate,
  setPredicate,
  split,
  target,
  toDouble,
  word,
} from './operands.mjs';

const signed = (x) => x | 0;
const comparisons = {
  F: () => false,
  T: () => true,
  LT: (a, b) => a < b,
  EQ: (a, b) => a === b,
  LE: (a, b) => a <= b,
  GT: (a, b) => a > b,
  NE: (a, b) => a < b || a > b,
  GE: (a, b) => a >= b,
  NUM: (a, b) => !Number.isNaN(a) && !Number.isNaN(b),
  NAN: (a, b) => Number.isNaN(a) || Number.isNaN(b),
  LTU: (a, b) => !(a >= b),
  EQU: (a, b) => !(a < b || a > b),
  LEU: (a, b) => !(a > b),
  GTU: (a, b) => !(a <= b),
  NEU: (a, b) => a !== b,
  GEU: (a, b) => !(a < b),
};
const combinations = { AND: (a, b) => a && b, OR: (a, b) => a || b, XOR: (a, b) => a !== b };
const functions = {
  EX2: (x) => 2 ** x,
  LG2: (x) => Math.log2(x),
  RCP: (x) => 1 / x,
  RSQ: (x) => 1 / Math.sqrt(x),
  SQRT: (x) => Math.sqrt(x),
};

/** Computes a word from its sources, which `read` makes functions of the thread. */
function compute(read, operation) {
  return ({ operands }, modifiers) => {
    const { to, sources, inputs } = split(operands);
    const [a, b, c] = sources.map(read);
    const flag = inputs[0] ?? (() => true);
    return (t) => to(t, operation(a(t), b?.(t), c?.(t), flag(t), modifiers) >>> 0);
  };
}
const ofWords = (operation) => compute(word, operation);
const ofFloats = (operation) =>
  compute(float, (a, b, c, flag) => ofFloat(operation(a, b, c, flag)));
const ofDoubles =
  (operation) =>
  ({ operands }) => {
    const to = target(operands[0]);
    const [a, b, c] = operands.slice(1).map(double);
    return (t) => putDouble(t, to, operation(a(t), b(t), c?.(t)));
  };

function compare(read, convert) {
  return ({ operands, name }) => {
    const parts = name.split('.').slice(1);
    const holds = comparisons[parts[0]];
    const combine = combinations[parts.find((part) => part in combinations)];
    const [first, second] = operands.slice(0, 2).map(setPredicate);
    const isSigned = !parts.includes('U32');
    const [a, b] = operands.slice(2, 4).map(read);
    const [other, lower] = operands.slice(4).map(predicate);
    const isHigh = parts.includes('EX'); // the upper words of 64 bits: `lower` is what the lower words say
    return (t) => {
      const [x, y] = [convert(a(t), isSigned), convert(b(t), isSigned)];
      let result = holds(x, y);
      if (isHigh) {
        if (parts[0] === 'EQ') result = x === y && lower(t);
        else if (parts[0] === 'NE') result = x !== y || lower(t);
        else result = x === y ? lower(t) : holds(x, y);
      }
      first(t, combine(result, other(t)));
      second(t, combine(!result, other(t)));
    };
  };
}

function add3({ operands, name }) {
  const { to, carries, sources, inputs } = split(operands);
  const reads = sources.map((text) => {
    const negative = text.startsWith('-') && !text.startsWith('-0x');
    const read = word(negative ? `~${text.slice(1)}` : text); // -a = ~a + 1, whose carry counts
    return [read, negative ? 1 : 0];
  });
  const takes = name.includes('.X') ? inputs : [];
  return (t) => {
    let sum = 0;
    for (const [read, one] of reads) sum += read(t) + one;
    for (const carry of takes) sum += carry(t) ? 1 : 0;
    carries[0]?.(t, sum >= 2 ** 32);
    carries[1]?.(t, sum >= 2 ** 33);
    to(t, sum % 2 ** 32);
  };
}

function multiplyAdd({ operands, name }) {
  const { to, carries, sources, inputs } = split(operands);
  const isSigned = !name.includes('U32');
  const [a, b] = sources.map(word);
  if (!name.includes('WIDE') && !name.includes('HI')) {
    const c = word(sources[2]);
    const carry = name.includes('.X') ? inputs[0] : () => false;
    return (t) => to(t, (Math.imul(a(t), b(t)) + c(t) + (carry(t) ? 1 : 0)) >>> 0);
  }
  const c = pair(sources[2]);
  const wide = (x) => BigInt(isSigned ? signed(x) : x);
  return (t) => {
    const sum = wide(a(t)) * wide(b(t)) + c(t);
    const high = Number(BigInt.asUintN(32, sum >> 32n));
    carries[0]?.(t, sum >> 64n > 0n);
    if (name.includes('HI')) return to(t, high);
    to(t, Number(BigInt.asUintN(32, sum)));
    to(t, high, 1);
  };
}

function shiftAdd({ operands, name }) {
  const { to, carries, sources, inputs } = split(operands);
  const isHigh = name.includes('HI');
  const extends32 = name.includes('SX32');
  const [a, b] = sources.map(word);
  const c = isHigh && !extends32 ? word(sources[2]) : () => 0;
  const shift = BigInt(sources.at(-1));
  const carry = name.includes('.X') ? inputs[0] : () => false;
  return (t) => {
    const low = a(t);
    const upper = extends32 ? (signed(low) < 0 ? 0xffffffff : 0) : c(t);
    const shifted = ((BigInt(upper) << 32n) | BigInt(low)) << shift;
    const part = Number(BigInt.asUintN(32, isHigh ? shifted >> 32n : shifted));
    const sum = part + b(t) + (carry(t) ? 1 : 0);
    carries[0]?.(t, sum >= 2 ** 32);
    to(t, sum % 2 ** 32);
  };
}

/** The predicate it sets says whether the result is not 0, or the last operand is true: so it tests words together. */
function logic({ name, operands }) {
  if (/PAND/.test(name)) throw new Error(`${name} is not known.`);
  const sets = isPredicate(operands[0]) ? setPredicate(operands[0]) : undefined;
  const rest = sets ? operands.slice(1) : operands;
  const before = predicate(rest[5] ?? '!PT');
  const to = target(rest[0]);
  const [a, b, c] = rest.slice(1, 4).map(word);
  const table = Number(rest[4]);
  return (t) => {
    const [x, y, z] = [a(t), b(t), c(t)];
    let result = 0;
    for (let k = 0; k < 8; k++) {
      if ((table >> k) & 1) result |= (k & 4 ? x : ~x) & (k & 2 ? y : ~y) & (k & 1 ? z : ~z);
    }
    to(t, result >>> 0);
    sets?.(t, result !== 0 || before(t));
  };
}

function predicateLogic({ operands }) {
  const [first, second] = operands.slice(0, 2).map(setPredicate);
  const [a, b, c] = operands.slice(2, 5).map(predicate);
  const [one, other] = operands.slice(5, 7).map(Number);
  return (t) => {
    const k = (a(t) ? 4 : 0) + (b(t) ? 2 : 0) + (c(t) ? 1 : 0);
    first(t, (one >> k) & 1);
    second(t, (other >> k) & 1);
  };
}

function shift({ operands, name }) {
  const to = target(operands[0]);
  const [low, distance, high] = operands.slice(1).map(word);
  const parts = name.split('.');
  const [isRight, isHigh] = [parts[1] === 'R', parts.includes('HI')];
  const isSigned = parts.some((part) => part.startsWith('S') && /\d/.test(part));
  const most = name.includes('64') ? 64 : 32;
  return (t) => {
    const wraps = parts.includes('W');
    const by = BigInt(wraps ? distance(t) % most : Math.min(distance(t), most));
    let value = (BigInt(high(t)) << 32n) | BigInt(low(t));
    if (isSigned) value = BigInt.asIntN(64, value);
    const shifted = isRight ? value >> by : value << by;
    to(t, Number(BigInt.asUintN(32, isHigh ? shifted >> 32n : shifted)));
  };
}

function permute(a, selector, c) {
  const byte = (i) => (i < 4 ? a >>> (8 * i) : c >>> (8 * (i - 4))) & 255;
  let result = 0;
  for (let k = 0; k < 4; k++) {
    const choice = (selector >>> (4 * k)) & 15;
    const value = byte(choice & 7);
    result |= (choice & 8 ? (value & 128 ? 255 : 0) : value) << (8 * k);
  }
  return result;
}

/** How many bytes a load or store moves. */
export function bytesOf(name) {
  const part = name.split('.').find((one) => /^([US]?(8|16)|64|128)$/.test(one));
  return part ? Number(part.replace(/[US]/, '')) / 8 : 4;
}

function load(from) {
  return ({ operands, name }) => {
    const to = target(operands[0]);
    const at = address(operands[1]);
    const bytes = bytesOf(name);
    return (t, index) => from(t, at(t), bytes, (value, next) => to(t, value, next), index);
  };
}

function special({ operands }) {
  const to = target(operands[0]);
  const value = {
    'SR_TID.X': (t) => t.id,
    'SR_CTAID.X': (t) => t.block.index,
    SR_LANEID: (t) => t.id % 32,
  };
  const read = value[operands[1]] ?? (() => 0);
  return (t) => to(t, read(t));
}

function clear({ operands, name }) {
  const to = target(operands[0]);
  return (t) => {
    to(t, 0);
    if (!name.includes('.32')) to(t, 0, 1);
  };
}

function packPredicates({ operands }) {
  const to = target(operands[0]);
  const [base, mask] = [word(operands[2]), Number(operands[3])];
  const byte = Number(/\.B(\d)/.exec(operands[0] + operands[2])?.[1] ?? 0);
  return (t) => {
    let bits = 0;
    for (let k = 0; k < 7; k++) bits |= t.P[k] << k;
    to(t, ((base(t) & ~(mask << (8 * byte))) | ((bits & mask) << (8 * byte))) >>> 0);
  };
}

function unpackPredicates({ operands }) {
  const [from, mask] = [word(operands[1]), Number(operands[2])];
  const byte = Number(/\.B(\d)/.exec(operands[1])?.[1] ?? 0);
  return (t) => {
    for (let k = 0; k < 7; k++) if ((mask >> k) & 1) t.P[k] = (from(t) >>> (8 * byte + k)) & 1;
  };
}

function constantLoad({ operands, name }) {
  const to = target(operands[0]);
  const read = word(operands[1]);
  const bytes = bytesOf(name);
  return (t) => {
    for (let next = 0; next < bytes / 4; next++) {
      to(t, bytes < 4 ? read(t) & (2 ** (8 * bytes) - 1) : read(t, next), next);
    }
  };
}

/** The smaller or the larger of two integers; .RELU: at least 0. The predicates say whether it is the first one. */
function extreme({ operands, name }, modifiers) {
  const { to, carries, sources, inputs } = split(operands);
  const reads = sources.map(word);
  const convert = modifiers.includes('U32') ? (x) => x >>> 0 : signed;
  return (t) => {
    const values = reads.map((read) => read(t));
    if (name.startsWith('VIADD')) values.splice(0, 2, values[0] + values[1]);
    const [x, y] = values.map(convert);
    const takesFirst = inputs[0](t) ? x <= y : x >= y;
    for (const set of carries) set(t, takesFirst);
    const value = takesFirst ? x : y;
    to(t, (modifiers.includes('RELU') ? Math.max(0, value) : value) >>> 0);
  };
}

const smallestFloat = (a, b, _, min) =>
  Number.isNaN(a) ? b : Number.isNaN(b) ? a : min ? Math.min(a, b) : Math.max(a, b);
const smallest = (a, b, _, min) => (min ? Math.min(a, b) : Math.max(a, b));
const nothing = () => () => {};

/** By mnemonic: (instruction, modifiers) to what it does to a thread. */
export const meanings = {
  FADD: ofFloats((a, b) => a + b),
  FMUL: ofFloats((a, b) => a * b),
  FFMA: ofFloats((a, b, c) => a * b + c),
  FMNMX: ofFloats(smallestFloat),
  FMNMX3: extremeOfThree(float, ofFloat, (x) => x, smallestFloat),
  FSEL: compute(float, (a, b, _, first) => ofFloat(first ? a : b)),
  SEL: ofWords((a, b, _, first) => (first ? a : b)),
  MUFU: (one) => {
    const name = one.name.split('.')[1];
    const ofHigh = functions[name.replace(/64H$/, '')]; // of the upper word of a double
    if (name.endsWith('64H')) return ofWords((a) => ofDouble(ofHigh(toDouble(0, a)))[1])(one);
    return ofFloats(functions[name] ?? ((x) => x))(one);
  },
  FSETP: compare(float, (x) => x),
  DSETP: compare(double, (x) => x),
  ISETP: compare(word, (x, isSigned) => (isSigned ? signed(x) : x)),
  IADD3: (one, modifiers) => (modifiers.includes('64') ? add64(one) : add3(one)),
  VIADD: ofWords((a, b) => a + b),
  VIMNMX: extreme,
  VIMNMX3: extremeOfThree(word, (x) => x, signed, smallest),
  IMNMX: (one, modifiers) => (modifiers.includes('S64') ? extreme64(one) : extreme(one, modifiers)),
  IADD: add64,
  VIADDMNMX: extreme,
  IABS: ofWords((a) => Math.abs(signed(a))),
  IMAD: multiplyAdd,
  LEA: shiftAdd,
  LOP3: logic,
  PLOP3: predicateLogic,
  SHF: shift,
  PRMT: ofWords(permute),
  MOV: ofWords((a) => a),
  R2UR: ofWords((a) => a),
  POPC: ofWords((a) => [...a.toString(2)].filter((bit) => bit === '1').length),
  FLO: ofWords((a) => (a ? 31 - Math.clz32(a) : 0xffffffff)),
  I2F: ofInteger,
  I2FP: ofInteger,
  F2I: toInteger,
  F2F: convertFloat,
  F2FP: packHalves,
  HADD2: halves,
  HFMA2: halves,
  DADD: ofDoubles((a, b) => a + b),
  DMUL: ofDoubles((a, b) => a * b),
  DFMA: ofDoubles((a, b, c) => a * b + c),
  S2R: special,
  CS2R: clear,
  P2R: packPredicates,
  R2P: unpackPredicates,
  LDC: constantLoad,
  LDG: load((t, at, bytes, put, index) => t.block.readGlobal(t, at, bytes, put, index)),
  LD: load((t, at, bytes, put, index) => t.block.readGlobal(t, at, bytes, put, index)),
  LDS: load((t, at, bytes, put, index) => t.block.readShared(t, at, bytes, put, index)),
  STG: ({ operands, name }) => {
    const at = address(operands[0]);
    return (t, index) => t.block.writeGlobal(t, at(t), bytesOf(name), index);
  },
  STS: ({ operands, name }) => {
    const [at, from] = [address(operands[0]), word(operands[1])];
    return (t, index) =>
      t.block.writeShared(t, at(t), bytesOf(name), (next) => from(t, next), index);
  },
  ATOMG: (one) => {
    const to = target(one.operands.find((text) => /^R/.test(text)));
    return (t) => to(t, t.block.ticket);
  },
  ...Object.fromEntries(
    [
      'RED',
      'REDG',
      'ATOMS',
      'BSSY',
      'BSYNC',
      'BREAK',
      'WARPSYNC',
      'ENDCOLLECTIVE',
      'YIELD',
      'NOP',
    ].map((name) => [name, nothing]),
  ),
  ...Object.fromEntries(
    [
      'MEMBAR',
      'ERRBAR',
      'CGAERRBAR',
      'CCTL',
      'BMOV',
      'DEPBAR',
      'LDGDEPBAR',
      'PREEXIT',
      'ACQBULK',
    ].map((name) => [name, nothing]),
  ),
};
