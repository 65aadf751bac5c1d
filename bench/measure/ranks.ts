// The all-reduce of a loss's statistics: its time, and its share of valueAndGrad, on one rank and on two that mpirun starts.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RanksResult } from '../report/results.js';
import { childFile, endedEarly } from './processes.js';

/** What a rank is told. */
export interface RanksSettings {
  readonly file: string;
  readonly quick: boolean;
}

export async function measureRanks(quick: boolean): Promise<RanksResult[]> {
  const { error, stdout } = spawnSync('mpirun', ['--version'], { encoding: 'utf8' });
  if (error) return [{ ranks: 2, skipped: 'mpirun is not there' }];
  const openMpi = /open.?mpi|open mpi/i.test(stdout);
  const flags = openMpi ? ['--oversubscribe', '--bind-to', 'none'] : [];
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-ranks-'));
  const results: RanksResult[] = [];
  for (const ranks of [1, 2]) {
    const file = path.join(folder, `${ranks}.json`);
    const settings: RanksSettings = { file, quick };
    const program = [
      process.execPath,
      childFile('measure/ranks-child.js'),
      JSON.stringify(settings),
    ];
    const code = await ended([...flags, '-n', String(ranks), ...program]);
    if (code === 0) results.push(...(JSON.parse(readFileSync(file, 'utf8')) as RanksResult[]));
    else endedEarly.push(`mpirun -n ${ranks} ended with ${code}`);
  }
  rmSync(folder, { recursive: true });
  return results;
}

function ended(args: readonly string[]): Promise<number | null> {
  const env = {
    ...process.env,
    WARPDICE_THREADS: '1', // a core for each rank
    // As root, in a container, Open MPI refuses to run without them.
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  };
  return new Promise((resolve, reject) => {
    const child = spawn('mpirun', args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', resolve);
  });
}
