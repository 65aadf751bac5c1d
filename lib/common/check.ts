// The checks of arguments. Messages have three forms: "Expected X for name but received V" for values, "A cannot be combined
// with B" (or "A needs B") for combinations, "Unknown option 'key': did you mean ...?" for keys. See docs/errors.md.
import { isOfAnotherCopy } from './own.js';
import { adviceFor, objectFor } from './suggest.js';

/** The most letters of a value in a message. */
const longest = 100;

/** A text that messages show, cut where it is long. */
export const cut = (text: string): string =>
  text.length > longest ? `${text.slice(0, longest)}...` : text;

/** A short text for any value, as messages show it. */
export function show(value: unknown): string {
  try {
    return cut(described(value));
  } catch {
    return 'an object that does not say what it is'; // its getters throw, or a Proxy was revoked
  }
}

function described(value: unknown): string {
  if (typeof value === 'string') return `'${short(value)}'`;
  if (typeof value === 'bigint') return `${short(value)}n`;
  if (isOfAnotherCopy(value)) return ofAnotherCopy(value as object);
  if (typeof value === 'function') return `the function ${short(value.name) || '(anonymous)'}`;
  if (Array.isArray(value))
    return value.length > 16 ? `an array of ${value.length}` : showShape(value);
  if (ArrayBuffer.isView(value)) {
    const { length = value.byteLength } = value as unknown as Partial<ArrayLike<unknown>>;
    return `${withArticle(value[Symbol.toStringTag as never] ?? 'DataView')} of ${length}`;
  }
  if (isPromise(value)) return 'a promise';
  if (typeof value === 'object' && value !== null) {
    if (Object.getPrototypeOf(value) === Object.prototype) return showKeys(Object.keys(value));
    const text = 'toString' in value ? short(value) : '[object Object]';
    if (!text.startsWith('[object ')) return text; // a Device, say: its name
    return `an instance of ${short(value.constructor?.name ?? 'Object')}`;
  }
  return short(value);
}

const ofAnotherCopy = (value: object): string =>
  typeof value === 'function'
    ? `the class ${short(value.name)} of another copy of warpdice`
    : `${withArticle(short(value.constructor.name))} of another copy of warpdice`;

/** `{ data, shape }`: of a plain object its first keys. */
function showKeys(keys: readonly string[]): string {
  if (keys.length === 0) return '{}';
  const more = keys.length > 4 ? ', ...' : '';
  return `{ ${keys.slice(0, 4).map(short).join(', ')}${more} }`;
}

/** 'a Uint8Array', 'an Int32Array' */
const withArticle = (noun: string): string => `${/^[aeio]/i.test(noun) ? 'an' : 'a'} ${noun}`;

export function isPromise(value: unknown): boolean {
  try {
    return typeof (value as Promise<unknown> | null | undefined)?.then === 'function';
  } catch {
    return false; // its getters throw, or a Proxy was revoked
  }
}

/** At most 80 letters on one line. */
function short(value: unknown): string {
  const line = String(value).slice(0, 400).replace(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 80)}...` : line;
}

export function showShape(shape: readonly unknown[]): string {
  const sizes = shape.slice(0, 16).map((size) => (Array.isArray(size) ? '[...]' : show(size)));
  return cut(`[${sizes.join(', ')}${shape.length > 16 ? ', ...' : ''}]`);
}

/** "Expected X for name but received V", and what to do where that is known. */
function sentence(
  expected: string,
  name: string,
  received: unknown,
  advice: string | undefined,
): string {
  const hint = isPromise(received)
    ? 'await it'
    : isOfAnotherCopy(received)
      ? 'a program must use one copy of the package, npm ls warpdice lists them'
      : advice;
  const told = `Expected ${expected} for ${name} but received ${show(received)}`;
  return hint === undefined ? told : `${told}: ${hint}`;
}

/** For a value of the wrong kind. */
export function typeError(
  expected: string,
  name: string,
  received: unknown,
  advice?: string,
): TypeError {
  return new TypeError(sentence(expected, name, received, advice));
}

/** For a value of the right kind that is not allowed. */
export function rangeError(
  expected: string,
  name: string,
  received: unknown,
  advice?: string,
): RangeError {
  return new RangeError(sentence(expected, name, received, advice));
}

/** For an option that has no meaning beside another one, as in ("gamma", "transform 'log-cosh'"). */
export function cannotCombine(option: string, other: string, advice?: string): TypeError {
  const told = `${option} cannot be combined with ${other}`;
  return new TypeError(advice === undefined ? told : `${told}: ${advice}`);
}

/** For an option that has a meaning only beside another one, as in ("accumulate: true", "out.grad"). */
export function needs(option: string, other: string): TypeError {
  return new TypeError(`${option} needs ${other}`);
}

/** The default for options: an empty object. */
export const none: Record<string, never> = Object.freeze({});

/** A plain object (or undefined) with known keys only. */
export function checkKeys(value: unknown, name: string, known: readonly string[]): void {
  if (value === undefined) return;
  if (!isRecord(value)) throw notAnObject(value, name, known);
  for (const key in value) {
    if (known.includes(key) || !Object.hasOwn(value, key)) continue;
    throw unknownKey(key, value, name, known);
  }
}

const isRecord = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !ArrayBuffer.isView(value) &&
  !isPromise(value);

function unknownKey(key: string, value: object, name: string, known: readonly string[]): TypeError {
  // The caller passed a tensor instead of an object that holds it.
  if ('shape' in value && 'dtype' in value && !known.includes('shape')) {
    return notAnObject(value, name, known);
  }
  const kind = name === 'options' ? 'option' : 'key';
  const where = name === 'options' ? '' : ` of ${name}`;
  return new TypeError(`Unknown ${kind} ${show(key)}${where}: ${adviceFor(key, known, kind)}`);
}

/** What was meant by an array or a tensor in place of the object that holds the gradient. */
function gradientFor(value: unknown, known: readonly string[]): string | undefined {
  const key = known.find((name) => name === 'grad' || name === 'targetGrad');
  if (key === undefined) return undefined;
  if (ArrayBuffer.isView(value)) return `{ ${key}: { data, shape } }`;
  return isRecord(value) && 'shape' in value ? `{ ${key}: tensor }` : undefined;
}

function notAnObject(value: unknown, name: string, known: readonly string[]): TypeError {
  const meant = objectFor(value, known) ?? gradientFor(value, known);
  const expected = name === 'options' || known.length > 5 ? 'an object' : `{ ${known.join(', ')} }`;
  return typeError(expected, name, value, meant && `write ${meant}`);
}

export function checkOneOf<T extends string>(
  value: unknown,
  name: string,
  allowed: readonly T[],
  fallback: T,
): T {
  return value === undefined ? fallback : expectOneOf(value, name, allowed);
}

/** One of the allowed texts, which has no default. */
export function expectOneOf<T extends string>(
  value: unknown,
  name: string,
  allowed: readonly T[],
): T {
  if (typeof value === 'string' && (allowed as readonly string[]).includes(value))
    return value as T;
  const list = allowed.map((text) => `'${text}'`).join(', ');
  throw (typeof value === 'string' ? rangeError : typeError)(`one of ${list}`, name, value);
}

export function checkFlag(value: unknown, name: string, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== 'boolean') throw typeError('true or false', name, value);
  return value;
}

/** A finite number >= 0. */
export function checkNonNegative(value: unknown, name: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number') throw typeError('a number', name, value);
  if (!Number.isFinite(value) || value < 0) throw rangeError('a finite number >= 0', name, value);
  return value;
}

/** A number from 0 to 1. */
export function checkShare(value: unknown, name: string, fallback: number): number {
  const share = checkNonNegative(value, name, fallback);
  if (share > 1) throw rangeError('a number from 0 to 1', name, share);
  return share;
}

/**
 * A list of at most `most` values as an array without holes: a hole is undefined, which `map` would skip. Its length is compared
 * before anything is copied. expected: 'an array of numbers'.
 */
export function checkList(value: unknown, name: string, expected: string, most: number): unknown[] {
  if (!Array.isArray(value)) throw typeError(expected, name, value);
  if (value.length > most) throw rangeError(`at most ${most} values`, name, value);
  return Array.from(value);
}

/** One per class. No array of predictions in memory has more classes. */
const maxNumbers = 2 ** 24;

/** Whether the value is an array or a typed array, whose elements are not looked at. */
export const isNumberList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));

/** Finite numbers >= 0. */
export function checkNumbers(value: unknown, name: string): Float64Array {
  if (!isNumberList(value)) throw typeError('an array of numbers', name, value);
  const { length } = value;
  if (length > maxNumbers) throw rangeError(`at most ${maxNumbers} numbers`, name, value);
  return Float64Array.from({ length }, (_, c) => {
    const number = value[c];
    if (number === undefined) throw typeError('a number', `${name}[${c}]`, number);
    return checkNonNegative(number, `${name}[${c}]`, 0);
  });
}

/** A finite number above 0. */
export function checkPositive(value: unknown, name: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number') throw typeError('a number', name, value);
  if (!Number.isFinite(value) || value <= 0) throw rangeError('a finite number > 0', name, value);
  return value;
}

export function checkInteger(value: unknown, name: string, least: number, most: number): number {
  if (typeof value !== 'number') throw typeError('an integer', name, value);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw rangeError(`an integer from ${least} to ${most}`, name, value);
  }
  return value;
}

/** NumPy has the same limit. */
const maxAxes = 64;

const longestTimer = 2 ** 31 - 1;

/** The option `timeout` of ranks, in milliseconds; 60000 where there is none. */
export function checkTimeout(timeout: unknown): number {
  if (timeout === undefined) return 60_000;
  if (typeof timeout !== 'number') throw typeError('a number of milliseconds', 'timeout', timeout);
  if (timeout >= 1 && timeout <= longestTimer) return timeout;
  throw rangeError(`1 to ${longestTimer} milliseconds`, 'timeout', timeout);
}

/** The product of a shape of sizes from 1. */
export function sizeOf(shape: readonly number[], name: string): number {
  if (!Array.isArray(shape)) {
    const advice = typeof shape === 'number' ? `write [${shape}]` : undefined;
    throw typeError('an array of sizes', name, shape, advice);
  }
  if (shape.length > maxAxes) throw rangeError(`at most ${maxAxes} sizes`, name, shape);
  let size = 1;
  for (const length of shape as readonly unknown[]) {
    if (typeof length !== 'number') throw typeError('an array of sizes', name, shape);
    if (!Number.isSafeInteger(length) || length < 1)
      throw rangeError('integers from 1', name, shape);
    size *= length;
  }
  if (!Number.isSafeInteger(size)) throw rangeError('a product below 2^53', name, shape);
  return size;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether `a` is `b` without its axis `axis`. */
export function sameShapeWithout(
  a: readonly number[],
  b: readonly number[],
  axis: number,
): boolean {
  if (a.length !== b.length - 1) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i < axis ? i : i + 1]) return false;
  return true;
}
