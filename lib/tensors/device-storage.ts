// A tensor's memory on a GPU: allocates, copies and frees it.
import type { NativeBuffer } from '../../binding.js';
import { cuda } from '../devices/cuda.js';
import type { Device } from '../devices/device.js';
import { callNative, translate } from '../native/translate-error.js';
import { makeArray, makeTensorData } from './allocate.js';
import { bytesOf, type DType, type TypedArray } from './dtype.js';
import { elementBytesOf, type Kind, kindOf, lengthOf } from './typed-array.js';

/** From this size on `read()` gives shared memory. */
const sharedFromBytes = 1 << 16;

/** Names GPU memory for another process: see {@link Tensor.ipcHandle} and {@link Tensor.fromIpcHandle}. */
export interface IpcHandle {
  /** The 64 bytes of CUDA's handle of the allocation. */
  readonly handle: Uint8Array;
  /** Where the tensor begins in that allocation, in bytes. */
  readonly offsetBytes: number;
}

/** A part of an allocation on a GPU. The allocation is freed when all its parts are disposed and their work is done. */
export class DeviceStorage {
  /** The addon's handle of the memory. */
  readonly buffer: NativeBuffer;
  readonly #device: Device;
  /** The error for a fault of the call that wrote the memory. */
  toUserError: (error: unknown) => unknown = translate;

  private constructor(device: Device, make: () => NativeBuffer) {
    this.#device = device;
    this.buffer = callNative(make);
  }

  static allocate(device: Device, sizeBytes: number, exportable = false): DeviceStorage {
    const { native } = device.stream;
    return new DeviceStorage(device, () => cuda().allocate(native, sizeBytes, exportable));
  }

  static zeros(device: Device, sizeBytes: number, exportable: boolean): DeviceStorage {
    const storage = DeviceStorage.allocate(device, sizeBytes, exportable);
    return storage.#filled(() => storage.buffer.fill(device.stream.native));
  }

  static copyOf(device: Device, data: TypedArray): DeviceStorage {
    const storage = DeviceStorage.allocate(
      device,
      lengthOf(data) * elementBytesOf(kindOf(data) as Kind),
    );
    return storage.#filled(() => storage.write(data));
  }

  /** Fills this storage and returns it; disposes it when `fill` throws. */
  #filled(fill: () => void): this {
    try {
      callNative(fill);
    } catch (error) {
      this.dispose();
      throw error;
    }
    return this;
  }

  static wrap(device: Device, pointer: bigint, sizeBytes: number): DeviceStorage {
    const { native } = device.stream;
    return new DeviceStorage(device, () => cuda().wrap(native, pointer, sizeBytes));
  }

  static open(device: Device, ipc: IpcHandle, sizeBytes: number): DeviceStorage {
    const { native } = device.stream;
    const { handle, offsetBytes } = ipc;
    return new DeviceStorage(device, () => cuda().open(native, handle, offsetBytes, sizeBytes));
  }

  get pointer(): bigint {
    return callNative(() => this.buffer.pointer);
  }

  view(offsetBytes: number, sizeBytes: number): DeviceStorage {
    const part = new DeviceStorage(this.#device, () => this.buffer.view(offsetBytes, sizeBytes));
    part.toUserError = this.toUserError;
    return part;
  }

  write(data: TypedArray): void {
    callNative(() => this.buffer.write(this.#device.stream.native, data));
  }

  read(dtype: DType): Promise<TypedArray> {
    // Shared memory can be written off the event loop; of little there is nothing to save.
    const shared = this.buffer.sizeBytes >= sharedFromBytes;
    return callNative(() => this.buffer.read(this.#array(dtype, shared)), this.toUserError);
  }

  readSync(dtype: DType): TypedArray {
    const array = callNative(() => this.#array(dtype, false));
    callNative(() => this.buffer.readSync(array), this.toUserError);
    return array;
  }

  settled(): Promise<void> {
    return callNative(() => this.buffer.settled(), this.toUserError);
  }

  ipcHandle(): IpcHandle {
    return callNative(() => this.buffer.ipcHandle());
  }

  dispose(): void {
    this.buffer.dispose();
  }

  #array(dtype: DType, shared: boolean): TypedArray {
    const size = this.buffer.sizeBytes / bytesOf(dtype);
    return shared ? makeTensorData(dtype, size, true) : makeArray(dtype, size);
  }
}
