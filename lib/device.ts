import { native } from './binding.js';
import { checkInteger } from './check.js';

/** Where tensors live and losses are computed. In this version: the CPU. */
export class Device {
  readonly kind: 'cpu';
  /** For people: `cpu (avx512)`, say. */
  readonly name: string;

  private constructor(kind: 'cpu', name: string) {
    this.kind = kind;
    this.name = name;
  }

  static readonly #cpu = new Device('cpu', `cpu (${native.simdTarget()})`);

  /** The CPU engine; always there. */
  static get cpu(): Device {
    return Device.#cpu;
  }

  /** The devices that can compute losses. */
  static list(): Device[] {
    return [Device.#cpu];
  }

  /** The fastest device there is: the CPU, in this version. {@link Device.whyNoGpu} says why. */
  static default(): Device {
    return Device.#cpu;
  }

  /** Why no GPU is used, in words. */
  static get whyNoGpu(): string {
    const cuda = native.cudaDevices();
    if (!cuda.compiled)
      return 'this build of warpdice has no CUDA (nvcc was not found, or WARPDICE_CUDA=OFF was set, when it was built)';
    if (cuda.driverVersion === 0) return 'no NVIDIA driver was found';
    const gpu = cuda.devices[0];
    if (gpu === undefined) {
      const version = (code: number) =>
        `${Math.floor(code / 1000)}.${Math.floor((code % 1000) / 10)}`;
      return `CUDA says "${cuda.error}" (driver for CUDA ${version(cuda.driverVersion)}, built with CUDA ${version(cuda.runtimeVersion)})`;
    }
    return `${gpu.name} was found, but this version of warpdice computes on the CPU only`;
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
