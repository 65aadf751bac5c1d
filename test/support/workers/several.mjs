// Several worker threads at once, each with its own data, beside calls on the main thread. Prints each one's value.
import { Worker } from 'node:worker_threads';
import { DiceLoss } from '../../../dist/index.js';

const S = 100_003;
const direct = (seed) => {
  const logits = new Float32Array(3 * S).map((_, i) => Math.sin(seed * (i + 1)));
  const labels = new Uint8Array(S).map((_, i) => (i * seed) % 3);
  const loss = new DiceLoss({ activation: 'softmax' });
  return loss
    .value({ data: logits, shape: [1, 3, S] }, { data: labels, shape: [1, S] })
    .value.itemSync();
};

const inWorker = (seed, asynchronous) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('train.mjs', import.meta.url), {
      workerData: { seed, steps: 20, asynchronous },
    });
    let value;
    worker.on('message', (message) => {
      if (message !== 'started') value = message;
    });
    worker.on('error', reject);
    worker.on('exit', (code) =>
      code === 0 ? resolve(value) : reject(new Error(`exit code ${code}`)),
    );
  });

const seeds = [1, 2, 3, 4];
const working = seeds.map((seed) => inWorker(seed, seed % 2 === 0));
const expected = seeds.map(direct);
console.log(JSON.stringify({ expected, found: await Promise.all(working) }));
