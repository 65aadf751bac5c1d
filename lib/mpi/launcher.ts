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

/** How many of them are on this machine; undefined where nobody says. */
export const ranksHere = (env: Environment): number | undefined =>
  firstNumber(env, ['OMPI_COMM_WORLD_LOCAL_SIZE', 'MPI_LOCALNRANKS'])?.value;

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
