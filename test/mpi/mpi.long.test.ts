// warpdice/mpi: every number of ranks, and how a job ends.
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { alone, implementations, mpirun, mpirunOf } from '../support/mpirun.js';

describe.each(implementations)('$name', (implementation) => {
  const whenInstalled = implementation.installed ? test : test.skip;
  const job = (ranks: number, what: string[], env?: Record<string, string>) =>
    mpirun(implementation, ranks, what, env);

  // mpi.test.ts has two, but of Intel's.
  const ranks = implementation.name === 'Intel MPI' ? [1, 2, 3, 4] : [1, 3, 4];
  whenInstalled.each(ranks)('%i ranks', async (ranks) => {
    const what = [
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
    const { code, output } = await job(ranks, what);
    expect(output).toMatch(`rank 0: ok, ${ranks} ranks, ${implementation.abi}`);
    expect(code).toBe(0);
  });

  whenInstalled(
    'a rank that never comes: the others are told in time, and the job ends with an error',
    async () => {
      const { code, output } = await job(3, ['one rank never comes'], {
        WARPDICE_TEST_TIMEOUT: '4000',
      });
      expect(output).toMatch(/rank [01]: told/); // the first one of them that ends takes the other along
      expect(code).not.toBe(0);
    },
  );

  whenInstalled('a rank that never connects', async () => {
    const { code, output } = await job(2, ['one rank never connects'], {
      WARPDICE_TEST_TIMEOUT: '900',
    });
    expect(output).toMatch(/ERR_MPI_TIMEOUT|Expected all ranks in/);
    expect(code).not.toBe(0);
  });

  whenInstalled('a rank that is killed ends the job', async () => {
    const { code, output } = await job(3, ['sums', 'one rank is killed']);
    expect(output).not.toMatch(/the barrier has ended/);
    expect(code).not.toBe(0);
  });

  whenInstalled('a rank that is killed, as the others see it', async () => {
    const { output } = await mpirun(alone(implementation), 2, ['one rank is killed, alone']);
    expect(output).toMatch(/rank 0: told by ERR_MPI/);
  });

  whenInstalled('a rank that is stopped, as the others see it', async () => {
    const { code, output } = await job(2, ['one rank is stopped']);
    expect(output).toMatch(/rank 0: told by ERR_MPI_TIMEOUT/);
    expect(code).not.toBe(0);
  });

  whenInstalled('an uncaught error in one rank is printed, and ends the job', async () => {
    const { code, output } = await job(3, ['one rank throws']);
    expect(output).toMatch(/Error: this rank throws/);
    expect(output).not.toMatch(/the barrier has ended/);
    expect(code).toBe(1);
  });

  whenInstalled('process.exit(0) finalizes MPI, and waits for a late rank', async () => {
    const { code, output } = await job(3, ['process.exit(0)']);
    expect(output.match(/rank \d: ends/g)).toHaveLength(3);
    expect(output).not.toMatch(/abort/i);
    expect(code).toBe(0);
  });

  whenInstalled('process.exit(3) ends the other ranks', async () => {
    const { code } = await job(3, ['process.exit(3)']);
    expect(code).not.toBe(0);
  });

  whenInstalled('process.exit(0) while a call is under way', async () => {
    const { code, output } = await job(3, ['process.exit(0) in a call']);
    expect(output).not.toMatch(/abort/i);
    expect(code).toBe(0);
  });

  whenInstalled('examples/distributed: the same loss on any number of ranks', async () => {
    const example = path.join(__dirname, '..', '..', 'examples/distributed/train.mjs');
    const outputs = await Promise.all(
      [1, 2].map((ranks) => mpirunOf(implementation, ranks, [example], { NO_COLOR: '1' })),
    );
    const steps = outputs.map(({ output }) => output.match(/step \d+: loss [\d.]+/g));
    expect(steps[0]?.at(-1)).toBe('step 200: loss 0.186076');
    expect(steps[1]).toEqual(steps[0]);
  });
});

const [openMpi, mpich] = implementations as [
  (typeof implementations)[number],
  (typeof implementations)[number],
];
const both = openMpi.installed && mpich.installed ? test : test.skip;

both('a library of another family than the launcher: refused with the reason', async () => {
  const { code, output } = await mpirun({ ...mpich, library: 'libmpi.so.40' }, 2, ['sums']);
  expect(output).toMatch(
    /Expected the 2 ranks that the launcher has started \(PMI_SIZE\) but MPI sees 1|MPI_Init_thread failed/,
  );
  expect(code).not.toBe(0);
});
