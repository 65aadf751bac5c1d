// Queues calls of 240 kB each until one is refused (WARPDICE_ASYNC_MIB=2), awaits them and calls again. Prints what happened.
import { DiceLoss, LovaszLoss, Tensor } from '../../../dist/index.js';

const S = 10_000;
const loss = new DiceLoss({ activation: 'softmax', crossEntropy: {}, focal: {} });
/** It sorts: calls are made faster than they end, on any machine. */
const slow = new LovaszLoss({ activation: 'softmax' });
const make = (count) => [
  { data: new Float32Array(3 * count), shape: [1, 3, count] },
  { data: new Uint8Array(count), shape: [1, count] },
];
const [x, y] = make(S);
x.data.forEach((_, i, all) => {
  all[i] = Math.sin(i * i);
});
const alone = await loss.valueAndGradAsync(...make(200_000)); // 5 MB by itself

const pending = [];
for (let i = 0; i < 1000; i++) pending.push(slow.valueAndGradAsync(x, y));
const outcomes = await Promise.allSettled(pending);
const refused = outcomes.filter(({ status }) => status === 'rejected').map(({ reason }) => reason);

const again = await loss.valueAndGradAsync(x, y);
const shared = [Tensor.empty(x.shape), Tensor.empty(y.shape, 'uint8')];
shared[0].data.set(x.data);
const out = { value: Tensor.empty([], 'float64'), perClass: Tensor.empty([1, 3], 'float64') };
const inPlace = await Promise.allSettled(
  Array.from({ length: 100 }, () => slow.valueAsync(...shared, { out })), // 13 MB, if they were copied
);
console.log(
  JSON.stringify({
    works: [alone, again].every((result) => result.value.itemSync() > 0),
    accepted: outcomes.length - refused.length,
    refused: refused.length,
    name: refused[0]?.name,
    code: refused[0]?.code,
    message: refused[0]?.message,
    inPlace: inPlace.every(({ status }) => status === 'fulfilled'),
  }),
);
