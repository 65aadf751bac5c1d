// Loads the addon in worker threads only, which end by themselves, one after the other and then together.
import { Worker } from 'node:worker_threads';

const runWorker = (asynchronous) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('train.mjs', import.meta.url), {
      workerData: { steps: 5, asynchronous },
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

const values = [await runWorker(false), await runWorker(true)];
values.push(...(await Promise.all([runWorker(false), runWorker(true), runWorker(false)])));
console.log('values alike:', new Set(values).size === 1 && values[0] > 0);
