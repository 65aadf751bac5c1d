// Finds the MPI library: a path that the caller gives, the launcher's own, then the known names.
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { cut } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { callNative } from '../native/translate-error.js';
import { launchedRanks, launcherFolders } from './launcher.js';
import { type Library, nativeMpi } from './native.js';

/**
 * Open MPI; MPICH, Intel MPI and Cray MPICH; Debian's MPICH; the standard interface. Never libmpi.so: that one is for compilers,
 * and may be a text file.
 */
const names = ['libmpi.so.40', 'libmpi.so.12', 'libmpich.so.12', 'libmpi_abi.so.1'];

/** The paths and names to try, the likeliest first. */
export function candidates(
  env: Readonly<Record<string, string | undefined>>,
  launchers: readonly string[],
): string[] {
  const roots = ['I_MPI_ROOT', 'OPAL_PREFIX', 'MPI_HOME', 'MPI_ROOT'].flatMap(
    (name) => env[name] || [],
  );
  const folders = [...launchers, ...roots.map((root) => path.join(root, 'lib'))];
  // Any other family than the launcher's would make a world of one rank for each process.
  const [openMpi, ...others] = names as [string, ...string[]];
  const launcher = launchedRanks(env)?.name;
  const ordered = launcher === 'PMI_SIZE' ? [...others, openMpi] : names;
  const beside = folders.flatMap((folder) => ordered.map((name) => path.join(folder, name)));
  return [...beside.filter((file) => existsSync(file)), ...ordered];
}

/**
 * Opens the library.
 *
 * @throws WarpDiceError ERR_MPI
 */
export function openLibrary(given: string | undefined): Library {
  if (given !== undefined) return openGiven(given);
  const tried: string[] = [];
  for (const name of candidates(process.env, launcherFolders())) {
    try {
      return nativeMpi().open(name);
    } catch (error) {
      if ((error as WarpDiceError).code !== 'ERR_MPI') throw error;
      tried.push((error as Error).message);
    }
  }
  throw new WarpDiceError(
    'ERR_MPI',
    `Found no MPI library (${tried.join('; ')}): install Open MPI or MPICH (Debian: apt-get install openmpi-bin, or mpich; PyPI: pip install mpich) or say where it is, connect({ library: '/path/to/libmpi.so.12' })`,
  );
}

function openGiven(given: string): Library {
  const opened = callNative(() => nativeMpi().open(given));
  const isName = !given.includes('/');
  const same = isName
    ? path.basename(opened.path) === given
    : existsSync(given) && realpathSync(opened.path) === realpathSync(given);
  if (same) return opened;
  throw new WarpDiceError(
    'ERR_MPI',
    `Expected one MPI library in a process but it uses ${opened.path} and received ${cut(given)} for library`,
  );
}
