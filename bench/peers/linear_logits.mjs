// linearLogits as torch_head.py measures PyTorch: node bench/peers/linear_logits.mjs N K C S threads
// Prints a line of JSON: the milliseconds of a call and those of the processor (medians), and the memory beyond inputs and gradients
// (the largest growth of the resident memory in 10^6 bytes; Linux).
import { readFileSync, writeFileSync } from 'node:fs';
import { DiceLoss, linearLogits, setThreads, simdTarget, Tensor } from '../../dist/index.js';

const [N, K, C, S, threads] = process.argv.slice(2).map(Number);
setThreads(threads);

/** Numbers from -1 to 1, which repeat. */
function filled(shape, dtype, next) {
  const tensor = Tensor.empty(shape, dtype);
  const few = Math.min(1 << 16, tensor.size);
  for (let i = 0; i < few; i++) tensor.data[i] = next();
  for (let at = few; at < tensor.size; at += few) tensor.data.copyWithin(at, 0, few);
  return tensor;
}
let state = 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 31 - 1;
};
const shapes = { features: [N, K, S], weight: [C, K], bias: [C] };
const inputs = Object.values(shapes).map((shape) => filled(shape, 'float32', random));
const target = filled([N, S], 'int16', () => Math.floor(((random() + 1) / 2) * C));
const grad = Object.fromEntries(
  Object.entries(shapes).map(([name, shape]) => [name, filled(shape, 'float32', () => 1)]),
);
const plan = new DiceLoss({ activation: 'softmax' }).plan(linearLogits(...inputs), target, {
  out: { grad },
});
const resident = (name) =>
  Number(new RegExp(`${name}:\\s*(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))[1]);
writeFileSync('/proc/self/clear_refs', '5'); // VmHWM begins anew
const before = resident('VmRSS');
const [ms, cpuMs] = [[], []];
let total = 0;
while (ms.length < 4 || (total < 2000 && ms.length < 50)) {
  const start = performance.now();
  const cpu = process.cpuUsage();
  plan.execute();
  const { user, system } = process.cpuUsage(cpu);
  ms.push(performance.now() - start);
  cpuMs.push((user + system) / 1e3);
  total += ms.at(-1);
}
const mb = ((resident('VmHWM') - before) * 1024) / 1e6;
const median = (numbers) =>
  numbers.slice(1).sort((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)];
const of = { ms: median(ms), cpuMs: median(cpuMs), mb };
console.log(
  JSON.stringify({
    version: 'linearLogits',
    simd: simdTarget(),
    ...of,
    gflop: (8 * N * S * C * K) / 1e9,
  }),
);
