import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import addon from '../../addon.cjs';
import type { Binding } from '../../binding.js';
import { WarpDiceError } from '../common/errors.js';
import { type Surroundings, skewed, whyNotLoaded } from './load-failure.js';

/** For the tests: the absolute path of another addon, whose device is emulated. */
const replacement = process.env.WARPDICE_TEST_ADDON;

function load(): Binding {
  if (replacement) {
    // Not imported: webpack would warn of a path that it cannot know.
    return process.getBuiltinModule('node:module').createRequire(replacement)(replacement);
  }
  let loaded: unknown;
  try {
    loaded = addon.load();
  } catch (cause) {
    throw new WarpDiceError('ERR_ADDON', whyNotLoaded(cause, surroundings()), { cause });
  }
  checkVersions();
  return loaded as Binding;
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The package.json in a folder; empty where there is none. */
function manifestOf(folder: string): Manifest {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  } catch {
    return {};
  }
}

/** What lies beside the loader. */
function surroundings(): Surroundings {
  try {
    const folder = addon.folder();
    const { name, optionalDependencies = {} } = manifestOf(folder);
    const has = (part: string) => existsSync(path.join(folder, part));
    return {
      folder: name === 'warpdice' ? folder : undefined,
      packages: Object.keys(optionalDependencies),
      hasSources: has('native'),
      hasBuild: has('build'),
    };
  } catch {
    return { folder: undefined, packages: [], hasSources: false, hasBuild: false };
  }
}

/** The addon and this code are of one version: where they come from two packages, these must be too. */
function checkVersions(): void {
  const [own, other] = [addon.folder(), addon.loadedFrom()];
  if (own === other) return;
  const { version } = manifestOf(own);
  const { name = '', version: otherVersion = version } = manifestOf(other);
  if (version === undefined || version === otherVersion) return;
  throw new WarpDiceError('ERR_ADDON', skewed(version, name, otherVersion as string));
}

/** The compiled addon. */
export const native = load();
