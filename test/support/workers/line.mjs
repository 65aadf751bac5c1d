// A worker thread with many calls in line. Each that ends is made again, so that the line is as long whenever the main thread
// comes, until `stop` is set. workerData: { S, stop: Int32Array, values: Float64Array }, both on shared memory; the values are the
// calls' results, and -1 where the call has not been computed.
import { parentPort, workerData } from 'node:worker_threads';
import { DiceLoss, Tensor } from '../../../dist/index.js';

const { S, stop, values } = workerData;
const x = Tensor.empty([1, 3, S], 'float64');
const y = Tensor.empty([1, S], 'uint8');
// Slow to compute, and making the calls is not.
const loss = new DiceLoss({ activation: 'softmax', crossEntropy: {}, focal: { gamma: 1.7 } });
function call(i) {
  if (Atomics.load(stop, 0)) return;
  values[i] = -1;
  const value = { data: values.subarray(i, i + 1), shape: [] };
  loss.valueAsync(x, y, { out: { value } }).then(() => call(i));
}
for (let i = 0; i < values.length; i++) call(i);
parentPort.postMessage('started');
