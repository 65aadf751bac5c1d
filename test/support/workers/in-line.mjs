// 60 calls of a worker in line. Prints how many of them wait still: with the argument 'turns', when a call of this thread has ended;
// with 'terminate', when the worker has been terminated.
import { Worker } from 'node:worker_threads';
import { DiceLoss } from '../../../dist/index.js';

const shared = (Type, length) => new Type(new SharedArrayBuffer(length * Type.BYTES_PER_ELEMENT));
const [stop, values] = [shared(Int32Array, 1), shared(Float64Array, 60)];
const worker = new Worker(new URL('line.mjs', import.meta.url), {
  workerData: { S: 100_003, stop, values },
});
await new Promise((resolve) => worker.once('message', resolve));

const loss = new DiceLoss();
const one = { data: Float32Array.of(1, 0), shape: [2] };
const printWaiting = () => console.log(values.filter((value) => value === -1).length);
if (process.argv[2] === 'turns') {
  Atomics.store(stop, 0, 1);
  await loss.valueAsync(one, one);
  printWaiting();
} else {
  await worker.terminate();
  printWaiting();
  await loss.valueAsync(one, one);
}
await worker.terminate();
