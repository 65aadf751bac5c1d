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

describe.each(implementations)('$name', (implementation) => {
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
    expect(ranksHere({ MPI_LOCALNRANKS: '2' })).toBe(2);
    expect(ranksHere({ PMI_SIZE: '2' })).toBeUndefined();
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
    expect(adviceOnThreads(4, 8, 2)).toBeUndefined();
    expect(adviceOnThreads(1, 2, 2)).toBeUndefined();
    expect(adviceOnThreads(1, 2, 4)).toBeUndefined();
    expect(adviceOnThreads(8, 8, 2)).toBe(
      'The 2 ranks on this machine use 8 threads each, on 8 processors: set WARPDICE_THREADS=4',
    );
    expect(adviceOnThreads(1, 8, 2)).toMatch(
      /--bind-to none .* I_MPI_PIN=0 .* WARPDICE_THREADS=4$/,
    );
  });
});
