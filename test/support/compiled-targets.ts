// Which SIMD targets the addon under test has. A build for one machine has two of them (cmake/simd.cmake).
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** By what CMake has written; a prebuilt binary has all, and scripts/try-prebuilt.mjs sets WARPDICE_TEST_TARGET. */
export function isCompiled(target: string): boolean {
  if (process.env.WARPDICE_TEST_TARGET) return true;
  const file = path.join(__dirname, '../../build/simd-targets');
  return !existsSync(file) || readFileSync(file, 'utf8').split(';').includes(target);
}
