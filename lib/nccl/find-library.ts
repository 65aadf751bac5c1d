// Finds NCCL: a path that the caller gives, the folders that the environment names, then the name for the system's loader.
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { cut, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { cuda } from '../devices/cuda.js';
import { callNative } from '../native/translate-error.js';

const name = 'libnccl.so.2';

/** The NCCL library that a process uses. */
export interface NcclLibrary {
  /** Its file. */
  readonly path: string;
  /** Such as '2.29.7'. */
  readonly version: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The paths and names to try, the likeliest first. */
export function candidates(env: Environment): string[] {
  const roots = ['NCCL_HOME', 'NCCL_ROOT', 'CUDA_HOME', 'CUDA_PATH'].flatMap(
    (variable) => env[variable] || [],
  );
  const folders = roots.flatMap((root) => [path.join(root, 'lib'), path.join(root, 'lib64')]);
  // Where PyPI's nvidia-nccl-cu12 and nvidia-nccl-cu13 put it.
  for (const python of ['VIRTUAL_ENV', 'CONDA_PREFIX'].flatMap((variable) => env[variable] || [])) {
    const lib = path.join(python, 'lib');
    const versions = existsSync(lib)
      ? readdirSync(lib).filter((it) => it.startsWith('python'))
      : [];
    for (const it of versions) folders.push(path.join(lib, it, 'site-packages/nvidia/nccl/lib'));
    folders.push(lib);
  }
  const files = folders.map((folder) => path.join(folder, name));
  return [...files.filter((file) => existsSync(file)), name];
}

/**
 * Opens the library.
 *
 * @throws TypeError; WarpDiceError ERR_NCCL, and ERR_NO_DEVICE for a build without CUDA
 */
export function openLibrary(given: unknown): NcclLibrary {
  const binding = cuda();
  if (given !== undefined && typeof given !== 'string') {
    throw typeError('a path or a name', 'library', given);
  }
  const tried: string[] = [];
  for (const file of given === undefined ? candidates(process.env) : [given]) {
    try {
      const opened = callNative(() => binding.openNccl(file));
      if (given !== undefined) expectSame(opened.path, file);
      return { path: opened.path, version: textOf(opened.version) };
    } catch (error) {
      if ((error as WarpDiceError).code !== 'ERR_NCCL') throw error;
      tried.push((error as Error).message);
    }
  }
  throw new WarpDiceError(
    'ERR_NCCL',
    `Found no NCCL (${tried.join('; ')}): install it (Debian, Ubuntu: apt-get install libnccl2; PyPI: pip install nvidia-nccl-cu13) or say where it is, connect({ library: '/path/to/${name}' })`,
  );
}

/** A process has one NCCL: throws where it is another one than that which the caller wants. */
function expectSame(opened: string, given: string): void {
  const same = given.includes('/')
    ? existsSync(given) && realpathSync(opened) === realpathSync(given)
    : path.basename(opened) === given;
  if (same) return;
  throw new TypeError(
    `Expected one NCCL in a process but it uses ${opened} and received ${cut(given)} for library`,
  );
}

/** NCCL's number of a version in words: 22907 is 2.29.7. */
const textOf = (version: number): string =>
  `${Math.floor(version / 10000)}.${Math.floor(version / 100) % 100}.${version % 100}`;
