// Devices, streams and events: one file, since the three classes use each other.
import type { NativeEvent, NativeStream } from '../../binding.js';
import { checkInteger, checkList, expectOneOf, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { guard, notByNew } from '../common/own.js';
import { DTypeCode, isFloatCode, namesOf } from '../native/codes.js';
import { native } from '../native/load.js';
import { callNative, callNativeAsync } from '../native/translate-error.js';
import { cuda, cudaDevices, version, whyNoGpu } from './cuda.js';

/** The stream of the running Stream.run for each GPU, by the GPU's index. */
const current = new Map<number, Stream>();

const floats = namesOf(DTypeCode).filter((name) => isFloatCode(DTypeCode[name]));

/** One dtype after the other: a dtype takes one of the threads for calls off the event loop. */
async function loadKernels(index: number, dtypes: readonly number[]): Promise<void> {
  for (const dtype of dtypes) await callNativeAsync(() => cuda().loadKernels(index, dtype));
}

/** The memory of a GPU, in bytes. */
export interface DeviceMemory {
  /** All memory of the GPU. */
  readonly totalBytes: number;
  /** Memory that no process uses. Memory that this process's pool keeps for later tensors counts as used. */
  readonly freeBytes: number;
  /** Memory in tensors and workspaces of this process now. */
  readonly aliveBytes: number;
  /** The largest value that `aliveBytes` has had. */
  readonly peakBytes: number;
}

/**
 * A device that stores tensors and computes losses: the CPU, or an NVIDIA GPU with CUDA.
 *
 * @example
 * const device = Device.default(); // a GPU when there is one
 * const x = Tensor.from(Float32Array.of(1, 2, 3), [3]).to(device);
 * await x.read(); // [1, 2, 3]
 * x.dispose();
 */
export class Device {
  readonly kind: 'cpu' | 'cuda';
  /** The number of the CUDA device, from 0; 0 for the CPU. */
  readonly index: number;
  /** A name for people, such as `cpu (avx512)` or `cuda:0 (NVIDIA H100)`. */
  readonly name: string;
  /** The compute capability of a GPU, such as `'9.0'`; undefined for the CPU. */
  readonly computeCapability: string | undefined;
  #stream: Stream | undefined;

  static {
    guard(Device, 'a Device', (value) => #stream in value);
  }

  private constructor(kind: 'cpu' | 'cuda', index: number, name: string, capability?: string) {
    if (name === undefined) throw notByNew('a Device', 'Device.cuda(index)', 'Device');
    this.kind = kind;
    this.index = index;
    this.name = name;
    this.computeCapability = capability;
    Object.freeze(this);
  }

  static readonly #cpu = new Device('cpu', 0, `cpu (${native.simdTarget()})`);
  static #gpus: readonly Device[] | undefined;

  /** The CPU. It is always available. */
  static get cpu(): Device {
    return Device.#cpu;
  }

  /**
   * Returns the GPU with this number, always the same object. Default 0.
   *
   * @throws TypeError, RangeError; WarpDiceError ERR_NO_DEVICE, whose message says why there is no such GPU
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

  /** The first GPU, or the CPU when there is no GPU; {@link Device.whyNoGpu} then says why. */
  static default(): Device {
    return Device.#cuda()[0] ?? Device.#cpu;
  }

  /** The reason why no GPU can be used, as text; undefined when there is a GPU. */
  static get whyNoGpu(): string | undefined {
    return whyNoGpu();
  }

  /**
   * Two CUDA versions, written like `'13.0'`: `driver` is the newest that the driver supports (undefined without a driver),
   * `runtime` the one that this build uses. undefined for a build without CUDA.
   */
  static get cudaVersions(): { driver: string | undefined; runtime: string } | undefined {
    const found = cudaDevices();
    if (found === undefined) return undefined;
    const { driverVersion, runtimeVersion } = found;
    return {
      driver: driverVersion === 0 ? undefined : version(driverVersion),
      runtime: version(runtimeVersion),
    };
  }

  /** The GPUs are listed once: a driver does not come or go while a process runs. */
  static #cuda(): readonly Device[] {
    Device.#gpus ??= (cudaDevices()?.devices ?? []).map(
      ({ index, name, computeCapability }) =>
        new Device('cuda', index, `cuda:${index} (${name})`, computeCapability),
    );
    return Device.#gpus;
  }

  /** Returns the current memory use of a GPU. @throws TypeError for the CPU; WarpDiceError ERR_CUDA */
  memory(): DeviceMemory {
    this.#mustBeGpu('memory()');
    return callNative(() => cuda().memory(this.index));
  }

  /**
   * The stream that receives the work on this GPU: the stream of the {@link Stream.run} that is running, else the GPU's own.
   *
   * @throws TypeError for the CPU; WarpDiceError ERR_CUDA
   */
  get stream(): Stream {
    this.#mustBeGpu('stream');
    const running = current.get(this.index);
    if (running !== undefined) return running;
    if (this.#stream === undefined || this.#stream.disposed) this.#stream = new Stream(this);
    return this.#stream;
  }

  /**
   * Loads the kernels of calls on predictions of these dtypes: losses and their plans, metrics, deep supervision. Without it CUDA
   * loads a kernel in the call that uses it first, an `...Async` call too. That takes seconds and blocks the event loop where the
   * driver must compile it, on a GPU that is newer than the build: see "The first call on a new GPU" in docs/devices.md. This method
   * loads off the event loop, once in a process for all workers. On the CPU it resolves at once.
   *
   * @param dtypes Default `['float32']`
   * @throws TypeError, RangeError; WarpDiceError ERR_CUDA, as a rejection
   * @example
   * const device = Device.default();
   * await device.loadKernels(['float32', 'float16']);
   * const p = Tensor.from(Float32Array.of(0.5), [1]).to(device);
   * const t = Tensor.from(Uint8Array.of(1), [1]).to(device);
   * await new DiceLoss({ smoothDenominator: 0 }).value(p, t).value.item(); // 1 - 2*0.5 / (0.25 + 1) = 1/5
   */
  loadKernels(
    dtypes: readonly ('float32' | 'float64' | 'float16' | 'bfloat16')[] = ['float32'],
  ): Promise<void> {
    const list = checkList(dtypes, 'dtypes', 'an array of dtypes', floats.length);
    const codes = list.map((dtype, i) => DTypeCode[expectOneOf(dtype, `dtypes[${i}]`, floats)]);
    return this.kind === 'cpu' ? Promise.resolve() : loadKernels(this.index, codes);
  }

  /** Resolves when all work enqueued on {@link Device.stream} so far is done; on the CPU at once. */
  async synchronize(): Promise<void> {
    if (this.kind === 'cuda') await this.stream.done();
  }

  #mustBeGpu(what: string): void {
    if (this.kind !== 'cuda')
      throw new TypeError(`Expected a GPU for ${what} but received ${this}`);
  }

  /** The name, for messages. */
  toString(): string {
    return this.name;
  }
}

/**
 * A queue of work on a GPU. The kernels and copies of one stream run in the order of the calls; those of different streams
 * may run at the same time. Every GPU has its own stream, which is used outside {@link Stream.run}.
 *
 * When a stream uses a tensor of other streams for the first time, it waits for all work that they have then: to read the
 * tensor, for that of the stream that wrote it last; to write it, for that of every stream that has used it. After that, use
 * events to order the streams: {@link Stream.record}, {@link Stream.wait}.
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

  static {
    guard(Stream, 'a Stream', (value) => #disposed in value);
  }

  /** @throws TypeError; WarpDiceError ERR_CUDA */
  constructor(device: Device);
  /** handle: the `cudaStream_t` of a stream that other code owns. @internal */
  constructor(device: Device, handle: bigint);
  constructor(device: Device, handle?: bigint) {
    if (device?.kind !== 'cuda') throw typeError('a CUDA device', 'device', device);
    this.device = device;
    this.native = callNative(() => new (cuda().Stream)(device.index, handle));
    Object.freeze(this);
  }

  /**
   * Makes a Stream from a `cudaStream_t` that other code owns. The owner must keep the stream as long as there are tensors
   * that it used.
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

  /** Calls `work` and returns its result. All work that `work` enqueues on this stream's GPU goes to this stream. */
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

  /** Returns an event that is reached when all work enqueued on this stream so far is done. */
  record(): StreamEvent {
    const event = new StreamEvent(this.device);
    event.record(this);
    return event;
  }

  /** Makes work that is enqueued on this stream from now on wait until `event` is reached. */
  wait(event: StreamEvent): void {
    if (!(event instanceof StreamEvent)) throw typeError('a StreamEvent', 'event', event);
    callNative(() => event.native.makeWait(this.native));
  }

  /** Resolves when all work enqueued on this stream so far is done. @throws WarpDiceError ERR_CUDA, as a rejection */
  async done(): Promise<void> {
    await callNative(() => this.native.done());
  }

  /** Blocks the thread until all work enqueued on this stream is done. */
  synchronizeSync(): void {
    callNative(() => this.native.synchronize());
  }

  /** Releases the stream. Its enqueued work still completes. May be called again. */
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

/** A point in the work of a stream, made by {@link Stream.record}. An event that was never recorded counts as reached. */
export class StreamEvent implements Disposable {
  /** @internal */
  readonly native: NativeEvent;

  static {
    guard(StreamEvent, 'a StreamEvent', (value) => Object.hasOwn(value, 'native'));
  }

  /**
   * @param options.interprocess true: another process can open the event by its {@link StreamEvent.ipcHandle}. Default false
   * @throws TypeError; WarpDiceError ERR_CUDA
   */
  constructor(device: Device, options: { interprocess?: boolean | Uint8Array } = {}) {
    if (device?.kind !== 'cuda') throw typeError('a CUDA device', 'device', device);
    this.native = callNative(() => new (cuda().Event)(device.index, options.interprocess ?? false));
    Object.freeze(this);
  }

  /** Opens an event that another process exported. @throws TypeError; WarpDiceError ERR_CUDA, also for a handle of this process */
  static fromIpcHandle(device: Device, handle: Uint8Array): StreamEvent {
    if (!(handle instanceof Uint8Array)) throw typeError('a Uint8Array', 'handle', handle);
    return new StreamEvent(device, { interprocess: handle });
  }

  /** Records the event anew: it is reached when all work enqueued on `stream` so far is done. */
  record(stream: Stream): void {
    if (!(stream instanceof Stream)) throw typeError('a Stream', 'stream', stream);
    callNative(() => this.native.record(stream.native));
  }

  /** Whether the work before the event is done. */
  get reached(): boolean {
    return callNative(() => this.native.reached());
  }

  /** Blocks the thread until the event is reached. */
  synchronizeSync(): void {
    callNative(() => this.native.synchronize());
  }

  /** Returns 64 bytes with which another process opens the event by {@link StreamEvent.fromIpcHandle}. */
  ipcHandle(): Uint8Array {
    return callNative(() => this.native.ipcHandle());
  }

  /** Releases the event. May be called again. */
  dispose(): void {
    this.native.dispose();
  }

  /** {@link StreamEvent.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
