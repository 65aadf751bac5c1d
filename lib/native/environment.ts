// Warns once, when the library is loaded, about environment variables with a wrong value.
import { native } from './load.js';

const { WARPDICE_SIMD: simd, WARPDICE_THREADS: threads } = process.env;

function warn(message: string): void {
  process.emitWarning(message, { type: 'WarpDiceWarning', code: 'WARPDICE_ENVIRONMENT' });
}

if (simd && simd !== native.simdTarget()) {
  const names = process.arch === 'arm64' ? 'neon' : 'avx512, avx2 or baseline';
  warn(
    `Expected ${names}, and of those what this processor has, for WARPDICE_SIMD but received "${simd}"; ${native.simdTarget()} is used`,
  );
}
if (threads && !(/^[0-9]+$/.test(threads) && Number(threads) >= 1 && Number(threads) <= 256)) {
  warn(
    `Expected an integer from 1 to 256 for WARPDICE_THREADS but received "${threads}"; ${native.getThreads()} are used`,
  );
}
