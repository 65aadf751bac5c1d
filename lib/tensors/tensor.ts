import {
  checkFlag,
  checkInteger,
  checkKeys,
  checkOneOf,
  needs,
  rangeError,
  showShape,
  sizeOf,
} from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { guard, notByNew } from '../common/own.js';
import { Device } from '../devices/device.js';
import { copyArray, makeTensorData } from './allocate.js';
import { DeviceStorage, type IpcHandle } from './device-storage.js';
import {
  bytesOf,
  type DType,
  dtypes,
  type Float16Like,
  resolveDType,
  type TypedArray,
} from './dtype.js';
import { openIpcHandle, wrapPointer } from './foreign-memory.js';
import { firstNumber } from './half.js';
import { checkDevice, type DeviceTensorOptions } from './placement.js';
import { copyInto, lengthOf, partOf } from './typed-array.js';

/** A {@link Tensor}, or an object with the same data, shape and dtype. Every call takes either. */
export type TensorLike =
  | Tensor
  | {
      readonly data: TypedArray | Float16Like;
      readonly shape: readonly number[];
      /** Required for a `Uint16Array` of float16 or bfloat16. Without it a `Uint16Array` as a target is labels. */
      readonly dtype?: DType;
    };

/** Options of {@link Tensor.from} and {@link Tensor.copyOf}. */
export interface TensorOptions {
  /** Required for a `Uint16Array`, which holds uint16, float16 or bfloat16. The kind of any other array gives the dtype. */
  dtype?: DType;
}

/** postMessage refuses a symbol by its description, so this is the error that it shows. */
const notCloneable = Symbol(
  'Post { data, shape, dtype } of a Tensor and call Tensor.from there; memory of Tensor.empty is shared. The Tensor itself',
);

/**
 * An array with a shape, in row-major order. On the host it borrows a typed array: it copies nothing and needs no dispose().
 * On a GPU it owns memory of the device: call dispose() or use `using`, because the garbage collector frees nothing inside a
 * synchronous loop. Work that was enqueued before dispose() can still use the memory.
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
  /** Makes postMessage fail with a message that says what to do. */
  protected readonly cannotBePosted = notCloneable;
  /** undefined after dispose(). */
  #memory: TypedArray | DeviceStorage | undefined;

  static {
    guard(Tensor, 'a Tensor', Tensor.isWhole);
  }

  private constructor(
    memory: TypedArray | DeviceStorage,
    shape: readonly number[],
    dtype: DType,
    size: number,
    device = Device.cpu,
  ) {
    this.#memory = memory;
    this.shape = shape;
    this.dtype = dtype;
    this.size = size;
    this.device = device;
    if (size === undefined) throw notByNew('a Tensor', 'Tensor.from(data, shape)', 'Tensor');
    Object.freeze(this);
  }

  /**
   * Makes a tensor that borrows `data`: the tensor and the array share their memory.
   *
   * The array gives the dtype: Float32Array float32, Float64Array float64, Float16Array float16, Uint8Array and
   * Uint8ClampedArray uint8, Int16Array int16, Int32Array int32, BigInt64Array int64. A Uint16Array holds labels (uint16)
   * or the bits of float16 or bfloat16; `options.dtype` must say which. The sizes in `shape` are integers from 1; `[]` is
   * a scalar.
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

  /** Makes a tensor from a copy of `data`. Arguments and errors as for {@link Tensor.from}. */
  static copyOf(
    data: TypedArray | Float16Like,
    shape: readonly number[],
    options?: TensorOptions,
  ): Tensor {
    const { dtype, size, shape: fixed } = Tensor.from(data, shape, options);
    return new Tensor(copyArray(data), fixed, dtype, size);
  }

  /**
   * Makes a zero-filled tensor. The default dtype is float32.
   *
   * On the CPU its memory is a `SharedArrayBuffer`. The `...Async` calls use such memory without a copy, and workers that it
   * is posted to share it. The garbage collector frees the memory when nobody holds it any more, in a synchronous loop too.
   * Tensors of 16 kB and more begin on a cache line, on which calls are up to 10% faster than where Node places arrays. Post `data` and
   * not its `buffer`, which has some bytes more. For tensors of 4 MB and more, Linux is asked for huge pages, which make
   * reading and the first writing faster.
   *
   * With a GPU as `options.device` the memory comes from a pool: sizes that were disposed before need no allocation by the
   * driver.
   *
   * @throws TypeError, RangeError; WarpDiceError ERR_OUT_OF_MEMORY
   */
  static empty(shape: readonly number[], dtype?: DType, options?: DeviceTensorOptions): Tensor {
    const type = checkOneOf(dtype, 'dtype', dtypes, 'float32');
    const size = sizeOf(shape, 'shape');
    checkKeys(options, 'options', ['device', 'exportable']);
    const { device: given = Device.cpu } = options ?? {};
    const device = checkDevice(given, 'device');
    const exportable = checkFlag(options?.exportable, 'exportable', false);
    const fixed = Object.freeze([...shape]);
    if (device.kind === 'cpu') {
      if (exportable) throw needs('exportable: true', 'a GPU as device');
      return new Tensor(makeTensorData(type, size, true), fixed, type, size);
    }
    const storage = DeviceStorage.zeros(device, size * bytesOf(type), exportable);
    return new Tensor(storage, fixed, type, size, device);
  }

  /**
   * A tensor for a result: zeros on the host, on a GPU memory with any contents. shared: on the host in memory that a thread
   * can write without a copy. @internal
   */
  static forResult(shape: readonly number[], dtype: DType, device: Device, shared = false): Tensor {
    const size = sizeOf(shape, 'shape');
    const memory =
      device.kind === 'cpu'
        ? makeTensorData(dtype, size, shared)
        : DeviceStorage.allocate(device, size * bytesOf(dtype));
    return new Tensor(memory, Object.freeze([...shape]), dtype, size, device);
  }

  /**
   * Makes a tensor on GPU memory that other code owns. Nothing is copied, and dispose() does not free the memory. The owner
   * must keep the memory until the tensor is disposed and all work enqueued with it is done.
   *
   * @param pointer a CUdeviceptr, a multiple of the element size
   * @param byteLength the number of bytes from `pointer` on; at least as many as the shape needs
   * @throws TypeError, RangeError; WarpDiceError ERR_CUDA when the memory is not on `options.device`
   */
  static fromDevicePointer(
    pointer: bigint,
    byteLength: number,
    shape: readonly number[],
    dtype: DType,
    options: { device: Device },
  ): Tensor {
    const { storage, ...of } = wrapPointer(pointer, byteLength, shape, dtype, options);
    return new Tensor(storage, of.shape, of.type, of.size, of.device);
  }

  /**
   * Opens GPU memory that another process exported by {@link Tensor.ipcHandle} or `cudaIpcGetMemHandle`. That process must
   * keep the memory. Use {@link StreamEvent} to order the work of the two processes. CUDA refuses handles that this process
   * exported itself.
   *
   * @throws TypeError, RangeError; WarpDiceError ERR_CUDA
   */
  static fromIpcHandle(
    ipc: IpcHandle,
    shape: readonly number[],
    dtype: DType,
    options: { device: Device },
  ): Tensor {
    const { storage, ...of } = openIpcHandle(ipc, shape, dtype, options);
    return new Tensor(storage, of.shape, of.type, of.size, of.device);
  }

  /** {@link Tensor.from} with `name` as the tensor's name in errors. @internal */
  static fromNamed(
    data: TypedArray | Float16Like,
    shape: readonly number[],
    dtype: DType | undefined,
    name: string,
    takes?: readonly DType[],
  ): Tensor {
    const type = resolveDType(data, dtype, name, takes);
    const size = sizeOf(shape, `${name}.shape`);
    const length = lengthOf(data);
    if (length !== size) {
      const detached = length === 0 ? ' (is its ArrayBuffer detached?)' : '';
      throw new RangeError(
        `Expected ${size} elements for ${name}.data with shape ${showShape(shape)} but received ${length}${detached}`,
      );
    }
    return new Tensor(data as TypedArray, Object.freeze([...shape]), type, size);
  }

  /** Whether `value` really has memory: a Proxy of a tensor has none. @internal */
  static isWhole(value: unknown): value is Tensor {
    return typeof value === 'object' && value !== null && #memory in value;
  }

  /** The typed array or the GPU memory of a whole tensor; undefined after dispose(). Static, as it needs no guard. @internal */
  static memoryOf(tensor: Tensor): TypedArray | DeviceStorage | undefined {
    return tensor.#memory;
  }

  /** The typed array of a tensor on the host. @throws TypeError on a GPU; WarpDiceError ERR_DISPOSED */
  get data(): TypedArray {
    const memory = this.#live();
    if (!(memory instanceof DeviceStorage)) return memory;
    throw new TypeError(
      `Expected a tensor on the host for data but received one on ${this.device}: read() copies it`,
    );
  }

  /** The memory on a GPU. @internal */
  get storage(): DeviceStorage {
    const memory = this.#live();
    if (memory instanceof DeviceStorage) return memory;
    throw new TypeError(
      `Expected a tensor on a GPU but received one on ${this.device}: use to(device)`,
    );
  }

  /** The address of a tensor on a GPU, for other native code. @throws TypeError on the host */
  get devicePointer(): bigint {
    return this.storage.pointer;
  }

  /**
   * Returns what another process needs to open this tensor by {@link Tensor.fromIpcHandle}. The tensor must have been made
   * with `exportable: true`, or be a view of such a tensor. This process must keep the tensor.
   *
   * @throws TypeError on the host; WarpDiceError ERR_CUDA for memory that is not exportable
   */
  ipcHandle(): IpcHandle {
    return this.storage.ipcHandle();
  }

  /** Number of bytes of all elements. */
  get byteLength(): number {
    return this.size * bytesOf(this.dtype);
  }

  /**
   * Returns the only element as a number. On a GPU it waits, without blocking, for the work that writes the tensor.
   *
   * @throws RangeError when the tensor has more elements; WarpDiceError ERR_LABEL_RANGE for the result of a call on a GPU
   *   whose target had labels out of range
   */
  async item(): Promise<number> {
    this.#mustBeOne();
    return firstNumber(this.device.kind === 'cpu' ? this.data : await this.read(), this.dtype);
  }

  /** Like {@link Tensor.item}, but synchronous: on a GPU it blocks the thread until the work is done. */
  itemSync(): number {
    this.#mustBeOne();
    return firstNumber(this.device.kind === 'cpu' ? this.data : this.readSync(), this.dtype);
  }

  /**
   * Returns a copy of the data. On a GPU it waits, without blocking, for the work that writes the tensor; of 64 KiB and more the
   * copy is on a SharedArrayBuffer, which is written off the event loop.
   *
   * @throws WarpDiceError ERR_DISPOSED, ERR_CUDA; ERR_LABEL_RANGE as for {@link Tensor.item}
   */
  async read(): Promise<TypedArray> {
    if (this.device.kind === 'cpu') return copyArray(this.data);
    return this.storage.read(this.dtype);
  }

  /** Like {@link Tensor.read}, but synchronous: on a GPU it blocks the thread until the work is done. */
  readSync(): TypedArray {
    if (this.device.kind === 'cpu') return copyArray(this.data);
    return this.storage.readSync(this.dtype);
  }

  /**
   * Copies the current contents of `data` into the tensor. Resolves when the copy is done. Calls made after this one use the
   * new data, even before it resolves.
   *
   * @throws TypeError, RangeError when the data does not fit the dtype or the size; WarpDiceError ERR_DISPOSED, ERR_CUDA
   */
  async write(data: TypedArray | Float16Like): Promise<void> {
    const from = Tensor.fromNamed(data, this.shape, this.dtype, 'write()').data;
    if (this.device.kind === 'cpu') {
      copyInto(this.data, from);
    } else {
      this.storage.write(from);
      await this.storage.settled();
    }
  }

  /**
   * Returns this tensor on `device`, as a new tensor with its own dispose(). On the same device both share the memory. To a
   * GPU it copies the current data and returns immediately. From a GPU it blocks the thread until the data has arrived;
   * {@link Tensor.read} does not block.
   *
   * @throws TypeError; WarpDiceError ERR_OUT_OF_MEMORY, ERR_CUDA, ERR_DISPOSED
   */
  to(device: Device): Tensor {
    checkDevice(device, 'device');
    const { shape, dtype, size } = this;
    if (device === this.device) {
      const memory = device.kind === 'cpu' ? this.data : this.storage.view(0, this.byteLength);
      return new Tensor(memory, shape, dtype, size, device);
    }
    const data = this.device.kind === 'cpu' ? this.data : this.readSync();
    if (device.kind === 'cpu') return new Tensor(data, shape, dtype, size);
    return new Tensor(DeviceStorage.copyOf(device, data), shape, dtype, size, device);
  }

  /**
   * Returns a tensor of another shape in the same memory, with the elements from `offset` on. Default offset 0.
   *
   * @throws TypeError, RangeError when the view would exceed the tensor
   * @example
   * const batch = Tensor.from(new Float32Array([1, 2, 3, 4]), [2, 2]);
   * batch.view([2], 2).readSync(); // [3, 4]
   */
  view(shape: readonly number[], offset = 0): Tensor {
    const size = sizeOf(shape, 'shape');
    checkInteger(offset, 'offset', 0, this.size);
    if (size > this.size - offset) {
      throw rangeError(`at most ${this.size - offset} elements`, 'shape', shape);
    }
    const bytes = bytesOf(this.dtype);
    const memory =
      this.device.kind === 'cpu'
        ? partOf(this.data, offset, offset + size)
        : this.storage.view(offset * bytes, size * bytes);
    return new Tensor(memory, Object.freeze([...shape]), this.dtype, size, this.device);
  }

  /**
   * Frees the memory of a tensor on a GPU. On the host the tensor lets go of its array, which the garbage collector frees
   * when nobody else holds it: `data` that you kept, and other threads' views, stay as they are. Using the tensor afterwards
   * throws ERR_DISPOSED. May be called again.
   */
  dispose(): void {
    const memory = this.#memory;
    this.#memory = undefined;
    if (memory instanceof DeviceStorage) memory.dispose();
  }

  /** Whether {@link Tensor.dispose} was called. */
  get disposed(): boolean {
    return this.#memory === undefined;
  }

  /** {@link Tensor.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #live(): TypedArray | DeviceStorage {
    const memory = this.#memory;
    if (memory === undefined) {
      throw new WarpDiceError('ERR_DISPOSED', 'Expected a live tensor but received a disposed one');
    }
    if (!(memory instanceof DeviceStorage) && lengthOf(memory) !== this.size) {
      throw new TypeError(
        `Expected ${this.size} elements but received a tensor whose ArrayBuffer was detached or resized and holds ${lengthOf(memory)}`,
      );
    }
    return memory;
  }

  #mustBeOne(): void {
    if (this.size !== 1)
      throw rangeError('a tensor of one element', 'item()', this.shape, 'use read()');
  }

  /** A text for messages: dtype, shape and device. */
  toString(): string {
    return `Tensor ${this.dtype} ${showShape(this.shape)} on ${this.device}`;
  }
}
