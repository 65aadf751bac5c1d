import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import addon from '../../addon.cjs';
import type { Binding } from '../../binding.js';
import { WarpDiceError } from '../common/errors.js';
import { type Surroundings, whyNotLoaded } from './load-failure.js';

/** For the tests: the absolute path of another addon, whose device is emulated. */
const replacement = process.env.WARPDICE_TEST_ADDON;

function load(): Binding {
  if (replacement) {
    // Not imported: webpack would warn of a path that it cannot know.
    return process.getBuiltinModule('node:module').createRequire(replacement)(replacement);
  }
  try {
    return addon.load() as Binding;
  } catch (cause) {
    throw new WarpDiceError('ERR_ADDON', whyNotLoaded(cause, surroundings()), { cause });
  }
}

/** What lies beside the loader. */
function surroundings(): Surroundings {
  try {
    const folder = addon.folder();
    const has = (name: string) => existsSync(path.join(folder, name));
    const { name } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    return { isPackage: name === 'warpdice', hasSources: has('native'), hasBuild: has('build') };
  } catch {
    return { isPackage: false, hasSources: false, hasBuild: false };
  }
}

/** The compiled addon. */
export const native = load();
