// warpdice/nccl over warpdice/mpi, as on a cluster: ranks that mpirun starts, which get NCCL's id by MPI. The ranks check themselves:
// test/support/workers/mpi-nccl.mjs. One MPI is enough: NCCL sees nothing of it.
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { implementations, mpirunOf } from '../support/mpirun.js';
import { script } from '../support/process.js';

const [, mpich] = implementations as [unknown, (typeof implementations)[number]];
const whenInstalled = mpich.installed ? test : test.skip;

whenInstalled(
  '2 ranks of MPICH: value and gradient of all; both are told when one cannot connect',
  async () => {
    const addon = path.resolve(__dirname, '../../build/emulated/warpdice_emulated.node');
    const { code, output } = await mpirunOf(mpich, 2, [script('mpi-nccl.mjs')], {
      WARPDICE_TEST_ADDON: addon,
    });
    expect(output).toMatch('ok, 2 GPUs');
    expect(code).toBe(0);
  },
);
