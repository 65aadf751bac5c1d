// One volume on several workers: the loss of the whole, and its exact gradient in every part.
//
//     node examples/shards/main.mjs [workers]
//
// Each worker holds one slab of the volume and nothing else. It sends the sums of its slab (a few numbers per class), gets
// the sums of the whole volume back, and computes its part of the gradient from them. The same three steps work for
// several machines, for tiles that do not fit in memory together, and for micro-batches.
import { Worker } from 'node:worker_threads';
import { DiceLoss, Statistics, Tensor } from 'warpdice';

const [D, H, W, C] = [37, 32, 32, 4]; // depth, height, width, classes: 37 slices do not divide evenly
const options = { activation: 'softmax', layout: 'channels-last' }; // channels last: a slab is one piece of memory
const workers = Number(process.argv[2] ?? 3);

const logits = new Float32Array(D * H * W * C).map((_, i) => 2 * Math.sin(0.37 * i + 1e-6 * i * i));
const labels = new Uint8Array(D * H * W).map((_, i) => (7 * Math.floor(i / W) + 3 * i) % C);

// Slab k is the slices from first(k) up to first(k + 1).
const first = (k) => Math.floor((k * D) / workers);
const slabs = Array.from({ length: workers }, (_, k) => {
  const [from, to] = [first(k) * H * W, first(k + 1) * H * W];
  const workerData = {
    options,
    logits: logits.slice(from * C, to * C),
    labels: labels.slice(from, to),
    shape: [1, first(k + 1) - first(k), H, W, C],
  };
  return new Worker(new URL('worker.mjs', import.meta.url), { workerData });
});
const answers = () =>
  Promise.all(
    slabs.map(
      (worker) =>
        new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
    ),
  );

// 1. Add the sums of the slabs, which gives the sums of the volume.
const parts = (await answers()).map(Statistics.fromArray);
const merged = parts.reduce((sum, part) => sum.add(part));

// 2. The loss is computed here, 3. the gradient in the workers.
const loss = new DiceLoss(options);
const value = loss.fromStatistics(merged).value.itemSync();
for (const worker of slabs) worker.postMessage(merged.toArray());
const gradients = await answers();

// The same without shards, to compare.
const whole = loss.valueAndGrad(
  Tensor.from(logits, [1, D, H, W, C]),
  Tensor.from(labels, [1, D, H, W]),
);
const largest = whole.grad.data.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
let difference = 0;
let i = 0;
for (const gradient of gradients) {
  for (const g of gradient) difference = Math.max(difference, Math.abs(g - whole.grad.data[i++]));
}
console.log(`workers            ${workers}`);
console.log(`loss, sharded      ${value}`);
console.log(`loss, whole        ${whole.value.itemSync()}`);
console.log(`gradient, voxels   ${i / C} of ${D * H * W}`);
console.log(`gradient, off by   ${difference / largest} of its largest element`);
