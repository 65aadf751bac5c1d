// Checks the library on the first GPU through its public API: it agrees with the CPU, gives the same bits every time, and
// leaves no memory behind.
//
//   node test/cuda/gpu/check.mjs [--steps 100000] [--every 1] [--runs 100]
//
// every: nth problem is compared with the CPU. runs: of a plan, compared bit by bit.
//
// Exit status: 77 without a GPU, 1 when something differs.
import { parseArgs } from 'node:util';
import {
  Device,
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  JaccardLoss,
  MatthewsLoss,
  Tensor,
  TverskyLoss,
} from '../../../dist/index.js';

const { values: options } = parseArgs({
  options: {
    steps: { type: 'string', default: '100000' },
    every: { type: 'string', default: '1' },
    runs: { type: 'string', default: '100' },
  },
});
if (Device.list().length === 1) {
  console.log(`no GPU: ${Device.whyNoGpu}`);
  process.exit(77);
}
const device = Device.cuda(0);
console.log(`${device}, on the CPU ${Device.cpu.name}`);
let failures = 0;

function expect(holds, what) {
  if (holds) return;
  failures++;
  console.log(`FAILED: ${what}`);
}

/** The same numbers every time: a linear congruential generator, in [0, 1). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function problem(shape, dtype, layout) {
  const [N, C, ...spatial] = shape;
  const random = generator(C * 1000 + spatial.length);
  const voxels = spatial.reduce((a, b) => a * b, N);
  const numbers = Array.from({ length: voxels * C }, () => 8 * random() - 4);
  const data = dtype === 'float64' ? Float64Array.from(numbers) : Float32Array.from(numbers);
  const placed = layout === 'channels-last' ? [N, ...spatial, C] : shape;
  const labels = Uint8Array.from({ length: voxels }, () => random() * Math.max(C, 2));
  return [Tensor.from(data, placed), Tensor.from(labels, [N, ...spatial])];
}

const largest = (numbers) => numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const losses = {
  DiceLoss,
  JaccardLoss,
  TverskyLoss,
  GeneralizedDiceLoss,
  MatthewsLoss,
  DiceCELoss,
  DiceFocalLoss,
};
const shapes = [
  [2, 1, 1001],
  [2, 3, 31, 33],
  [1, 19, 40, 41],
  [1, 150, 257],
];

let [compared, cases] = [0, 0];
for (const [name, Loss] of Object.entries(losses)) {
  for (const shape of shapes) {
    for (const layout of ['channels-first', 'channels-last']) {
      for (const dtype of ['float32', 'float64']) {
        if (cases++ % Number(options.every) !== 0) continue;
        const activation = shape[1] === 1 ? 'sigmoid' : 'softmax';
        const loss = new Loss({ activation, layout });
        const [logits, labels] = problem(shape, dtype, layout);
        const wanted = loss.valueAndGrad(logits, labels);
        const [x, y] = [logits.to(device), labels.to(device)];
        const got = loss.valueAndGrad(x, y);
        const [value, gradient] = [await got.value.item(), await got.grad.read()];
        const [tolerance, case_] = [
          dtype === 'float64' ? 1e-12 : 1e-6,
          `${name} ${shape} ${layout} ${dtype}`,
        ];
        const off = Math.abs(value - wanted.value.itemSync());
        expect(
          off <= tolerance * Math.max(Math.abs(value), 0.1),
          `${case_}: the value is off by ${off}`,
        );
        const worst = largest(Array.from(wanted.grad.data, (g, i) => g - gradient[i]));
        const bound = 10 * tolerance * largest(wanted.grad.data);
        expect(worst <= bound, `${case_}: the gradient is off by ${worst}, ${bound} is allowed`);
        for (const tensor of [x, y, got.value, got.perClass, got.grad]) tensor.dispose();
        compared++;
      }
    }
  }
}
console.log(`${compared} problems agree with the CPU, ${failures} failures`);

const [logits, labels] = problem([2, 4, 30, 33], 'float32', 'channels-first');
const [x, y] = [logits.to(device), labels.to(device)];
const plan = new DiceLoss({ activation: 'softmax' }).plan(x, y);
const bits = async () => Buffer.from((await plan.grad.read()).buffer).toString('base64');
plan.execute();
const first = await bits();
const runs = Number(options.runs);
for (let run = 1; run < runs; run++) {
  plan.execute();
  expect((await bits()) === first, `run ${run + 1} left other bits than the first`);
}
console.log(`${runs} runs of a plan compared bit by bit`);

const steps = Number(options.steps);
const before = device.memory();
for (let i = 1; i <= steps; i++) {
  plan.execute();
  if (i % 1000 === 0) await device.synchronize();
}
await device.synchronize();
const after = device.memory();
console.log(`${steps} steps: from ${JSON.stringify(before)} to ${JSON.stringify(after)}`);
// Less is right too: garbage of before may be collected meanwhile.
expect(after.aliveBytes <= before.aliveBytes, 'tensors or workspaces were left behind');
expect(before.freeBytes - after.freeBytes < 2 ** 21, 'device memory is gone'); // a little less is right: other processes may take some
plan.dispose();
for (const tensor of [x, y]) tensor.dispose();
process.exitCode = failures === 0 ? 0 : 1;
