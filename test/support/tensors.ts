// Tensors of any dtype from plain numbers, and back; what tests do to their memory.
import { Tensor } from '../../lib/index.js';
import { decodeHalf, encodeHalf } from './half.js';

export type FloatDType = 'float32' | 'float64' | 'float16' | 'bfloat16';
export type DType = FloatDType | 'uint8' | 'int16' | 'uint16' | 'int32' | 'int64';

export interface Typed {
  data:
    | Float32Array
    | Float64Array
    | Uint16Array
    | Int16Array
    | Uint8Array
    | Int32Array
    | BigInt64Array;
  shape: readonly number[];
  dtype: DType;
}

/** A tensor of a dtype from plain numbers, rounded to it. */
export function tensor(
  values: ArrayLike<number>,
  shape: readonly number[],
  dtype: DType = 'float32',
): Typed {
  return { data: encode(values, dtype), shape, dtype };
}

/** A tensor of `shape` full of one number. */
export function full(shape: readonly number[], value: number, dtype: DType = 'float32'): Typed {
  return tensor(new Float64Array(sizeOf(shape)).fill(value), shape, dtype);
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function encode(values: ArrayLike<number>, dtype: DType): Typed['data'] {
  switch (dtype) {
    case 'float32':
      return new Float32Array(values);
    case 'float64':
      return new Float64Array(values);
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(convert(values, (x) => encodeHalf(x, dtype)));
    case 'uint8':
      return new Uint8Array(values);
    case 'int16':
      return new Int16Array(values);
    case 'uint16':
      return new Uint16Array(values);
    case 'int32':
      return new Int32Array(values);
    case 'int64':
      return BigInt64Array.from(Array.from(values, BigInt));
  }
}

/** The 16 bits of each element: results of float16 are Float16Arrays where Node has them. */
export const bitsOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint16Array =>
  new Uint16Array(buffer as ArrayBuffer, byteOffset, byteLength / 2);

/** What a tensor holds, as plain numbers. */
export function numbers(from: { data: ArrayLike<number | bigint>; dtype?: DType }): Float64Array {
  const { data, dtype } = from;
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const isFloat16Array = data.constructor.name === 'Float16Array';
    if (!isFloat16Array) {
      return convert(data as ArrayLike<number>, (bits) => decodeHalf(bits, dtype));
    }
  }
  if (typeof data[0] === 'bigint') return Float64Array.from(Array.from(data, Number));
  return new Float64Array(data as ArrayLike<number>);
}

/** Float64Array.from is ten times slower. */
function convert(from: ArrayLike<number>, next: (x: number) => number): Float64Array {
  const to = new Float64Array(from.length);
  for (let i = 0; i < to.length; i++) to[i] = next(from[i] as number);
  return to;
}

export const copyOf = (from: Typed): Typed => ({
  ...from,
  data: from.data.slice() as Typed['data'],
});

/** Takes the memory away from an array, as posting it to a worker does. */
export function detach<View extends Typed['data']>(view: View): View {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
  return view;
}

/** The same numbers in shared memory. */
export function onShared(from: Typed): Tensor {
  const to = Tensor.empty(from.shape, from.dtype);
  (to.data as Float32Array).set(from.data as Float32Array);
  return to;
}
