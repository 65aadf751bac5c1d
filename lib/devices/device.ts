// Devices, and the queues of their work: each of the three classes names the others.
import type { NativeEvent, NativeStream } from '../../binding.js';
import { checkInteger, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';
import { cuda, version, whyNoGpu } from './cuda.js';

/** The stream of each device that work goes to, by the device's index. */
const current = new Map<number, Stream>();

/** Bytes of a GPU's memory. */
export interface DeviceMemory {
  /** Of the GPU. */
  readonly totalBytes: number;
  /** Free on the GPU, over all processes. What this process keeps for later tensors is not free. */
  readonly freeBytes: number;
  /** In tensors and workspaces of this process now. */
  readonly aliveBytes: number;
  /** The most that `aliveBytes` has been. */
  readonly peakBytes: number;
}

/**
 * Where tensors live and losses are computed: the CPU, or a GPU with CUDA.
 *
 * @example
 * const device = Device.default(); // a GPU when there is one
 * const x = Tensor.from(Float32Array.of(1, 2, 3), [3]).to(device);
 * await x.read(); // [1, 2, 3]
 * x.dispose();
 */
export class Device {
  readonly kind: 'cpu' | 'cuda';
  /** Among the CUDA devices, from 0; 0 for the CPU. */
  readonly index: number;
  /** For people: `cpu (avx512)` or `cuda:0 (NVIDIA H100)`, say. */
  readonly name: string;
  /** Of a GPU: `'9.0'`, say. */
  readonly computeCapability: string | undefined;
  #stream: Stream | undefined;

  private constructor(kind: 'cpu' | 'cuda', index: number, name: string, capability?: string) {
    this.kind = kind;
    this.index = index;
    this.name = name;
    this.computeCapability = capability;
  }

  static readonly #cpu = new Device('cpu', 0, `cpu (${native.simdTarget()})`);
  static #gpus: readonly Device[] | undefined;

  /** The CPU engine; always there. */
  static get cpu(): Device {
    return Device.#cpu;
  }

  /**
   * The GPU of that number. Always the same object for the same number.
   *
   * @throws TypeError, RangeError; WarpDiceError ERR_NO_DEVICE, which says why there is none
   */
  static cuda(index = 0): Device {
    checkInteger(index, 'index', 0, Number.MAX_SAFE_INTEGER);
    const gpus = Device.#cuda();
    const gpu = gpus.find((gpu) => gpu.index === index);
    if (gpu !== undefined) return gpu;
    const why =
      gpus.length === 0
        ? whyNoGpu()
        : `there is only ${gpus.map((gpu) => `cuda:${gpu.index}`).join(', ')}`;
    throw new WarpDiceError('ERR_NO_DEVICE', `Expected a GPU for cuda:${index}, but ${why}`);
  }

  /** The devices that can compute losses, the CPU first. */
  static list(): Device[] {
    return [Device.#cpu, ...Device.#cuda()];
  }

  /** The first GPU when there is one, else the CPU; {@link Device.whyNoGpu} then says why. */
  static default(): Device {
    return Device.#cuda()[0] ?? Device.#cpu;
  }

  /** Why no GPU is used, in words; undefined when there is one. */
  static get whyNoGpu(): string | undefined {
    return whyNoGpu();
  }

  /**
   * The newest CUDA that the driver supports (`undefined` without a driver) and the one that this addon was built
   * with, as `'13.0'`; undefined for a build without CUDA.
   */
  static get cudaVersions(): { driver: string | undefined; runtime: string } | undefined {
    if (native.cuda === undefined) return undefined;
    const { driverVersion, runtimeVersion } = native.cuda.devices();
    return {
      driver: driverVersion === 0 ? undefined : version(driverVersion),
      runtime: version(runtimeVersion),
    };
  }

  /** Asked once; a driver does not come or go while a process runs. */
  static #cuda(): readonly Device[] {
    Device.#gpus ??= (native.cuda?.devices().devices ?? []).map(
      ({ index, name, computeCapability }) =>
        new Device('cuda', index, `cuda:${index} (${name})`, computeCapability),
    );
    return Device.#gpus;
  }

  /** The memory of a GPU now. @throws TypeError for the CPU; WarpDiceError ERR_CUDA */
  memory(): DeviceMemory {
    this.#mustBeGpu('memory()');
    return callNative(() => cuda().memory(this.index));
  }

  /** The stream that work on this GPU goes to: its own, or that of the {@link Stream.run} that is under way. */
  get stream(): Stream {
    this.#mustBeGpu('stream');
    const running = current.get(this.index);
    if (running !== undefined) return running;
    if (this.#stream === undefined || this.#stream.disposed) this.#stream = new Stream(this);
    return this.#stream;
  }

  /** Resolves when the work that the current stream holds now is done; on the CPU there is none. */
  async synchronize(): Promise<void> {
    if (this.kind === 'cuda') await this.stream.done();
  }

  #mustBeGpu(what: string): void {
    if (this.kind !== 'cuda')
      throw new TypeError(`Expected a GPU for ${what} but received ${this}`);
  }

  /** For messages. */
  toString(): string {
    return this.name;
  }
}

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
  constructor(device: Device);
  /** handle: of a stream that somebody else owns. @internal */
  constructor(device: Device, handle: bigint);
  constructor(device: Device, handle?: bigint) {
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
