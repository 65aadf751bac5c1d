import { checkKeys, checkOneOf, rangeError, showShape, typeError } from './check.js';
import { Device } from './device.js';
import {
  bytesOf,
  copyArray,
  type DType,
  dtypes,
  type Float16Like,
  isFloat16Array,
  makeArray,
  resolveDType,
  type TypedArray,
} from './dtype.js';
import { WarpDiceError } from './errors.js';

/** A {@link Tensor}, or what one is made of; every call takes either. */
export type TensorLike =
  | Tensor
  | {
      readonly data: TypedArray | Float16Like;
      readonly shape: readonly number[];
      readonly dtype?: DType;
    };

/** What an array alone does not say. */
export interface TensorOptions {
  /** Needed for a `Uint16Array`, which can hold float16 or bfloat16; else the array says it. */
  dtype?: DType;
}

/** postMessage refuses a symbol by its description, so this is the error that it shows. */
const notCloneable = Symbol(
  'A Tensor cannot be posted to another thread: post { data: tensor.data, shape: tensor.shape, dtype: tensor.dtype }, whose memory is shared when the tensor comes from Tensor.empty, and call Tensor.from there. This value',
);

/**
 * An array with a shape, row-major. On the host it is a plain object that borrows its typed array: nothing is copied
 * and nothing needs to be disposed.
 *
 * @example
 * const x = Tensor.from(new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3]);
 * x.shape; // [2, 3]
 */
export class Tensor implements Disposable {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly device: Device;
  /** Number of elements: the product of the shape. */
  readonly size: number;
  /** Makes postMessage fail with a sentence that helps. */
  protected readonly cannotBePosted = notCloneable;
  #data: TypedArray | undefined;

  private constructor(data: TypedArray, shape: readonly number[], dtype: DType, size: number) {
    this.#data = data;
    this.shape = shape;
    this.dtype = dtype;
    this.size = size;
    this.device = Device.cpu;
  }

  /**
   * Borrows `data`: writes to it are seen by the tensor and the other way round.
   *
   * dtypes by array: Float32Array float32, Float64Array float64, Float16Array float16, Uint8Array and
   * Uint8ClampedArray uint8, Int32Array int32, BigInt64Array int64; a Uint16Array holds float16 or bfloat16, and
   * `options.dtype` must say which. `shape` is sizes from 1; `[]` is a scalar.
   *
   * @throws TypeError, RangeError when the data does not fit the shape or the dtype
   */
  static from(
    data: TypedArray | Float16Like,
    shape: readonly number[],
    options?: TensorOptions,
  ): Tensor {
    checkKeys(options, 'options', ['dtype']);
    return Tensor.fromNamed(data, shape, options?.dtype, 'tensor');
  }

  /** {@link Tensor.from} on a copy of `data`. */
  static copyOf(
    data: TypedArray | Float16Like,
    shape: readonly number[],
    options?: TensorOptions,
  ): Tensor {
    return Tensor.from(ArrayBuffer.isView(data) ? copyArray(data) : data, shape, options);
  }

  /**
   * A zero-filled tensor on a `SharedArrayBuffer`. That memory can neither move nor be transferred away, so the
   * `...Async` calls use it without a copy, and it can be posted to workers, which then share it.
   * Make it once and reuse it: the garbage collector takes little notice of shared memory and may free it late.
   * The default dtype is float32.
   */
  static empty(shape: readonly number[], dtype?: DType): Tensor {
    const type = checkOneOf(dtype, 'dtype', dtypes, 'float32');
    const size = sizeOf(shape, 'shape');
    return new Tensor(makeArray(type, size, true), Object.freeze([...shape]), type, size);
  }

  /** {@link Tensor.from} whose errors call the tensor `name`. @internal */
  static fromNamed(
    data: TypedArray | Float16Like,
    shape: readonly number[],
    dtype: DType | undefined,
    name: string,
  ): Tensor {
    const type = resolveDType(data, dtype, name);
    const size = sizeOf(shape, `${name}.shape`);
    if (data.length !== size) {
      const detached = data.length === 0 ? ' (is its ArrayBuffer detached?)' : '';
      throw new RangeError(
        `Expected ${size} elements for ${name}.data with shape ${showShape(shape)} but received ${data.length}${detached}`,
      );
    }
    return new Tensor(data as TypedArray, Object.freeze([...shape]), type, size);
  }

  /** The typed array. @throws WarpDiceError ERR_DISPOSED */
  get data(): TypedArray {
    if (this.#data === undefined) {
      throw new WarpDiceError('ERR_DISPOSED', 'Expected a live tensor but received a disposed one');
    }
    return this.#data;
  }

  get byteLength(): number {
    return this.size * bytesOf(this.dtype);
  }

  /** The only element, as a number. Blocks nothing. @throws RangeError when there are more */
  async item(): Promise<number> {
    return this.itemSync();
  }

  /** {@link Tensor.item} at once; on the CPU there is nothing to wait for. */
  itemSync(): number {
    if (this.size !== 1) throw rangeError('a tensor of one element', 'item()', this.shape);
    const value = this.data[0] as number | bigint;
    if (this.dtype === 'float16' && !isFloat16Array(this.data)) return halfToNumber(Number(value));
    if (this.dtype === 'bfloat16') return bfloatToNumber(Number(value));
    return Number(value);
  }

  /** A copy of the data. */
  async read(): Promise<TypedArray> {
    return this.readSync();
  }

  /** {@link Tensor.read} at once; on the CPU there is nothing to wait for. */
  readSync(): TypedArray {
    return copyArray(this.data);
  }

  /** A new handle on `device`, to be disposed on its own; the memory is shared when the device is the same. */
  to(device: Device): Tensor {
    if (!(device instanceof Device)) throw typeError('a Device', 'device', device);
    return new Tensor(this.data, this.shape, this.dtype, this.size);
  }

  /** Lets go of the data; using the tensor afterwards is an error. May be called again. */
  dispose(): void {
    this.#data = undefined;
  }

  get disposed(): boolean {
    return this.#data === undefined;
  }

  /** {@link Tensor.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** For messages: dtype, shape and device. */
  toString(): string {
    return `Tensor ${this.dtype} ${showShape(this.shape)} on ${this.device}`;
  }
}

/** The tensor that an argument stands for, checked to still have its memory. */
export function toTensor(value: TensorLike, name: string): Tensor {
  if (!(value instanceof Tensor)) {
    if (typeof value !== 'object' || value === null) {
      throw typeError('a Tensor or { data, shape, dtype? }', name, value);
    }
    checkKeys(value, name, ['data', 'shape', 'dtype']);
    return Tensor.fromNamed(value.data, value.shape, value.dtype, name);
  }
  if (value.disposed) {
    throw new WarpDiceError(
      'ERR_DISPOSED',
      `Expected a live tensor for ${name} but received a disposed one`,
    );
  }
  if (value.data.length !== value.size) {
    throw new TypeError(
      `Expected ${value.size} elements for ${name} but its ArrayBuffer was detached or resized and has ${value.data.length}`,
    );
  }
  return value;
}

/** The product of a shape of sizes from 1. */
function sizeOf(shape: readonly number[], name: string): number {
  if (!Array.isArray(shape)) throw typeError('an array of sizes', name, shape);
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

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

function bfloatToNumber(half: number): number {
  bits[0] = half << 16;
  return float[0] as number;
}

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
