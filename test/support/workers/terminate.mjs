// Terminates worker threads in the middle of calls, again and again. Arguments: 'main' if this thread loads the addon too, then
// 'sync' or 'async'.
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const [where, how] = process.argv.slice(2);
const lib = where === 'main' ? await import('../../../dist/index.js') : undefined;

const rounds = process.env.WARPDICE_TEST_ALL ? 6 : 1;
for (let round = 0; round < rounds; round++) {
  const workers = [1, 2].map(
    (seed) =>
      new Worker(new URL('train.mjs', import.meta.url), {
        workerData: { seed, asynchronous: how === 'async' },
      }),
  );
  const started = workers.map((w) => new Promise((resolve) => w.once('message', resolve)));
  await Promise.all(started);
  await sleep(round); // another moment of the step each time
  await Promise.all(workers.map((w) => w.terminate()));
}

if (lib) {
  const loss = new lib.DiceLoss();
  const one = { data: Float32Array.of(1, 0), shape: [2] };
  console.log('still works:', loss.value(one, one).value.itemSync() < 1e-6);
} else {
  console.log('still works: true');
}
