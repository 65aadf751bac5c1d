// Starts calls, forgets everything about their tensors, and collects garbage while they run (needs --expose-gc: it is the moment
// of the collection that matters). Prints whether all values are right.
import { setImmediate as turn } from 'node:timers/promises';
import { DiceLoss, Tensor } from '../../../dist/index.js';

const S = 200_003;
const make = (shared) => {
  const x = shared ? Tensor.empty([1, 3, S]) : { data: new Float32Array(3 * S), shape: [1, 3, S] };
  const y = shared ? Tensor.empty([1, S], 'uint8') : { data: new Uint8Array(S), shape: [1, S] };
  for (let i = 0; i < 3 * S; i++) x.data[i] = Math.sin(i);
  for (let i = 0; i < S; i++) y.data[i] = i % 3;
  return [x, y];
};
const loss = new DiceLoss({ activation: 'softmax' });
const expected = loss.value(...make(false)).value.itemSync();

const garbage = [];
const start = (i) =>
  new DiceLoss({ activation: 'softmax' }).valueAndGradAsync(...make(i % 2 === 0));
const calls = Array.from({ length: 12 }, (_, i) => start(i));
for (let i = 0; i < 20; i++) {
  globalThis.gc();
  garbage.push(new Float32Array(100_000).fill(i)); // writes over what was freed
  await turn();
}
const values = (await Promise.all(calls)).map(({ value }) => value.itemSync());
console.log('all right:', values.every((value) => value === expected) && garbage.length === 20);
