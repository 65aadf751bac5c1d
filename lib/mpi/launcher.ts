// What the program that started the ranks (mpirun, srun) says to them: in environment variables, and by its own place on the disk.
import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

function firstNumber(
  env: Environment,
  names: readonly string[],
): { name: string; value: number } | undefined {
  for (const name of names) {
    const value = Number.parseInt(env[name] ?? '', 10);
    if (value >= 1) return { name, value };
  }
  return undefined;
}

/** How many ranks were started, and which variable says so; undefined without a launcher. */
export const launchedRanks = (env: Environment) =>
  firstNumber(env, ['OMPI_COMM_WORLD_SIZE', 'PMI_SIZE', 'SLURM_STEP_NUM_TASKS']);

/** The ranks of one machine. */
export interface RanksHere {
  readonly ranks: number;
  /** The processors that they share. */
  readonly processors: number;
  /** Of one rank, where Slurm was told it: `srun --cpus-per-task`. */
  readonly perRank?: number | undefined;
  /** Whether Slurm has started them itself, and not an mpirun in its allocation. */
  readonly bySlurm: boolean;
}

/** How many ranks are on this machine, of so many processors; undefined where nobody says. */
export function ranksHere(env: Environment, processors: number): RanksHere | undefined {
  const ranks = firstNumber(env, ['OMPI_COMM_WORLD_LOCAL_SIZE', 'MPI_LOCALNRANKS'])?.value;
  if (ranks !== undefined) return { ranks, processors, bySlurm: false };
  const ofSlurm = tasksOfNode(env.SLURM_STEP_TASKS_PER_NODE, env.SLURM_NODEID);
  if (ofSlurm === undefined) return undefined;
  return {
    ranks: ofSlurm,
    processors: firstNumber(env, ['SLURM_CPUS_ON_NODE'])?.value ?? processors,
    perRank: firstNumber(env, ['SLURM_CPUS_PER_TASK'])?.value,
    bySlurm: true,
  };
}

/** The tasks of node `id`, of a list such as '2(x3),1': two on each of three nodes, one on the fourth. */
function tasksOfNode(list: string | undefined, id: string | undefined): number | undefined {
  let left = Number.parseInt(id ?? '', 10);
  for (const part of (list ?? '').split(',')) {
    const [, tasks, nodes = '1'] = /^(\d+)(?:\(x(\d+)\))?$/.exec(part) ?? [];
    if (tasks === undefined || !(left >= 0)) return undefined;
    left -= Number(nodes);
    if (left < 0) return Number(tasks) || undefined;
  }
  return undefined;
}

/** The most processes between a rank and its launcher that are looked at: shells, wrappers. */
const mostAncestors = 6;

/** The folders of libraries beside the launcher, found among the processes that have started this one. */
export function launcherFolders(): string[] {
  const folders: string[] = [];
  let pid = process.ppid;
  for (let i = 0; pid > 1 && i < mostAncestors; i++) {
    try {
      const program = readlinkSync(`/proc/${pid}/exe`);
      if (/(mpirun|mpiexec|prte|orte|orted|hydra)/.test(path.basename(program))) {
        folders.push(path.join(path.dirname(path.dirname(program)), 'lib'));
      }
      pid = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      break; // no /proc, or a process of another user
    }
  }
  return folders;
}
