import type { NativeEvent, NativeStream } from '../../binding.js';
import { typeError } from '../common/check.js';
import { callNative } from '../native/translate-error.js';
import { cuda } from './cuda.js';
import type { Device } from './device.js';

/** The stream of each device that work goes to, by the device's index. */
const current = new Map<number, Stream>();

/**
 * A queue of work on a GPU: kernels and copies of one stream run in the order of the calls, those of different streams
 * run side by side. Every device has a stream of its own that is used unless {@link Stream.run} says otherwise.
 *
 * The first time that a stream uses a tensor of another one, it waits for what that one holds. Later order between
 * streams is made by events: {@link Stream.record}, {@link Stream.wait}.
 *
 * @example
 * const gpu = Device.cuda(0);
 * const side = new Stream(gpu);
 * const x = side.run(() => Tensor.from(Float32Array.of(1, 2, 3), [3]).to(gpu)); // copied by `side`
 * gpu.stream.wait(side.record()); // what comes next on the device's own stream finds it
 * await x.read(); // [1, 2, 3]
 */
export class Stream implements Disposable {
  readonly device: Device;
  /** @internal */
  readonly native: NativeStream;
  #disposed = false;

  /** @throws TypeError; WarpDiceError ERR_CUDA */
  constructor(device: Device, /** @internal */ handle?: bigint) {
    if (device?.kind !== 'cuda') throw typeError('a CUDA device', 'device', device);
    this.device = device;
    this.native = callNative(() => new (cuda().Stream)(device.index, handle));
  }

  /**
   * A stream that somebody else owns, by its `cudaStream_t`. It must live for as long as tensors that it used.
   *
   * @throws TypeError
   */
  static fromHandle(device: Device, handle: bigint): Stream {
    if (typeof handle !== 'bigint') throw typeError('a bigint', 'handle', handle);
    return new Stream(device, handle);
  }

  /** The `cudaStream_t`, for other native code. */
  get handle(): bigint {
    return callNative(() => this.native.handle);
  }

  /** Everything that `work` enqueues on this stream's device goes to this stream. Returns what it returns. */
  run<Result>(work: () => Result): Result {
    const before = current.get(this.device.index);
    current.set(this.device.index, this);
    try {
      return work();
    } finally {
      if (before === undefined) current.delete(this.device.index);
      else current.set(this.device.index, before);
    }
  }

  /** The point that the stream's work has reached when everything that it holds now is done. */
  record(): StreamEvent {
    const event = new StreamEvent(this.device);
    event.record(this);
    return event;
  }

  /** What is enqueued from now on starts when `event` has been reached. */
  wait(event: StreamEvent): void {
    if (!(event instanceof StreamEvent)) throw typeError('a StreamEvent', 'event', event);
    callNative(() => event.native.makeWait(this.native));
  }

  /** Resolves when what the stream holds now is done. @throws WarpDiceError ERR_CUDA, as a rejection */
  async done(): Promise<void> {
    await callNative(() => this.native.done());
  }

  /** Blocks the thread until what the stream holds is done. */
  synchronizeSync(): void {
    callNative(() => this.native.synchronize());
  }

  /** Lets go of the stream; its work goes on. May be called again. */
  dispose(): void {
    this.#disposed = true;
    this.native.dispose();
  }

  /** Whether {@link Stream.dispose} was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** {@link Stream.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The stream of the {@link Stream.run} on a device that is under way. @internal */
export const currentStream = (device: Device): Stream | undefined => current.get(device.index);

/** A point in the work of a stream: see {@link Stream.record}. Never recorded, it counts as reached. */
export class StreamEvent implements Disposable {
  /** @internal */
  readonly native: NativeEvent;

  /**
   * @param options.interprocess another process can open the event by {@link StreamEvent.ipcHandle}
   * @throws TypeError; WarpDiceError ERR_CUDA
   */
  constructor(device: Device, options: { interprocess?: boolean | Uint8Array } = {}) {
    if (device?.kind !== 'cuda') throw typeError('a CUDA device', 'device', device);
    this.native = callNative(() => new (cuda().Event)(device.index, options.interprocess ?? false));
  }

  /** The event that another process exported. @throws WarpDiceError ERR_CUDA, for this process's own too */
  static fromIpcHandle(device: Device, handle: Uint8Array): StreamEvent {
    if (!(handle instanceof Uint8Array)) throw typeError('a Uint8Array', 'handle', handle);
    return new StreamEvent(device, { interprocess: handle });
  }

  /** Moves the event to the end of what `stream` holds now. */
  record(stream: Stream): void {
    if (!(stream instanceof Stream)) throw typeError('a Stream', 'stream', stream);
    callNative(() => this.native.record(stream.native));
  }

  /** Whether the work before it is done. */
  get reached(): boolean {
    return callNative(() => this.native.reached());
  }

  /** Blocks the thread until it is reached. */
  synchronizeSync(): void {
    callNative(() => this.native.synchronize());
  }

  /** 64 bytes by which another process opens the event. */
  ipcHandle(): Uint8Array {
    return callNative(() => this.native.ipcHandle());
  }

  /** May be called again. */
  dispose(): void {
    this.native.dispose();
  }

  /** {@link StreamEvent.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
