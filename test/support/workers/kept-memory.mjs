// Makes a few calls on many samples or classes, and prints by how many bytes the resident memory is above the start after them
// (kept), and was at most (most). Argument: the kind of call. Needs --expose-gc.
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { DiceCELoss, DiceLoss, SegmentationMetrics } from '../../../dist/index.js';

/** Many samples of one voxel: the sums of a sample take 64 bytes a class, its predictions 4. */
const [N, C] = [250_000, 10];
const x = { data: new Float32Array(N * C).fill(0.1), shape: [N, C] };
const y = { data: new Uint8Array(N).fill(1), shape: [N] };
const loss = new DiceLoss({ activation: 'softmax' });

/** Samples of many classes: a confusion matrix takes 8 MB. */
const map = { data: new Int32Array(32 * 4096).map((_, i) => i % 1000), shape: [32, 4096] };
const metrics = new SegmentationMetrics({ classes: 1000, decision: 'labels' });

/** Of so many classes a softmax takes 150 MB of scratch memory or more, whatever the number of voxels. */
const many = 600_000;
const logits = { data: new Float32Array(2 * many).fill(0.1), shape: [1, many, 2] };
const labels = { data: Int32Array.of(1, 2), shape: [1, 2] };

/** Results of the caller: what grows is scratch memory alone. */
const value = { data: new Float64Array(1), shape: [] };
const parts = { data: new Float64Array(3), shape: [3] };
const perClass = { data: new Float64Array(N * C).fill(1), shape: [N, C] };
const grad = { data: new Float32Array(N * C).fill(1), shape: [N, C] };
const [ofValue, ofGrad] = [
  { value, perClass },
  { value, perClass, grad },
];
/** What its mean divides by is known when all sums are. */
const compound = new DiceCELoss();
const weight = { data: new Float32Array(N).fill(0.5), shape: [N] };
const skipping = new DiceLoss({ activation: 'softmax', absent: 'skip', batch: true });
const pooled = { value, perClass: { data: new Float64Array(C), shape: [C] }, grad };

/** Of several labels to ignore, the copy in which they are one takes 128 MB. */
const voxels = process.argv[2] === 'ignored' ? 2 ** 24 : 8;
const mask = {
  data: new BigInt64Array(voxels).fill(1n).fill(254n, voxels / 2),
  shape: [1, voxels],
};
const half = { data: new Uint16Array(voxels).fill(0), shape: [1, 1, voxels], dtype: 'float16' };
const ignoring = new DiceLoss({ ignoreIndex: [254, 255] });

const together = (call) => Promise.all([1, 2, 3, 4].map(call));
const calls = {
  value: () => loss.value(x, y, { out: ofValue }),
  valueAndGrad: () => loss.valueAndGrad(x, y, { out: ofGrad }),
  weighted: () => compound.valueAndGrad(x, y, { weight, out: { ...ofGrad, parts } }),
  batch: () => skipping.valueAndGrad(x, y, { out: pooled }),
  classes: () => loss.value(logits, labels),
  ignored: () => ignoring.value(half, mask),
  valueAsync: () => together(() => loss.valueAsync(x, y)),
  update: () => metrics.update(map, map),
  updateAsync: () => together(() => metrics.updateAsync(map, map)),
};

const settled = async () => {
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await turn();
  }
  return process.memoryUsage.rss();
};

/** Of this program alone: the system's maxRSS begins with what the process that started it had. */
function peak() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

const call = calls[process.argv[2]];
new DiceLoss().value(
  { data: new Float32Array(8), shape: [1, 2, 4] },
  { data: new Uint8Array(4), shape: [1, 4] },
);
const start = await settled();
for (let i = 0; i < 3; i++) await call();
const most = peak() - start;
console.log(JSON.stringify({ kept: (await settled()) - start, most }));
