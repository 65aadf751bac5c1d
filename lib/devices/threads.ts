// Settings of the CPU engine: its threads and its instruction set.
import { checkInteger } from '../common/check.js';
import { native } from '../native/load.js';

/**
 * Sets the number of threads that one call may use, the calling thread included: 1 to 256. All `worker_threads` of the
 * process share one pool of threads. Default: the environment variable `WARPDICE_THREADS`, else the number of processors
 * that this process may use: by its affinity and, in a container, by the CPU quota of its cgroup (version 1 or 2, rounded
 * up). Results do not depend on the number of threads.
 *
 * @throws TypeError, RangeError
 */
export function setThreads(count: number): void {
  native.setThreads(checkInteger(count, 'count', 1, 256));
}

/** Returns the number of threads that one call may use. */
export function getThreads(): number {
  return native.getThreads();
}

/**
 * Returns the instruction set in use: `'avx512'`, `'avx2'`, `'baseline'` (SSE2) or `'neon'`. It is the best one of the
 * processor, or the one that the environment variable `WARPDICE_SIMD` names when the package is loaded.
 */
export function simdTarget(): string {
  return native.simdTarget();
}
