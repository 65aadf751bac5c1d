// Warns where the launcher and the threads of the engine do not fit together.
import os from 'node:os';
import { getThreads } from '../devices/threads.js';
import { ranksHere } from './launcher.js';

/** What to do about `threads` of one rank, on a machine with these processors and ranks; undefined where all is well. */
export function adviceOnThreads(
  threads: number,
  processors: number,
  ranks: number,
): string | undefined {
  const share = Math.max(1, Math.floor(processors / ranks));
  if (threads > share) {
    return `The ${ranks} ranks on this machine use ${threads} threads each, on ${processors} processors: set WARPDICE_THREADS=${share}`;
  }
  if (threads < share && threads === 1) {
    return `The launcher has bound this rank to one of ${processors} processors, and a loss uses one thread: start ${ranks} ranks with --bind-to none (Open MPI) or I_MPI_PIN=0 (Intel MPI), and set WARPDICE_THREADS=${share}`;
  }
  return undefined;
}

/** Warns once, when a process connects. Whoever has set WARPDICE_THREADS knows. */
export function warnOfThreads(): void {
  const ranks = ranksHere(process.env);
  if (warned || ranks === undefined || process.env.WARPDICE_THREADS) return;
  warned = true;
  const advice = adviceOnThreads(getThreads(), os.cpus().length, ranks);
  if (advice === undefined) return;
  process.emitWarning(advice, { type: 'WarpDiceWarning', code: 'WARPDICE_MPI' });
}

let warned = false;
