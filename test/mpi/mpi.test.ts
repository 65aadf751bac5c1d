// warpdice/mpi under real launchers. The ranks check themselves: test/support/workers/mpi.mjs. More ranks, and more ways to end, are in
// mpi.long.test.ts.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';
import { candidates } from '../../lib/mpi/find-library.js';
import { launchedRanks, ranksHere } from '../../lib/mpi/launcher.js';
import { adviceOnThreads } from '../../lib/mpi/threads-advice.js';
import { implementations, mpirun } from '../support/mpirun.js';
import { run } from '../support/process.js';

const everything = [
  'sums',
  'rest',
  'mismatches',
  'arguments',
  'free',
  'workers',
  'terminated',
  'losses',
  'close',
];

// Intel's differs from MPICH in nothing that takes two seconds of every run.
const some = implementations.filter(({ name }) => name !== 'Intel MPI');

describe.each(some)('$name', (implementation) => {
  const whenInstalled = implementation.installed ? test : test.skip;

  whenInstalled('2 ranks', async () => {
    const { code, output } = await mpirun(implementation, 2, everything);
    expect(output).toMatch(`rank 0: ok, 2 ranks, ${implementation.abi}`);
    expect(code).toBe(0);
  });
});

test('a library that is not there, or is no MPI', async () => {
  const { code, stderr } = await run('mpi.mjs', {
    env: { WARPDICE_TEST_MPI: '/nowhere/libmpi.so.40' },
  });
  expect(stderr).toMatch(/WarpDiceError: \/nowhere\/libmpi\.so\.40: cannot open/);
  expect(stderr).toMatch(/code: 'ERR_MPI'/);
  expect(code).toBe(1);
  const other = await run('mpi.mjs', { env: { WARPDICE_TEST_MPI: 'libm.so.6' } });
  expect(other.stderr).toMatch(/Expected an MPI library but it has no MPI_Get_library_version/);
});

test('importing warpdice/mpi opens no library, and importing warpdice loads no addon of it', () => {
  const dist = path.join(__dirname, '..', '..', 'dist');
  const loaded = (file: string) => {
    const text = `await import(${JSON.stringify(path.join(dist, file))});
      console.log(process.report.getReport().sharedObjects.join('\\n'));`;
    const node = spawnSync(process.execPath, ['--input-type=module', '--eval', text], {
      encoding: 'utf8',
    });
    expect(node.stderr).toBe('');
    return node.stdout;
  };
  for (const file of ['index.js', 'mpi.js']) {
    expect(loaded(file)).toMatch(/warpdice\.node/);
    expect(loaded(file)).not.toMatch(/warpdice_mpi|libmpi/);
  }
});

test('the table of docs/distributed.md: the average of the ranks is not the loss', () => {
  const page = readFileSync(path.join(__dirname, '..', '..', 'docs/distributed.md'), 'utf8');
  const loss = new DiceLoss({ smoothDenominator: 0 });
  const tensors = (p: number[], t: number[]) =>
    [
      Tensor.from(Float64Array.from(p), [p.length]),
      Tensor.from(Uint8Array.from(t), [t.length]),
    ] as const;
  const of = (p: number[], t: number[]) => {
    const { value, grad } = loss.valueAndGrad(...tensors(p, t));
    return { value: value.itemSync(), grad: [...(grad.data as Float64Array)] };
  };
  const show = (x: number) => String(Number(x.toFixed(4)) || 0);
  const list = (grad: number[]) => grad.map(show).join(', ');
  const [a, b] = [of([0.5, 1], [1, 1]), of([0.5, 0], [0, 1])] as const;
  const all = of([0.5, 1, 0.5, 0], [1, 1, 0, 1]);
  const half = (grad: number[]) => list(grad.map((x) => x / 2));
  for (const row of [
    `| rank 0 | 0.5, 1 | 1, 1 | ${show(a.value)} | ${list(a.grad)} |`,
    `| rank 1 | 0.5, 0 | 0, 1 | ${show(b.value)} | ${list(b.grad)} |`,
    `| average of the ranks | | | ${show((a.value + b.value) / 2)} | ${half(a.grad)} and ${half(b.grad)} |`,
    `| the loss of all four voxels | | | ${show(all.value)} | ${list(all.grad.slice(0, 2))} and ${list(all.grad.slice(2))} |`,
  ]) {
    expect(page).toContain(row);
  }
});

describe('what the launcher says', () => {
  test('how many ranks there are', () => {
    expect(launchedRanks({})).toBeUndefined();
    expect(launchedRanks({ OMPI_COMM_WORLD_SIZE: '3', SLURM_STEP_NUM_TASKS: '1' })?.value).toBe(3);
    expect(launchedRanks({ PMI_SIZE: '4' })).toEqual({ name: 'PMI_SIZE', value: 4 });
    expect(launchedRanks({ SLURM_STEP_NUM_TASKS: '8' })?.value).toBe(8);
    expect(launchedRanks({ PMI_SIZE: 'x', OMPI_COMM_WORLD_SIZE: '0' })).toBeUndefined();
    const byMpirun = { ranks: 2, processors: 8, bySlurm: false };
    expect(ranksHere({ MPI_LOCALNRANKS: '2' }, 8)).toEqual(byMpirun);
    expect(ranksHere({ PMI_SIZE: '2' }, 8)).toBeUndefined();
  });

  test('how many of them Slurm has started here', () => {
    const here = (list: string, node: string, more = {}) =>
      ranksHere({ SLURM_STEP_TASKS_PER_NODE: list, SLURM_NODEID: node, ...more }, 64);
    const slurm = { bySlurm: true, perRank: undefined };
    expect(here('4', '0')).toEqual({ ...slurm, ranks: 4, processors: 64 });
    const nodes = ['0', '1', '2', '3', '4', '5'].map((node) => here('2(x3),1,6', node)?.ranks);
    expect(nodes).toEqual([2, 2, 2, 1, 6, undefined]);
    for (const wrong of ['', 'x', '2(x', '(x2)', '0']) expect(here(wrong, '0')).toBeUndefined();
    for (const node of ['', '-1', 'x']) expect(here('4', node)).toBeUndefined();
    const cpus = { SLURM_CPUS_ON_NODE: '16', SLURM_CPUS_PER_TASK: '4' };
    expect(here('4', '0', cpus)).toEqual({ ranks: 4, processors: 16, perRank: 4, bySlurm: true });
    // mpirun in an allocation: hydra starts a proxy on each node by srun.
    const inside = { ...cpus, MPI_LOCALNRANKS: '8' };
    expect(here('1', '0', inside)).toEqual({ ranks: 8, processors: 64, bySlurm: false });
  });

  test('which libraries are tried first', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-mpi-'));
    const own = path.join(folder, 'lib');
    mkdirSync(own);
    for (const name of ['libmpi.so.12', 'libmpi.so']) writeFileSync(path.join(own, name), '');
    const [first, ...names] = candidates({ PMI_SIZE: '2' }, [own]);
    expect(first).toBe(path.join(own, 'libmpi.so.12'));
    expect(names[0]).toBe('libmpi.so.12');
    expect(candidates({ OMPI_COMM_WORLD_SIZE: '2' }, [])[0]).toBe('libmpi.so.40');
    expect(candidates({ MPI_HOME: folder }, [])[0]).toBe(path.join(own, 'libmpi.so.12'));
    expect(candidates({}, []).every((name) => /\.so\.\d+$/.test(name))).toBe(true);
    rmSync(folder, { recursive: true });
  });

  test('threads that do not fit', () => {
    const advice = (threads: number, processors: number, ranks: number, slurm = {}) =>
      adviceOnThreads(threads, { ranks, processors, bySlurm: false, ...slurm });
    expect(advice(4, 8, 2)).toBeUndefined();
    expect(advice(2, 8, 2)).toBeUndefined();
    expect(advice(1, 2, 2)).toBeUndefined();
    expect(advice(1, 2, 4)).toBeUndefined();
    expect(advice(8, 8, 2)).toBe(
      'The 2 ranks on this machine use 8 threads each, on 8 processors: set WARPDICE_THREADS=4',
    );
    expect(advice(1, 8, 2)).toMatch(/--bind-to none .* I_MPI_PIN=0 .* WARPDICE_THREADS=4$/);

    // Slurm: what was asked for is no cause to warn.
    const slurm = (perRank?: number) => ({ bySlurm: true, perRank });
    expect(advice(4, 16, 4, slurm(4))).toBeUndefined();
    expect(advice(1, 16, 4, slurm(1))).toBeUndefined();
    expect(advice(4, 16, 4, slurm(3))).toBeUndefined(); // whole cores of two threads
    expect(advice(4, 16, 4, slurm())).toBeUndefined();
    expect(advice(1, 4, 4, slurm())).toBeUndefined();
    expect(advice(16, 16, 4, slurm(4))).toMatch(/use 16 threads each, .* WARPDICE_THREADS=4$/);
    for (const [threads, perRank] of [
      [1, undefined],
      [1, 4],
      [2, 4],
    ] as const) {
      expect(advice(threads, 16, 4, slurm(perRank))).toBe(
        `Slurm has bound this rank to ${threads} of the 4 processors of its share, and a loss uses as many threads: start the ranks with srun --cpus-per-task=4 (srun does not take it from sbatch)`,
      );
    }
  });
});
