// A worker thread that takes training steps until it is told to stop or terminated. workerData: { seed, steps, asynchronous }.
// It posts 'started' after its first step and then, if it gets that far, the last value.
import { parentPort, workerData } from 'node:worker_threads';
import { DiceLoss } from '../../../dist/index.js';

const { seed = 1, steps = Infinity, asynchronous = false, S = 100_003 } = workerData ?? {};
const logits = new Float32Array(3 * S).map((_, i) => Math.sin(seed * (i + 1)));
const labels = new Uint8Array(S).map((_, i) => (i * seed) % 3);
const x = { data: logits, shape: [1, 3, S] };
const y = { data: labels, shape: [1, S] };
const out = { grad: { data: new Float32Array(3 * S), shape: [1, 3, S] } };
const loss = new DiceLoss({ activation: 'softmax' });

let value = 0;
for (let step = 0; step < steps; step++) {
  if (asynchronous) {
    // Four under way at any time: some will be when the thread is terminated.
    const calls = [1, 2, 3, 4].map(() => loss.valueAndGradAsync(x, y));
    value = (await calls[0]).value.itemSync();
    await Promise.race(calls);
  } else {
    value = loss.valueAndGrad(x, y, { out }).value.itemSync();
  }
  if (step === 0) parentPort.postMessage('started');
}
parentPort.postMessage(value);
