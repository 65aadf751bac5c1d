import {
  checkFlag,
  checkInteger,
  checkKeys,
  checkOneOf,
  needs,
  rangeError,
  showShape,
  sizeOf,
  typeError,
} from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { Device } from '../devices/device.js';
import { DeviceStorage, type IpcHandle } from './device-storage.js';
import {
  bytesOf,
  copyArray,
  type DType,
  dtypes,
  type Float16Like,
  isFloat16Array,
  makeTensorData,
  resolveDType,
  type TypedArray,
} from './dtype.js';
import { bfloatToNumber, halfToNumber } from './half.js';

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

/** Options of {@link Tensor.empty}. */
export interface DeviceTensorOptions {
  /** Where the memory is. Default: the CPU. */
  device?: Device;
  /** On a GPU: memory that {@link Tensor.ipcHandle} can export to another process. Default false. */
  exportable?: boolean;
}

/** postMessage refuses a symbol by its description, so this is the error that it shows. */
const notCloneable = Symbol(
  'A Tensor cannot be posted to another thread: post { data: tensor.data, shape: tensor.shape, dtype: tensor.dtype }, whose memory is shared when the tensor comes from Tensor.empty, and call Tensor.from there. This value',
);

/**
 * An array with a shape, row-major. On the host it is a plain object that borrows its typed array: nothing is copied
 * and nothing needs to be disposed. On a GPU it is memory of the device, to be disposed: the garbage collector frees
 * nothing inside a synchronous loop. What was enqueued before dispose() still finds the memory.
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
  readonly #storage: DeviceStorage | undefined;
  #disposed = false;

  private constructor(
    memory: TypedArray | DeviceStorage,
    shape: readonly number[],
    dtype: DType,
    size: number,
    device = Device.cpu,
  ) {
    if (memory instanceof DeviceStorage) this.#storage = memory;
    else this.#data = memory;
    this.shape = shape;
    this.dtype = dtype;
    this.size = size;
    this.device = device;
    if (size === undefined) {
      throw new TypeError(
        'Expected a call of Tensor.from(data, shape) for a Tensor but received new Tensor(...)',
      );
    }
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
    const { dtype, size, shape: fixed } = Tensor.from(data, shape, options);
    return new Tensor(copyArray(data), fixed, dtype, size);
  }

  /**
   * A zero-filled tensor on a `SharedArrayBuffer`. That memory can neither move nor be transferred away, so the
   * `...Async` calls use it without a copy, and it can be posted to workers, which then share it.
   * Make it once and reuse it: the garbage collector takes little notice of shared memory and may free it late.
   * From 16 kB it begins on a cache line, which calls are up to 10% faster on than where Node places arrays: post
   * `data` and not its `buffer`, which holds some bytes more. From 4 MB on Linux is asked for huge pages, which large
   * tensors are read and first written faster in. The default dtype is float32.
   *
   * With `options.device` a GPU it is zero-filled memory there, from a pool: sizes that were disposed before cost no
   * allocation by the driver.
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

  /** For what is written next: zeros on plain memory of the host, anything on a GPU. @internal */
  static forResult(shape: readonly number[], dtype: DType, device: Device): Tensor {
    const size = sizeOf(shape, 'shape');
    const memory =
      device.kind === 'cpu'
        ? makeTensorData(dtype, size, false)
        : DeviceStorage.allocate(device, size * bytesOf(dtype));
    return new Tensor(memory, Object.freeze([...shape]), dtype, size, device);
  }

  /**
   * Memory of a GPU that somebody else owns, from `pointer` on: nothing is copied and nothing freed. It must stay
   * allocated for as long as the tensor and everything enqueued with it.
   *
   * @param pointer a CUdeviceptr
   * @param byteLength how many bytes are there; at least as many as the shape takes
   * @throws TypeError, RangeError; WarpDiceError ERR_CUDA when the memory is not on `options.device`
   */
  static fromDevicePointer(
    pointer: bigint,
    byteLength: number,
    shape: readonly number[],
    dtype: DType,
    options: { device: Device },
  ): Tensor {
    if (typeof pointer !== 'bigint') throw typeError('a bigint', 'pointer', pointer);
    const { type, size, device } = checkForeign(shape, dtype, options);
    const bytes = size * bytesOf(type);
    if (!Number.isSafeInteger(byteLength) || byteLength < bytes) {
      throw rangeError(`at least ${bytes} bytes`, 'byteLength', byteLength);
    }
    if (pointer <= 0n || pointer >= 2n ** 64n || pointer % BigInt(bytesOf(type)) !== 0n) {
      throw rangeError(`an address that is a multiple of ${bytesOf(type)}`, 'pointer', pointer);
    }
    const storage = DeviceStorage.wrap(device, pointer, bytes);
    return new Tensor(storage, Object.freeze([...shape]), type, size, device);
  }

  /**
   * A tensor that another process exported by {@link Tensor.ipcHandle} or by `cudaIpcGetMemHandle`. That process must
   * keep it; {@link StreamEvent} orders the two. CUDA refuses a process's own handles.
   *
   * @throws TypeError, RangeError; WarpDiceError ERR_CUDA
   */
  static fromIpcHandle(
    ipc: IpcHandle,
    shape: readonly number[],
    dtype: DType,
    options: { device: Device },
  ): Tensor {
    checkKeys(ipc, 'ipc', ['handle', 'offsetBytes']);
    if (!(ipc?.handle instanceof Uint8Array) || ipc.handle.length !== 64) {
      throw typeError('64 bytes', 'ipc.handle', ipc?.handle);
    }
    checkInteger(ipc.offsetBytes, 'ipc.offsetBytes', 0, Number.MAX_SAFE_INTEGER);
    const { type, size, device } = checkForeign(shape, dtype, options);
    if (ipc.offsetBytes % bytesOf(type) !== 0) {
      throw rangeError(`a multiple of ${bytesOf(type)}`, 'ipc.offsetBytes', ipc.offsetBytes);
    }
    const storage = DeviceStorage.open(device, ipc, size * bytesOf(type));
    return new Tensor(storage, Object.freeze([...shape]), type, size, device);
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

  /** Whether it is a tensor itself: not a Proxy of one, which has no memory. @internal */
  static isWhole(value: Tensor): boolean {
    return #disposed in value;
  }

  /** The typed array of a tensor on the host. @throws TypeError on a GPU; WarpDiceError ERR_DISPOSED */
  get data(): TypedArray {
    this.#mustBeLive();
    if (this.#data !== undefined) return this.#data;
    throw new TypeError(
      `Expected a tensor on the host for data but received one on ${this.device}: read() copies it`,
    );
  }

  /** The memory on a GPU. @internal */
  get storage(): DeviceStorage {
    this.#mustBeLive();
    if (this.#storage !== undefined) return this.#storage;
    throw new TypeError(
      `Expected a tensor on a GPU but received one on ${this.device}: use to(device)`,
    );
  }

  /** The address of a tensor on a GPU, for other native code. @throws TypeError on the host */
  get devicePointer(): bigint {
    return this.storage.pointer;
  }

  /**
   * What another process needs to share a tensor that was made with `exportable: true`, or a view of one. This process
   * must keep the tensor.
   *
   * @throws TypeError on the host; WarpDiceError ERR_CUDA for memory that is not exportable
   */
  ipcHandle(): IpcHandle {
    return this.storage.ipcHandle();
  }

  get byteLength(): number {
    return this.size * bytesOf(this.dtype);
  }

  /**
   * The only element, as a number. Waits for the work that makes it, without blocking.
   *
   * @throws RangeError when there are more; WarpDiceError ERR_LABEL_RANGE for the result of a call on a GPU whose target
   *   had invalid values
   */
  async item(): Promise<number> {
    this.#mustBeOne();
    return this.#number(this.device.kind === 'cpu' ? this.data : await this.read());
  }

  /** {@link Tensor.item} at once: on a GPU it blocks the thread until the work is done. */
  itemSync(): number {
    this.#mustBeOne();
    return this.#number(this.device.kind === 'cpu' ? this.data : this.readSync());
  }

  /** A copy of the data. Waits for the work that makes it, without blocking. Errors as {@link Tensor.item}. */
  async read(): Promise<TypedArray> {
    if (this.device.kind === 'cpu') return copyArray(this.data);
    return this.storage.read(this.dtype);
  }

  /** {@link Tensor.read} at once: on a GPU it blocks the thread until the work is done. */
  readSync(): TypedArray {
    if (this.device.kind === 'cpu') return copyArray(this.data);
    return this.storage.readSync(this.dtype);
  }

  /**
   * Replaces the data by what `data` holds now. Resolves when it is there; calls that follow find it at once.
   *
   * @throws TypeError, RangeError when the data does not fit the dtype or the size; WarpDiceError ERR_DISPOSED, ERR_CUDA
   */
  async write(data: TypedArray | Float16Like): Promise<void> {
    const from = Tensor.fromNamed(data, this.shape, this.dtype, 'write()').data;
    if (this.device.kind === 'cpu') {
      (this.data as Float32Array).set(from as Float32Array);
    } else {
      this.storage.write(from);
      await this.storage.settled();
    }
  }

  /**
   * A new handle on `device`, to be disposed on its own. On the same device it shares the memory. To a GPU the data is
   * copied as it is now, and the call returns at once; from a GPU it blocks until the data is here
   * ({@link Tensor.read} does not).
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
   * A part as a tensor of another shape: the elements from `offset` on, in the same memory.
   *
   * @throws TypeError, RangeError when the part is not inside
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
        ? this.data.subarray(offset, offset + size)
        : this.storage.view(offset * bytes, size * bytes);
    return new Tensor(memory, Object.freeze([...shape]), this.dtype, size, this.device);
  }

  /** Lets go of the memory; using the tensor afterwards is an error. May be called again. */
  dispose(): void {
    this.#disposed = true;
    this.#data = undefined;
    this.#storage?.dispose();
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** {@link Tensor.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #mustBeLive(): void {
    if (!this.#disposed) return;
    throw new WarpDiceError('ERR_DISPOSED', 'Expected a live tensor but received a disposed one');
  }

  #mustBeOne(): void {
    if (this.size !== 1)
      throw rangeError('a tensor of one element', 'item()', this.shape, 'use read()');
  }

  #number(data: TypedArray): number {
    const value = data[0] as number | bigint;
    if (this.dtype === 'float16' && !isFloat16Array(data)) return halfToNumber(Number(value));
    if (this.dtype === 'bfloat16') return bfloatToNumber(Number(value));
    return Number(value);
  }

  /** For messages: dtype, shape and device. */
  toString(): string {
    return `Tensor ${this.dtype} ${showShape(this.shape)} on ${this.device}`;
  }
}

function checkDevice(device: unknown, name: string): Device {
  if (!(device instanceof Device)) throw typeError('a Device', name, device);
  return device;
}

/** The shape, dtype and GPU of memory that somebody else owns. */
function checkForeign(shape: readonly number[], dtype: DType, options: { device: Device }) {
  const size = sizeOf(shape, 'shape');
  const type = checkOneOf(dtype, 'dtype', dtypes, 'float32');
  checkKeys(options, 'options', ['device']);
  const device = checkDevice(options?.device, 'device');
  if (device.kind !== 'cuda') throw typeError('a GPU', 'device', device);
  return { size, type, device };
}
