// The all-reduce of a loss's statistics on the MPIs of this machine: its time, and its share of valueAndGrad, on one rank and on two
// that mpirun starts; its bytes and packets on up to 16.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import type { RanksResult } from '../report/results.js';
import { childFile, endedEarly } from './processes.js';

/** What a rank is told. */
export interface RanksSettings {
  readonly file: string;
  readonly quick: boolean;
  /** Measures the traffic instead of times. */
  readonly traffic: boolean;
  readonly library: string | undefined;
}

interface Launcher {
  readonly mpirun: string;
  readonly flags: readonly string[];
  readonly library?: string;
}

/** Open MPI and MPICH as Debian has them, and MPICH 5 where .ci/tools has put it; elsewhere mpirun. */
function launchers(): Launcher[] {
  const find = (name: string) =>
    (process.env.PATH ?? '')
      .split(path.delimiter)
      .map((folder) => path.join(folder, name))
      .find((file) => existsSync(file));
  const openMpi = ['--oversubscribe', '--bind-to', 'none'];
  const cache = process.env.WARPDICE_CI_CACHE ?? path.join(homedir(), '.cache/warpdice-ci');
  const mpich5 = process.env.WARPDICE_MPICH5 ?? path.join(cache, 'mpich-5');
  const all = [
    { mpirun: find('mpirun.openmpi'), flags: openMpi },
    { mpirun: find('mpirun.mpich'), flags: [] },
    {
      mpirun: path.join(mpich5, 'bin/mpirun'),
      flags: [],
      library: path.join(mpich5, 'lib/libmpi_abi.so.1'),
    },
  ];
  const there = all.filter(({ mpirun }) => mpirun && existsSync(mpirun)) as Launcher[];
  const other = find('mpirun');
  return there.length > 0 || !other ? there : [{ mpirun: other, flags: [] }];
}

/** Over sockets, whose bytes the system counts; memory that ranks share has no counter. */
const overTcp = [
  '--mca',
  'pml',
  'ob1',
  '--mca',
  'btl',
  'self,tcp',
  '--mca',
  'btl_tcp_if_include',
  'lo',
];

export async function measureRanks(quick: boolean): Promise<RanksResult[]> {
  const found = launchers();
  if (found.length === 0) return [{ ranks: 2, skipped: 'mpirun is not there' }];
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-ranks-'));
  const results: RanksResult[] = [];
  const measure = async (launcher: Launcher, ranks: number, traffic: boolean) => {
    const { mpirun, flags, library } = launcher;
    const file = path.join(folder, 'results.json');
    rmSync(file, { force: true });
    const settings: RanksSettings = { file, quick, traffic, library };
    const program = [
      process.execPath,
      childFile('measure/ranks-child.js'),
      JSON.stringify(settings),
    ];
    const code = await ended(mpirun, [...flags, '-n', String(ranks), ...program]);
    if (code === 0) results.push(...(JSON.parse(readFileSync(file, 'utf8')) as RanksResult[]));
    else endedEarly.push(`${mpirun} -n ${ranks} ended with ${code}`);
  };
  for (const launcher of found) {
    for (const ranks of [1, 2]) await measure(launcher, ranks, false);
  }
  const openMpi = found.find(({ flags }) => flags.length > 0);
  if (openMpi !== undefined) {
    const launcher = { ...openMpi, flags: [...openMpi.flags, ...overTcp] };
    for (const ranks of quick ? [2] : [2, 4, 8, 16]) await measure(launcher, ranks, true);
  }
  rmSync(folder, { recursive: true });
  return results;
}

function ended(mpirun: string, args: readonly string[]): Promise<number | null> {
  const env = {
    ...process.env,
    WARPDICE_THREADS: '1', // a core for each rank
    // As root, in a container, Open MPI refuses to run without them.
    OMPI_ALLOW_RUN_AS_ROOT: '1',
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1',
  };
  return new Promise((resolve, reject) => {
    const child = spawn(mpirun, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('close', resolve);
  });
}
