import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Binding } from '../../binding.js';
import { WarpDiceError } from '../common/errors.js';

// lib/native/ (sources) and dist/native/ (output) are both two levels below the package's root.
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** For the tests: the path of another addon, whose device is emulated. */
const replacement = process.env.WARPDICE_TEST_ADDON;

function load(): Binding {
  if (replacement) return createRequire(import.meta.url)(replacement) as Binding;
  try {
    return createRequire(import.meta.url)('node-gyp-build')(root) as Binding;
  } catch (cause) {
    throw new WarpDiceError(
      'ERR_ADDON',
      `warpdice has no compiled addon for ${process.platform}-${process.arch}: run "npm rebuild warpdice" on a machine with CMake and a C++ compiler`,
      { cause },
    );
  }
}

/** The compiled addon. */
export const native = load();
