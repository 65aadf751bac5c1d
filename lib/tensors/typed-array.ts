// What the engine says of a typed array. The properties of an object may say anything: a subclass, or the array itself, can
// define its own length, buffer or Symbol.toStringTag.

/** The typed arrays that tensors are made of. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int16Array
  | Uint8Array
  | Uint8ClampedArray
  | Int32Array
  | BigInt64Array
  | Float16Like;

/** What is used of a `Float16Array` (Node 24), described here because older TypeScript libraries do not have its type. */
export interface Float16Like extends ArrayBufferView, Iterable<number> {
  readonly [Symbol.toStringTag]: 'Float16Array';
  /** The number of elements. */
  readonly length: number;
  [index: number]: number;
  /** A copy of the elements [begin, end). */
  slice(begin?: number, end?: number): Float16Like;
  /** The elements [begin, end) in the same memory. */
  subarray(begin?: number, end?: number): Float16Like;
  /** Copies numbers to the elements from `offset` on. */
  set(values: ArrayLike<number>, offset?: number): void;
  /** Sets the elements [begin, end). */
  fill(value: number, begin?: number, end?: number): this;
  /** Visits every element. */
  forEach(visit: (value: number, index: number) => void): void;
  /** Whether it holds for every element. */
  every(holds: (value: number, index: number) => unknown): boolean;
  /** Whether it holds for any element. */
  some(holds: (value: number, index: number) => unknown): boolean;
  /** Combines the elements, the first one first. */
  reduce<Result>(
    next: (previous: Result, value: number, index: number) => Result,
    first: Result,
  ): Result;
}

const prototype = Object.getPrototypeOf(Uint8Array.prototype);

type Any = TypedArray | Float16Like;

function getterOf<Value>(key: PropertyKey): (this: unknown) => Value {
  return Object.getOwnPropertyDescriptor(prototype, key)?.get as (this: unknown) => Value;
}

const tag = getterOf<Kind | undefined>(Symbol.toStringTag);
const length = getterOf<number>('length');
const byteOffset = getterOf<number>('byteOffset');
const buffer = getterOf<ArrayBuffer | SharedArrayBuffer>('buffer');

/** The kinds of typed arrays that tensors are made of. */
export type Kind =
  | 'Float32Array'
  | 'Float64Array'
  | 'Float16Array'
  | 'Uint8Array'
  | 'Uint8ClampedArray'
  | 'Int16Array'
  | 'Uint16Array'
  | 'Int32Array'
  | 'BigInt64Array';

type Constructor = {
  new (from: ArrayBuffer, offset: number, length: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
};

const constructors = {
  Float32Array,
  Float64Array,
  Float16Array: (globalThis as { Float16Array?: Constructor }).Float16Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  BigInt64Array,
} as Record<Kind, Constructor | undefined>;

/** Node 24 and newer. */
export const hasFloat16Array = constructors.Float16Array !== undefined;

/** Of any typed array, also of another realm; other kinds than {@link Kind} too. undefined for anything else. */
export const kindOf = (value: unknown): Kind | undefined => tag.call(value);

/** The number of elements; 0 when the memory was detached. */
export const lengthOf = (array: Any): number => length.call(array);
const byteOffsetOf = (array: Any): number => byteOffset.call(array);
export const bufferOf = (array: Any): ArrayBuffer | SharedArrayBuffer => buffer.call(array);

export const elementBytesOf = (kind: Kind): number =>
  (constructors[kind] as Constructor).BYTES_PER_ELEMENT;

/** `size` elements of `memory` from the byte `offset` on. */
export function viewOf(
  kind: Kind,
  memory: ArrayBuffer | SharedArrayBuffer,
  offset: number,
  size: number,
): TypedArray {
  const View = constructors[kind] as Constructor;
  return new View(memory as ArrayBuffer, offset, size);
}

/** The elements [begin, end) of an array, in the same memory. */
export function partOf(array: TypedArray, begin: number, end: number): TypedArray {
  const kind = kindOf(array) as Kind;
  const offset = byteOffsetOf(array) + begin * elementBytesOf(kind);
  return viewOf(kind, bufferOf(array), offset, end - begin);
}

/** Copies the bits of all elements. The arrays are equally long and their elements equally wide. */
export function copyInto(to: TypedArray, from: Any): void {
  const kind = kindOf(to) as Kind;
  const same = kindOf(from) === kind;
  const source = same ? from : viewOf(kind, bufferOf(from), byteOffsetOf(from), lengthOf(from));
  prototype.set.call(to, source);
}
