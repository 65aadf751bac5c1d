// One of two ranks that mpirun starts: warpdice/nccl connects over warpdice/mpi. The NCCL is the fake one, on emulated devices.
// WARPDICE_TEST_MPI is the MPI library, unless warpdice shall look for it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { Device } from '../../../dist/index.js';
import { connect as connectRanks } from '../../../dist/mpi.js';
import { native } from '../../../dist/native/load.js';
import { connect } from '../../../dist/nccl.js';
import { checkHeads } from './mpi-heads.mjs';

const library = path.resolve(import.meta.dirname, '../../../build/emulated/libnccl_fake.so');
const { WARPDICE_TEST_MPI } = process.env;
const world = await connectRanks(WARPDICE_TEST_MPI ? { library: WARPDICE_TEST_MPI } : {});
const first = world.rank === 0;
const device = Device.cuda(world.rank);
native.fake.useNccl();

/** Both ranks are told, long before the time-out of 60 s. */
async function refused(options, own, other) {
  const failure = await connect({ world, device, ...options }).then(
    () => 'connected',
    ({ code, message }) => `${code} ${message}`,
  );
  assert.match(failure, first ? own : other);
}

// First of all, because a process keeps the NCCL that it has opened.
await refused(
  { library: first ? '/nowhere/libnccl.so.2' : library },
  /^ERR_NCCL Found no NCCL \(\/nowhere/,
  /^ERR_NCCL Rank 0 cannot connect: Found no NCCL \(\/nowhere/,
);
if (first) native.fake.failNccl('ncclGetUniqueId', 5);
await refused(
  { library },
  /^ERR_NCCL ncclGetUniqueId failed: /,
  /^ERR_NCCL Rank 0 cannot connect: ncclGetUniqueId failed: a planted error/,
);
await refused(
  { library, device: Device.cuda(0) === device ? device : Device.cpu },
  /^ERR_NCCL Expected all 2 ranks to connect but rank 1 cannot/,
  /Expected a GPU for device/,
);

const gpus = await connect({ world, device, library });
assert.deepEqual([gpus.rank, gpus.size], [world.rank, 2]);
const hooks = { now: gpus.allReduce, later: gpus.allReduce };
await checkHeads(world, hooks, (tensor) => gpus.sum(tensor), device);
await gpus.close();
if (first) console.log('ok, 2 GPUs');
