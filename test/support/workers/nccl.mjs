// warpdice/nccl on emulated devices outside Jest. Arguments:
//   threads             two worker threads, each a rank
//   processes           two processes, each a rank
//   rank N ID           one of those
//   real LIBRARY        the NCCL of NVIDIA, as far as it goes without a GPU
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Device, DiceLoss, Tensor } from '../../../dist/index.js';
import { native } from '../../../dist/native/load.js';
import { connect, uniqueId } from '../../../dist/nccl.js';

const self = fileURLToPath(import.meta.url);
const fake = path.resolve(path.dirname(self), '../../../build/emulated/libnccl_fake.so');
const [how, argument, more] = isMainThread ? process.argv.slice(2) : ['rank'];

/** Three steps of a plan, and a sum: what this rank gets. */
async function rank(number, id) {
  native.fake.useNccl();
  const device = Device.cuda(number);
  const gpus = await connect({ id, rank: number, size: 2, device, library: fake });
  const loss = new DiceLoss({ batch: true, smoothDenominator: 0, allReduce: gpus.allReduce });
  // Of docs/distributed.md: the loss of all four voxels is 1/3.
  const [p, t] =
    number === 0
      ? [
          [0.5, 1],
          [1, 1],
        ]
      : [
          [0.5, 0],
          [0, 1],
        ];
  const plan = loss.plan(
    Tensor.from(Float64Array.from(p), [2]).to(device),
    Tensor.from(Uint8Array.from(t), [2]).to(device),
  );
  for (let step = 0; step < 3; step++) plan.execute();
  const sum = gpus.sum(Tensor.from(Float32Array.of(number, 1), [2]).to(device));
  const got = [plan.value, plan.grad, sum].map(async (it) =>
    [...(await it.read())].map((x) => Number(x.toFixed(4)) || 0),
  );
  const results = await Promise.all(got);
  plan.dispose();
  await gpus.close();
  return results;
}

const inThread = (number, id) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(self, { workerData: { number, id } });
    worker.on('message', resolve);
    worker.on('error', reject);
  });

const inProcess = (number, id) =>
  new Promise((resolve, reject) => {
    const args = [self, 'rank', String(number), Buffer.from(id).toString('hex')];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (part) => {
      text += part;
    });
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(text)) : reject(new Error(text))));
  });

if (!isMainThread) {
  parentPort.postMessage(await rank(workerData.number, workerData.id));
} else if (how === 'rank') {
  const id = Uint8Array.from(Buffer.from(more, 'hex'));
  console.log(JSON.stringify(await rank(Number(argument), id)));
} else if (how === 'real') {
  const id = uniqueId({ library: argument });
  const other = uniqueId();
  const failure = await connect({ id, rank: 0, size: 1 }).then(
    () => 'connected',
    ({ code, message }) => `${code}: ${message}`,
  );
  const differs = Buffer.compare(id, other) !== 0;
  console.log(JSON.stringify({ bytes: id.length, differs, failure }));
  process.exit(0); // a thread of NCCL listens for the ranks of the id
} else {
  native.fake.useNccl();
  const id = uniqueId({ library: fake });
  const start = how === 'threads' ? inThread : inProcess;
  console.log(JSON.stringify(await Promise.all([0, 1].map((number) => start(number, id)))));
}
