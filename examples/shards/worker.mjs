// A worker of main.mjs: knows its own slab only.
import { parentPort, workerData } from 'node:worker_threads';
import { DiceLoss, Statistics, Tensor } from 'warpdice';

const { options, shape } = workerData;
const loss = new DiceLoss(options);
const logits = Tensor.from(workerData.logits, shape);
const labels = Tensor.from(workerData.labels, shape.slice(0, -1));

parentPort.once('message', (array) => {
  const merged = Statistics.fromArray(array);
  parentPort.postMessage(loss.gradient(logits, labels, merged).data);
});
parentPort.postMessage(loss.statistics(logits, labels).toArray());
