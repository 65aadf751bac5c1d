// How the CPU engine works: its threads and its instruction set.
import { checkInteger } from '../common/check.js';
import { native } from '../native/load.js';

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
