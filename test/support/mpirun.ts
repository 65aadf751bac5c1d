// The MPI implementations that this machine has, and jobs of test/support/workers/mpi.mjs on them.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { script } from './process.js';

interface Implementation {
  /** For the names of tests and for test/skipped.txt. */
  name: string;
  mpirun: string;
  flags: string[];
  /** The library that the ranks must open; undefined: what they find. */
  library?: string;
  abi: string;
  installed: boolean;
}

/** Where the first of these programs is. */
function find(...programs: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return programs
    .flatMap((name) => folders.map((folder) => path.join(folder, name)))
    .find((file) => existsSync(file));
}

const cache = process.env.WARPDICE_CI_CACHE ?? path.join(os.homedir(), '.cache/warpdice-ci');
/** A virtual environment of Python with the package mpich of version 5; .ci/tools makes it. */
const mpich5 = process.env.WARPDICE_MPICH5 ?? path.join(cache, 'mpich-5');

function implementation(
  name: string,
  abi: string,
  mpirun: string | undefined,
  more: { flags?: string[]; library?: string } = {},
): Implementation {
  const { flags = [], library } = more;
  const installed = mpirun !== undefined && existsSync(mpirun);
  const own = library === undefined ? {} : { library };
  return { name, abi, mpirun: mpirun ?? '', flags, installed, ...own };
}

/** The three binary interfaces: Open MPI's, MPICH's, and the standard one. */
export const implementations: readonly Implementation[] = [
  implementation('Open MPI', 'Open MPI', find('mpirun.openmpi'), {
    flags: ['--oversubscribe', '--bind-to', 'none'],
  }),
  implementation('MPICH', 'MPICH', find('mpirun.mpich')),
  implementation('Standard ABI (MPICH 5)', 'standard', path.join(mpich5, 'bin/mpirun'), {
    library: path.join(mpich5, 'lib/libmpi_abi.so.1'),
  }),
];

interface Job {
  code: number | null;
  output: string;
}

/** Starts `ranks` ranks of mpi.mjs, each doing `what`. Resolves when the launcher has ended. */
export const mpirun = (
  implementation: Implementation,
  ranks: number,
  what: readonly string[],
  env?: Record<string, string>,
): Promise<Job> => mpirunOf(implementation, ranks, [script('mpi.mjs'), ...what], env);

/** Starts `ranks` ranks of a program. */
export function mpirunOf(
  { mpirun, flags, library }: Implementation,
  ranks: number,
  program: readonly string[],
  env: Record<string, string> = {},
): Promise<Job> {
  const args = [...flags, '-n', String(ranks), process.execPath, ...program];
  return new Promise((resolve, reject) => {
    const child = spawn(mpirun, args, {
      env: {
        ...process.env,
        // Without them Open MPI refuses to run as root, as containers do.
        OMPI_ALLOW_RUN_AS_ROOT: '1',
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
        WARPDICE_THREADS: '1',
        ...(library === undefined ? {} : { WARPDICE_TEST_MPI: library }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, output: signal === null ? output : `${output}\nended by ${signal}` });
    });
  });
}
