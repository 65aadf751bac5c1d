// `npm start -- --ranks 2`: the same training by several processes, each with its part of every batch. They add the sums of the loss
// and the gradients of the network over MPI.
import { spawn, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import type { Statistics } from 'warpdice';
import type { World } from 'warpdice/mpi';
import { FlagError } from './flags.js';

/** What the training needs of the other ranks. */
export interface Team {
  readonly rank: number;
  readonly size: number;
  /** Adds the sums of the loss of all ranks. */
  readonly allReduce: (statistics: Statistics) => Statistics;
  /** Adds an array of all ranks, in place. */
  readonly sum: (array: Float32Array) => void;
  /** The MPI library. */
  readonly library: string;
  /** Seconds in allReduce and sum so far, waiting for other ranks included. */
  readonly seconds: () => number;
}

/** Whether this process is a rank that `startRanks` has started. */
export const isRank = (): boolean => process.env.WARPDICE_EXAMPLE_RANKS !== undefined;

/** Starts this program as `ranks` ranks. Resolves to the exit code of the launcher. */
export function startRanks(ranks: number, args: readonly string[]): Promise<number> {
  const { error, stdout } = spawnSync('mpirun', ['--version'], { encoding: 'utf8' });
  if (error) {
    throw new FlagError(
      'Expected mpirun on the PATH for --ranks but found none: install Open MPI or MPICH (Debian: apt-get install openmpi-bin, or mpich).',
    );
  }
  const openMpi = /open.?mpi|open mpi/i.test(stdout);
  const flags = openMpi ? ['--oversubscribe', '--bind-to', 'none'] : [];
  const program = [process.execPath, process.argv[1] as string, ...args];
  const env = {
    // Open MPI refuses to run as root without them, as in a container.
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
    WARPDICE_THREADS: String(Math.max(1, Math.floor(cpus().length / ranks))),
    ...process.env,
    WARPDICE_EXAMPLE_RANKS: String(ranks),
  };
  return new Promise((resolve, reject) => {
    const child = spawn('mpirun', [...flags, '-n', String(ranks), ...program], {
      env,
      stdio: 'inherit',
    });
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** In a rank: the team of all ranks. */
export async function joinTeam(): Promise<Team> {
  const { connect } = await import('warpdice/mpi');
  return teamOf(await connect());
}

function teamOf(world: World): Team {
  let seconds = 0;
  const timed = <Result>(call: () => Result): Result => {
    const start = performance.now();
    const result = call();
    seconds += (performance.now() - start) / 1000;
    return result;
  };
  return {
    rank: world.rank,
    size: world.size,
    allReduce: (statistics) => timed(() => world.allReduceSync(statistics)),
    sum: (array) => void timed(() => world.sumSync(array)),
    library: world.library.library,
    seconds: () => seconds,
  };
}
