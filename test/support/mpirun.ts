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
  /** Flags by which a job goes on when a rank was killed. hydra needs more: see alone(). */
  leavesAlone: string[];
  /** A program that starts Node in its place. */
  through?: string[];
  /** The library that the ranks must open; undefined: what they find. */
  library?: string;
  env?: Record<string, string>;
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
/** One with the package impi-rt. */
const intel = path.join(cache, 'intel-mpi');

function implementation(
  name: string,
  abi: string,
  mpirun: string | undefined,
  more: Partial<Implementation> = {},
): Implementation {
  const installed = mpirun !== undefined && existsSync(mpirun);
  const leavesAlone = ['-disable-auto-cleanup'];
  return { name, abi, mpirun: mpirun ?? '', flags: [], leavesAlone, installed, ...more };
}

/** The three binary interfaces: Open MPI's, MPICH's, and the standard one; and Intel's library, which has MPICH's. */
export const implementations: readonly Implementation[] = [
  implementation('Open MPI', 'Open MPI', find('mpirun.openmpi'), {
    flags: ['--oversubscribe', '--bind-to', 'none'],
    leavesAlone: ['--enable-recovery'],
  }),
  implementation('MPICH', 'MPICH', find('mpirun.mpich')),
  implementation('Standard ABI (MPICH 5)', 'standard', path.join(mpich5, 'bin/mpirun'), {
    library: path.join(mpich5, 'lib/libmpi_abi.so.1'),
  }),
  implementation('Intel MPI', 'MPICH', path.join(intel, 'bin/mpirun'), {
    // Its mpirun is a script that finds the rest on the path. Without pinning, two ranks share two cores as they like.
    env: { PATH: `${path.join(intel, 'bin')}:${process.env.PATH}`, I_MPI_PIN: '0' },
  }),
];

/** The same launcher, which leaves a job alone when a rank was killed. Its ranks have a shell as parent, which tells nobody. */
export const alone = (one: Implementation): Implementation => ({
  ...one,
  flags: [...one.flags, ...one.leavesAlone],
  through: ['sh', '-c', '"$0" "$@"; exit 0'],
});

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
  { mpirun, flags, library, through = [], env: its = {} }: Implementation,
  ranks: number,
  program: readonly string[],
  env: Record<string, string> = {},
): Promise<Job> {
  const { LD_PRELOAD, ...own } = process.env;
  // A sanitizer is for Node, not for the launcher.
  const sanitizer = LD_PRELOAD ? ['env', `LD_PRELOAD=${LD_PRELOAD}`] : [];
  const node = [...sanitizer, ...through, process.execPath];
  const args = [...flags, '-n', String(ranks), ...node, ...program];
  return new Promise((resolve, reject) => {
    const child = spawn(mpirun, args, {
      env: {
        ...own,
        // Without them Open MPI refuses to run as root, as containers do.
        OMPI_ALLOW_RUN_AS_ROOT: '1',
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
        WARPDICE_THREADS: '1',
        ...(library === undefined ? {} : { WARPDICE_TEST_MPI: library }),
        ...its,
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
