// Takes thousands of training steps on tensors of 4 MB and prints, in bytes, by how much the resident memory grew from a third of
// them (the warm-up) to the end, and how far it was above the start at most. Arguments: the kind of step, and how many.
//
// Needs --expose-gc, for the two measurements only: V8 lets garbage of some 32 to 64 MB gather before it collects it, and where in
// that saw a measurement falls would be chance. The steps themselves run as they do without it, and `most` is theirs.
import { setImmediate as turn } from 'node:timers/promises';
import { DiceLoss, JaccardLoss, SegmentationMetrics, Tensor } from '../../../dist/index.js';

const shape = [4, 1, 512, 512];
const S = 4 * 512 * 512;
const voxels = [4, 512, 512];
const x = { data: new Float32Array(S).map((_, i) => Math.sin(i)), shape };
const y = { data: new Uint8Array(S).map((_, i) => i % 2), shape: voxels };
const grad = { data: new Float32Array(S), shape };
const weight = { data: new Float32Array(S).fill(1), shape: voxels };
const value = Tensor.from(new Float64Array(1), []);
const perClass = Tensor.from(new Float64Array(4), [4, 1]);
const loss = new DiceLoss({ activation: 'sigmoid' });
const plan = loss.plan(x, y, { out: { grad } });
const statistics = loss.statistics(x, y);
const shared = [
  Tensor.empty(shape),
  Tensor.empty(voxels, 'uint8'),
  { out: { grad: Tensor.empty(shape) } },
];
// Of 200 classes: what one batch counts takes 0.3 MB.
const metrics = new SegmentationMetrics({ classes: 200, decision: 'labels' });
const confusion = new Float64Array(200 * 200);
const scores = new Float64Array(200);
const bad = { data: new Uint8Array(S).fill(9), shape: voxels };

const steps = {
  "caller's buffers": () => loss.valueAndGrad(x, y, { out: { value, perClass, grad } }),
  'allocating the gradient': () => loss.valueAndGrad(x, y),
  'allocating everything': () =>
    new JaccardLoss({ activation: 'sigmoid' }).valueAndGrad(x, y, { weight }),
  'step by step, and a plan': () => {
    loss.gradient(x, y, loss.statistics(x, y, { out: statistics }), { out: { grad } });
    plan.execute();
  },
  async: () => loss.valueAndGradAsync(x, y, { out: { grad } }),
  'async, allocating': () => loss.valueAndGradAsync(x, y),
  'async, shared memory': () => loss.valueAndGradAsync(...shared),
  metrics: () => {
    metrics.update(y, y).confusion({ out: confusion });
    metrics.perClass('dice', { out: scores });
  },
  'metrics, async': () => metrics.updateAsync(y, y),
  'errors, allocating': () => {
    try {
      loss.valueAndGrad(x, bad);
    } catch {}
  },
};
const step = steps[process.argv[2]];
const count = Number(process.argv[3]);

/** What is resident when all garbage is collected. */
const settled = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await turn(); // and what waits for the event loop is let go
  }
  return process.memoryUsage.rss();
};

const start = await settled();
let afterWarmUp = 0;
let most = 0;
for (let i = 0; i < count; i++) {
  if (i === Math.floor(count / 3)) afterWarmUp = await settled();
  const pending = step();
  if (pending?.then) await pending;
  if (i % 10 === 0) most = Math.max(most, process.memoryUsage.rss());
}
console.log(JSON.stringify({ grown: (await settled()) - afterWarmUp, most: most - start }));
