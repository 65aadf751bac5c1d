// Many calls of a worker in line. Argument 'turns': prints how many of them end between the begin and the end of a call of this thread.
// 'terminate': prints how many were computed when the worker has been terminated in the middle.
import { Worker } from 'node:worker_threads';
import { DiceLoss } from '../../../dist/index.js';

const calls = 60;
const shared = (Type) => new Type(new SharedArrayBuffer(calls * Type.BYTES_PER_ELEMENT));
const workerData = { calls, S: 100_003, ended: shared(Int32Array), values: shared(Float64Array) };
workerData.values.fill(-1);
const worker = new Worker(new URL('line.mjs', import.meta.url), { workerData });
await new Promise((resolve) => worker.once('message', resolve));

const loss = new DiceLoss();
const one = { data: Float32Array.of(1, 0), shape: [2] };
if (process.argv[2] === 'turns') {
  const before = Atomics.load(workerData.ended, 0); // more than none where this thread was told late
  await loss.valueAsync(one, one);
  console.log(Atomics.load(workerData.ended, 0) - before);
} else {
  await worker.terminate();
  console.log(workerData.values.filter((value) => value !== -1).length);
  await loss.valueAsync(one, one);
}
await worker.terminate();
