// A worker thread with many calls in line at once. workerData: { calls, S, ended: Int32Array on shared memory, which counts the
// calls that have ended, values: Float64Array on shared memory for their results }.
import { parentPort, workerData } from 'node:worker_threads';
import { DiceLoss, Tensor } from '../../../dist/index.js';

const { calls, S, ended, values } = workerData;
const x = Tensor.empty([1, 3, S], 'float64');
const y = Tensor.empty([1, S], 'uint8');
// Slow to compute, and making the calls is not.
const loss = new DiceLoss({ activation: 'softmax', crossEntropy: {}, focal: { gamma: 1.7 } });
for (let i = 0; i < calls; i++) {
  const value = { data: values.subarray(i, i + 1), shape: [] };
  loss.valueAsync(x, y, { out: { value } }).then(() => Atomics.add(ended, 0, 1));
}
parentPort.postMessage('started');
