import { rangeError, show, typeError } from '../common/check.js';
import { DTypeCode, isFloatCode, namesOf } from '../native/codes.js';
import {
  type Float16Like,
  hasFloat16Array,
  type Kind,
  kindOf,
  type TypedArray,
} from './typed-array.js';

export type { Float16Like, TypedArray };

/**
 * The element types. float16 is a `Float16Array` where Node has it (24 and newer), else its bits in a `Uint16Array`. bfloat16
 * is always its bits in a `Uint16Array`. int16 and uint16 are for labels only.
 */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'int64';

const elementBytes: Record<DType, number> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  int64: 8,
};

/** The dtypes that each kind of typed array can hold. */
const dtypesOf: Record<Kind, readonly DType[]> = {
  Float32Array: ['float32'],
  Float64Array: ['float64'],
  Float16Array: ['float16'],
  Uint8Array: ['uint8'],
  Uint8ClampedArray: ['uint8'],
  Int16Array: ['int16'],
  Uint16Array: ['uint16', 'float16', 'bfloat16'],
  Int32Array: ['int32'],
  BigInt64Array: ['int64'],
};
const kinds = Object.keys(dtypesOf) as readonly Kind[];

/** The kind of the arrays that are made for a dtype. */
export function kindFor(dtype: DType): Kind {
  if (dtype === 'bfloat16' || (dtype === 'float16' && !hasFloat16Array)) return 'Uint16Array';
  return kinds.find((kind) => dtypesOf[kind][0] === dtype) as Kind;
}

export const dtypes: readonly DType[] = namesOf(DTypeCode);

export const codeOf = (dtype: DType): number => DTypeCode[dtype];
export const bytesOf = (dtype: DType): number => elementBytes[dtype];
export const isFloat = (dtype: DType): boolean => isFloatCode(DTypeCode[dtype]);
export const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16';
export const isInteger = (dtype: DType): boolean => DTypeCode[dtype] >= DTypeCode.uint8;

/** What an argument takes. A `Uint16Array` without a dtype is labels for those that take labels in the first place. */
export const floats: readonly DType[] = dtypes.filter(isFloat);
export const labels: readonly DType[] = ['uint8', 'int16', 'uint16', 'int32', 'int64'];
export const labelList = 'uint8, int16, uint16, int32 or int64';
export const floatsOrLabels: readonly DType[] = [...floats, ...labels];
export const labelsOrFloats: readonly DType[] = [...labels, ...floats];
export const floatsOrBytes: readonly DType[] = [...floats, 'uint8'];

/** The dtype of `data`. `dtype` may name it; it must where the array can hold several. takes: those of the argument. */
export function resolveDType(
  data: TypedArray | Float16Like,
  dtype: DType | undefined,
  name: string,
  takes = dtypes,
): DType {
  const kind = kindOf(data);
  const known = kind === undefined ? undefined : dtypesOf[kind];
  if (known === undefined) {
    const list = kinds.filter((one) => dtypesOf[one].some((held) => takes.includes(held)));
    throw typeError(
      `one of ${list.join(', ')}`,
      `${name}.data`,
      data,
      arrayAdvice(data, kind, takes),
    );
  }
  if (dtype === undefined) {
    if (known.length === 1 || isInteger(takes[0] as DType)) return known[0] as DType;
    const list = known.filter((one) => takes.includes(one)).map((one) => `'${one}'`);
    throw new TypeError(
      `Expected a dtype (${list.join(' or ')}) for ${name}, whose data is a Uint16Array, but received undefined`,
    );
  }
  if (!dtypes.includes(dtype))
    throw rangeError(`one of ${takes.join(', ')}`, `${name}.dtype`, dtype);
  if (!known.includes(dtype)) {
    throw new TypeError(
      `Expected dtype ${known.join(' or ')} for ${name}, whose data is ${show(data)}, but received '${dtype}'`,
    );
  }
  return dtype;
}

/** Advice: how to convert an array that the argument cannot have. */
function arrayAdvice(
  data: unknown,
  kind: string | undefined,
  takes: readonly DType[],
): string | undefined {
  const [ofFloats, ofLabels] = [takes.includes('float32'), takes.includes('int32')];
  if (Array.isArray(data)) {
    if (typeof data[0] === 'boolean' && takes.includes('uint8')) return 'use Uint8Array.from(data)';
    if (!ofLabels) return 'use Float32Array.from(data)';
    if (!ofFloats) return 'use Uint8Array.from(data)';
    return 'use Float32Array.from(data), or Uint8Array.from(data) for labels';
  }
  if (kind === 'BigUint64Array' && ofLabels) return 'use BigInt64Array.from(data)';
  if (kind !== undefined) return `use ${ofLabels ? 'Int32Array' : 'Float32Array'}.from(data)`;
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) {
    return `use a view of it, new ${ofFloats ? 'Float32Array' : 'Uint8Array'}(data)`;
  }
  return undefined;
}
