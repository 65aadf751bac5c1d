import type { DTypeCode } from '../../binding.js';
import { rangeError, show, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { native } from '../native/load.js';

/** The element types. float16 and bfloat16 are kept as their bits in a `Uint16Array`. */
export type DType = 'float32' | 'float64' | 'float16' | 'bfloat16' | 'uint8' | 'int32' | 'int64';

/** The typed arrays that tensors are made of. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Uint8Array
  | Uint8ClampedArray
  | Int32Array
  | BigInt64Array;

/** A `Float16Array` (Node 24), told apart without needing its type. */
export interface Float16Like extends ArrayBufferView {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly length: number;
}

export const isFloat16Array = (data: TypedArray | Float16Like): boolean =>
  data[Symbol.toStringTag] === 'Float16Array';

/** %TypedArray%.prototype.slice, which copies also where Node's Buffer overrides it by a view. */
const slice = Object.getPrototypeOf(Uint8Array.prototype).slice as () => TypedArray;

export const copyArray = (data: TypedArray | Float16Like): TypedArray => slice.call(data);

/** As in native/math/types.h. */
const codes: Record<DType, DTypeCode> = {
  float32: 0,
  float64: 1,
  float16: 2,
  bfloat16: 3,
  uint8: 4,
  int32: 5,
  int64: 6,
};

const elementBytes: Record<DType, number> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int32: 4,
  int64: 8,
};

/** The dtypes that each kind of typed array can hold, the default first. */
const dtypesOf: Record<string, readonly DType[]> = {
  Float32Array: ['float32'],
  Float64Array: ['float64'],
  Float16Array: ['float16'],
  Uint8Array: ['uint8'],
  Uint8ClampedArray: ['uint8'],
  Int32Array: ['int32'],
  BigInt64Array: ['int64'],
};
const halfDtypes: readonly DType[] = ['float16', 'bfloat16'];

export const dtypes = Object.keys(codes) as readonly DType[];

export const codeOf = (dtype: DType): DTypeCode => codes[dtype];
export const bytesOf = (dtype: DType): number => elementBytes[dtype];
export const isFloat = (dtype: DType): boolean => codes[dtype] <= 3;
export const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16';
export const isInteger = (dtype: DType): boolean => codes[dtype] >= 4;

/** The dtype of `data`, which `dtype` may name or, for a Uint16Array, must. */
export function resolveDType(
  data: TypedArray | Float16Like,
  dtype: DType | undefined,
  name: string,
): DType {
  // The tag and not instanceof: the array may come from another realm.
  const kind = ArrayBuffer.isView(data)
    ? (data as unknown as Record<symbol, string>)[Symbol.toStringTag]
    : undefined;
  const known =
    kind === 'Uint16Array' ? halfDtypes : kind === undefined ? undefined : dtypesOf[kind];
  if (known === undefined) {
    const list = [...Object.keys(dtypesOf), 'Uint16Array'].join(', ');
    throw typeError(`one of ${list}`, `${name}.data`, data, arrayAdvice(data, kind));
  }
  if (dtype === undefined) {
    if (known === halfDtypes) {
      throw new TypeError(
        `Expected a dtype ('float16' or 'bfloat16') for ${name}, whose data is a Uint16Array, but received undefined; for labels use Int32Array.from(data)`,
      );
    }
    return known[0] as DType;
  }
  if (!dtypes.includes(dtype))
    throw rangeError(`one of ${dtypes.join(', ')}`, `${name}.dtype`, dtype);
  if (!known.includes(dtype)) {
    throw new TypeError(
      `Expected dtype ${known.join(' or ')} for ${name}, whose data is ${show(data)}, but received '${dtype}'`,
    );
  }
  return dtype;
}

/** How to get from an array that no tensor can have to one that it can. */
function arrayAdvice(data: unknown, kind: string | undefined): string | undefined {
  if (Array.isArray(data)) {
    return typeof data[0] === 'boolean'
      ? 'use Uint8Array.from(data)'
      : 'use Float32Array.from(data), or Uint8Array.from(data) for labels';
  }
  if (kind === 'BigUint64Array') return 'use BigInt64Array.from(data)';
  if (kind !== undefined && kind !== 'DataView') return 'use Int32Array.from(data)';
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) {
    return 'use a view of it, new Float32Array(data)';
  }
  return undefined;
}

/** Arrays of as many bytes ask for huge pages, two of which they then hold. NumPy draws the same line. */
const hugeFromBytes = 1 << 22;

/** Tensors of as many bytes begin on a cache line: elsewhere every vector of AVX-512 would touch two. */
const alignedFromBytes = 1 << 14;
const lineBytes = 64;

/**
 * A zero-filled typed array.
 *
 * @throws WarpDiceError ERR_OUT_OF_MEMORY
 */
export function makeArray(dtype: DType, size: number): TypedArray {
  return allocate(dtype, size, () =>
    viewOf(dtype, new ArrayBuffer(size * bytesOf(dtype)), 0, size),
  );
}

/**
 * The same for a tensor, whose buffer may hold some bytes before and after. On a SharedArrayBuffer where `shared`.
 *
 * @throws WarpDiceError ERR_OUT_OF_MEMORY
 */
export function makeTensorData(dtype: DType, size: number, shared: boolean): TypedArray {
  return allocate(dtype, size, () => {
    const bytes = size * bytesOf(dtype);
    const room = bytes < alignedFromBytes ? bytes : bytes + lineBytes;
    const buffer = shared ? new SharedArrayBuffer(room) : new ArrayBuffer(room);
    const before = room === bytes ? 0 : native.bytesToLine(new Uint8Array(buffer));
    return viewOf(dtype, buffer, before, size);
  });
}

function allocate(dtype: DType, size: number, make: () => TypedArray): TypedArray {
  let array: TypedArray;
  try {
    array = make();
  } catch (cause) {
    throw new WarpDiceError(
      'ERR_OUT_OF_MEMORY',
      `Could not allocate ${size * bytesOf(dtype)} bytes for ${size} elements of ${dtype}`,
      { cause },
    );
  }
  if (array.byteLength >= hugeFromBytes) native.preferHugePages(array);
  return array;
}

function viewOf(
  dtype: DType,
  buffer: ArrayBuffer | SharedArrayBuffer,
  offset: number,
  size: number,
): TypedArray {
  const from = buffer as ArrayBuffer;
  switch (dtype) {
    case 'float32':
      return new Float32Array(from, offset, size);
    case 'float64':
      return new Float64Array(from, offset, size);
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(from, offset, size);
    case 'uint8':
      return new Uint8Array(from, offset, size);
    case 'int32':
      return new Int32Array(from, offset, size);
    case 'int64':
      return new BigInt64Array(from, offset, size);
  }
}
