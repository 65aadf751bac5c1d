import { checkInteger } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';
import { cuda, version, whyNoGpu } from './cuda.js';
import { currentStream, Stream } from './stream.js';

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
    const running = currentStream(this);
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
 * Sets how many threads one call may use, the calling one included: 1 to 256. The threads are one pool for the whole
 * process, shared by all `worker_threads`. Default: the processors this process may run on, or the environment
 * variable `WARPDICE_THREADS` (such a number too). Results do not depend on it.
 *
 * @throws TypeError, RangeError
 */
export function setThreads(count: number): void {
  native.setThreads(checkInteger(count, 'count', 1, 256));
}

/** The threads that one call may use. */
export function getThreads(): number {
  return native.getThreads();
}

/**
 * The instruction set in use: `'avx512'`, `'avx2'`, `'baseline'` (SSE2) or `'neon'`. The best that the processor has,
 * unless the environment variable `WARPDICE_SIMD` names another that it has when the addon is loaded.
 */
export function simdTarget(): string {
  return native.simdTarget();
}
