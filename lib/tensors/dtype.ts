import { rangeError, show, typeError } from '../common/check.js';
import { DTypeCode, namesOf } from '../native/codes.js';

/** The element types. float16 and bfloat16 are stored as their bits in a `Uint16Array`. */
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

/** A `Float16Array` (Node 24), described here because older TypeScript libraries do not have its type. */
export interface Float16Like extends ArrayBufferView {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly length: number;
}

export const isFloat16Array = (data: TypedArray | Float16Like): boolean =>
  data[Symbol.toStringTag] === 'Float16Array';

/** %TypedArray%.prototype.slice, which always copies; Node's Buffer overrides `slice` by one that does not. */
const slice = Object.getPrototypeOf(Uint8Array.prototype).slice as () => TypedArray;

export const copyArray = (data: TypedArray | Float16Like): TypedArray => slice.call(data);

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

export const dtypes: readonly DType[] = namesOf(DTypeCode);

export const codeOf = (dtype: DType): number => DTypeCode[dtype];
export const bytesOf = (dtype: DType): number => elementBytes[dtype];
export const isFloat = (dtype: DType): boolean => DTypeCode[dtype] <= DTypeCode.bfloat16;
export const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16';
export const isInteger = (dtype: DType): boolean => DTypeCode[dtype] >= DTypeCode.uint8;

/** The dtype of `data`. `dtype` may name it; for a Uint16Array it must. */
export function resolveDType(
  data: TypedArray | Float16Like,
  dtype: DType | undefined,
  name: string,
): DType {
  // Reads the tag and not instanceof, because the array may come from another realm.
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

/** Advice: how to convert an array that no tensor can have. */
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
