// Warns once, when the library is loaded, about environment variables with a wrong value.
import { native } from './load.js';

const { WARPDICE_SIMD: simd, WARPDICE_THREADS: threads, WARPDICE_ASYNC_MIB: mib } = process.env;

function warn(message: string): void {
  process.emitWarning(message, { type: 'WarpDiceWarning', code: 'WARPDICE_ENVIRONMENT' });
}

if (simd && simd !== native.simdTarget()) {
  const names = process.arch === 'arm64' ? 'neon' : 'avx512, avx2 or baseline';
  warn(
    `Expected ${names}, and of those what this processor has, for WARPDICE_SIMD but received "${simd}"; ${native.simdTarget()} is used`,
  );
}
const isIntegerTo = (most: number, text: string): boolean =>
  /^[0-9]+$/.test(text) && Number(text) >= 1 && Number(text) <= most;

if (threads && !isIntegerTo(256, threads)) {
  warn(
    `Expected an integer from 1 to 256 for WARPDICE_THREADS but received "${threads}"; ${native.getThreads()} are used`,
  );
}
if (mib && !isIntegerTo(2 ** 30, mib)) {
  warn(
    `Expected an integer from 1 to 2^30 for WARPDICE_ASYNC_MIB, the MiB of copies that pending Async calls may hold, but received "${mib}"`,
  );
}
