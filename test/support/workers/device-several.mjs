// Worker threads on the emulated device, several at once and terminated at any moment. Argument: how they work. Prints
// whether workers with the same seed get the same values.
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Device, Tensor } from '../../../dist/index.js';

const how = process.argv[2];
const start = (seed, steps) =>
  new Worker(new URL('device-train.mjs', import.meta.url), { workerData: { seed, steps, how } });
const message = (worker) =>
  new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.once('message', resolve);
  });
const last = (worker) =>
  new Promise((resolve, reject) => {
    let value;
    worker.on('error', reject);
    worker.on('message', (found) => {
      value = found;
    });
    worker.on('exit', (code) =>
      code === 0 ? resolve(value) : reject(new Error(`exit code ${code}`)),
    );
  });

const values = await Promise.all([1, 2, 1, 2].map((seed) => last(start(seed, 2))));
const rounds = process.env.WARPDICE_TEST_ALL ? 3 : 1;
for (let round = 0; round < rounds; round++) {
  const workers = [1, 2].map((seed) => start(seed));
  await Promise.all(workers.map(message));
  await sleep(round); // another moment of the step each time
  await Promise.all(workers.map((worker) => worker.terminate()));
}
const gpu = Device.cuda(0);
const x = Tensor.from(Float32Array.of(1, 2, 3), [3]).to(gpu);
const works = (await x.read()).join() === '1,2,3';
x.dispose();
await gpu.synchronize();
const alive = [0, 1].map((i) => Device.cuda(i).memory().aliveBytes);
console.log(
  JSON.stringify({
    same: values[0] === values[2] && values[1] === values[3],
    values,
    works,
    alive,
  }),
);
