// A worker thread that takes steps on the emulated device until it is told to stop or terminated. workerData: { seed,
// steps, how }: 'sync', 'async' or 'plan'. It posts 'started' after its first step and then the last value.
import { parentPort, workerData } from 'node:worker_threads';
import { Device, DiceLoss, Tensor } from '../../../dist/index.js';

const { seed, steps = Infinity, how } = workerData;
const S = 31;
const gpu = Device.cuda(seed % 2);
const x = Tensor.from(
  new Float32Array(3 * S).map((_, i) => Math.sin(seed * (i + 1))),
  [1, 3, S],
).to(gpu);
const y = Tensor.from(
  new Uint8Array(S).map((_, i) => (i * seed) % 3),
  [1, S],
).to(gpu);
const loss = new DiceLoss({ activation: 'softmax' });
const plan = loss.plan(x, y);

let value = 0;
for (let step = 0; step < steps; step++) {
  if (how === 'plan') {
    value = await plan.execute().value.item();
  } else if (how === 'async') {
    // Four under way at any time: some will be when the thread is terminated.
    const calls = [1, 2, 3, 4].map(() => loss.valueAndGradAsync(x, y));
    value = await (await calls[0]).value.item();
    await Promise.race(calls);
  } else {
    const result = loss.valueAndGrad(x, y);
    value = result.value.itemSync();
    for (const tensor of [result.value, result.perClass, result.grad]) tensor.dispose();
  }
  if (step === 0) parentPort.postMessage('started');
}
parentPort.postMessage(value);
