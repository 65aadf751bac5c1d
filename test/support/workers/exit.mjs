// Ends the process while calls are under way. Argument: how.
import { Worker } from 'node:worker_threads';
import { DiceLoss } from '../../../dist/index.js';

const how = process.argv[2];
if (how === 'worker') {
  const worker = new Worker(new URL('train.mjs', import.meta.url), {
    workerData: { asynchronous: true },
  });
  await new Promise((resolve) => worker.once('message', resolve));
  process.exit(0);
}
const S = 1_000_003;
const x = { data: new Float32Array(3 * S), shape: [1, 3, S] };
const y = { data: new Uint8Array(S), shape: [1, S] };
const loss = new DiceLoss({ activation: 'softmax' });
for (let i = 0; i < 8; i++) loss.valueAndGradAsync(x, y);
if (how === 'exit') process.exit(0);
// Otherwise the process ends by itself when the calls are done.
