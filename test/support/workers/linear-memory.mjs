// Prints by how many bytes the resident memory grows during a call with linearLogits whose inputs and results are there.
import { readFileSync, writeFileSync } from 'node:fs';
import { DiceLoss, linearLogits, setThreads, Tensor } from 'warpdice';

const [K, C, S] = process.argv.slice(2).map(Number);
setThreads(2);
const tensor = (shape, dtype) => {
  const made = Tensor.empty(shape, dtype);
  made.data.fill(1); // the system gives the pages
  return made;
};
const loss = new DiceLoss({ activation: 'softmax' });
const shapes = { features: [1, K, S], weight: [C, K], bias: [C] };
const inputs = Object.values(shapes).map((shape) => tensor(shape));
const grad = Object.fromEntries(
  Object.entries(shapes).map(([name, shape]) => [name, tensor(shape)]),
);
const out = { value: tensor([], 'float64'), perClass: tensor([1, C], 'float64'), grad };
const target = tensor([1, S], 'uint8');
const resident = (name) =>
  Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) *
  1024;
const logits = linearLogits(...inputs);
writeFileSync('/proc/self/clear_refs', '5'); // VmHWM begins anew
const before = resident('VmRSS');
loss.valueAndGrad(logits, target, { out });
console.log(resident('VmHWM') - before);
