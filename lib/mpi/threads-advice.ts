// Warns where the launcher and the threads of the engine do not fit together.
import os from 'node:os';
import { getThreads } from '../devices/threads.js';
import { type RanksHere, ranksHere } from './launcher.js';

/** What to do about `threads` of one rank; undefined where all is well. */
export function adviceOnThreads(threads: number, here: RanksHere): string | undefined {
  const { ranks, processors, perRank, bySlurm } = here;
  const share = perRank ?? Math.max(1, Math.floor(processors / ranks));
  if (ranks > 1 && threads > share && threads * ranks > processors) {
    return `The ${ranks} ranks on this machine use ${threads} threads each, on ${processors} processors: set WARPDICE_THREADS=${share}`;
  }
  // Two threads and more are a choice, unless Slurm was told another one.
  if (threads >= share || (threads > 1 && perRank === undefined)) return undefined;
  if (bySlurm) {
    return `Slurm has bound this rank to ${threads} of the ${share} processors of its share, and a loss uses as many threads: start the ranks with srun --cpus-per-task=${share} (srun does not take it from sbatch)`;
  }
  return `The launcher has bound this rank to one of ${processors} processors, and a loss uses one thread: start ${ranks} ranks with --bind-to none (Open MPI) or I_MPI_PIN=0 (Intel MPI), and set WARPDICE_THREADS=${share}`;
}

/** Warns once, when a process connects. Whoever has set WARPDICE_THREADS knows. */
export function warnOfThreads(): void {
  if (warned || process.env.WARPDICE_THREADS) return;
  const here = ranksHere(process.env, os.cpus().length);
  if (here === undefined) return;
  warned = true;
  const advice = adviceOnThreads(getThreads(), here);
  if (advice === undefined) return;
  process.emitWarning(advice, { type: 'WarpDiceWarning', code: 'WARPDICE_MPI' });
}

let warned = false;
