// Lets the k-th allocation of the emulated addon fail, for every k until a call succeeds without it, for calls of every style.
// Each must then succeed or end with ERR_OUT_OF_MEMORY, and the next call must work and have the right result. Arguments: how
// many threads, and 'device' for calls on the emulated GPU. Prints the number of failures tried. WARPDICE_TEST_EVERY: only every
// nth allocation, from another one on in each style.
import assert from 'node:assert/strict';
import * as lib from '../../../dist/index.js';
import { native } from '../../../dist/native/load.js';

const [threads, kind] = process.argv.slice(2);
const { DeepSupervision, DiceLoss, SegmentationMetrics, Statistics, Tensor } = lib;
lib.setThreads(Number(threads));

const [N, C, S] = [2, 3, 64];
const x = {
  data: Float32Array.from({ length: N * C * S }, (_, i) => Math.sin(i)),
  shape: [N, C, S],
};
const y = { data: Uint8Array.from({ length: N * S }, (_, i) => i % C), shape: [N, S] };
const small = { activation: 'sigmoid' }; // few voxels: some of these losses allocate per row
const image = { data: x.data.slice(0, 16), shape: [1, 1, 4, 4] };
const threshold = { classes: 1, decision: 'threshold', threshold: 0 };
const mask = { data: Uint8Array.from({ length: 16 }, (_, i) => (i * i) % 2), shape: [1, 4, 4] };
const soft = { data: new Float32Array(N * C * S).fill(1 / C), shape: [N, C, S] };
const weight = { data: new Float32Array(N * S).fill(0.5), shape: [N, S] };
const linear = lib.linearLogits(
  { data: new Float32Array(N * 2 * S).fill(0.1), shape: [N, 2, S] },
  { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [C, 2] },
);
const half = { data: new Float32Array((N * C * S) / 2).fill(0.3), shape: [N, C, S / 2] };
const wrong = { data: new Uint8Array(N * S).fill(99), shape: [N, S] };
const options = { activation: 'softmax', crossEntropy: {}, focal: {}, classWeights: [1, 2, 3] };
const loss = new DiceLoss(options);
const sums = loss.statistics(x, y);
const plan = loss.plan(x, y);
const scales = new DeepSupervision(loss, [0.7, 0.3]);
const numbers = ({ data }) => Array.from(data);
const distances = [
  [0, 1, 1],
  [1, 0, 0.5],
  [1, 0.5, 0],
];

/** The number of labels out of range; throws what is no such error. */
function faultsOf(error) {
  if (error.code !== 'ERR_LABEL_RANGE') throw error;
  return [error.count];
}

/** By name: a call, which returns or resolves to numbers that are the same each time. */
const styles = {
  make: () => numbers(new DiceLoss(options).value(x, y).value),
  value: () => numbers(loss.value(x, y, { weight }).value),
  valueAndGrad: () => numbers(loss.valueAndGrad(x, y).grad),
  plan: () => numbers(loss.plan(x, y).execute().grad),
  execute: () => numbers(plan.bind(x, y).execute().grad),
  statistics: () => numbers(loss.statistics(x, y)),
  'from statistics': () => numbers(loss.fromStatistics(Statistics.fromArray(sums.toArray())).value),
  'labels out of range': () => {
    try {
      return numbers(loss.value(x, wrong).value);
    } catch (error) {
      return faultsOf(error);
    }
  },
  valueAsync: async () => numbers((await loss.valueAsync(x, y, { weight })).value),
  valueAndGradAsync: async () => numbers((await loss.valueAndGradAsync(x, y)).grad),
  statisticsAsync: async () => numbers(await loss.statisticsAsync(x, y)),
  'labels out of range, async': () => loss.valueAsync(x, wrong).catch(faultsOf),
  'three at once': async () =>
    (await Promise.all([1, 2, 3].map(() => loss.valueAsync(x, y)))).flatMap(({ value }) =>
      numbers(value),
    ),
  'metrics, all of it': () => {
    const [one, other] = [1, 2].map(
      () => new SegmentationMetrics({ classes: C, aggregate: 'samples' }),
    );
    one.update(x, y);
    other.update(x, y).merge(one);
    const read = SegmentationMetrics.fromJSON(JSON.parse(JSON.stringify(other)));
    other.reset();
    return [...read.confusion(), ...read.perClass('iou')];
  },
  metrics: () => Array.from(new SegmentationMetrics({ classes: C }).update(x, y).perClass('dice')),
  'metrics, async': async () =>
    Array.from((await new SegmentationMetrics({ classes: C }).updateAsync(x, y)).perClass('dice')),
  'deep supervision': () => numbers(scales.valueAndGrad([x, half], y).value),
  'deep supervision, async': async () =>
    numbers((await scales.valueAndGradAsync([x, half], y)).value),
  tensors: () => numbers(Tensor.copyOf(Tensor.empty([70, 70]).data, [4900])).slice(0, 1),
  'target gradient': () => numbers(loss.targetGradient(x, soft, loss.statistics(x, soft))),
  wasserstein: () =>
    numbers(
      new lib.GeneralizedWassersteinDiceLoss({ activation: 'softmax', distances }).value(x, y)
        .value,
    ),
  pooled: () =>
    numbers(new DiceLoss({ ...options, batch: true, reduction: 'sum' }).valueAndGrad(x, y).grad),
  lovasz: () => numbers(new lib.LovaszLoss(small).valueAndGrad(image, mask).grad),
  'top k': () => numbers(new lib.TopKCrossEntropyLoss().valueAndGrad(x, y).grad),
  boundary: () => numbers(new lib.BoundaryLoss(small).plan(image, mask).execute().grad),
  'hausdorff, async': async () =>
    numbers((await new lib.HausdorffLoss(small).valueAndGradAsync(image, mask)).grad),
  clDice: () =>
    numbers(new lib.SoftClDiceLoss({ ...small, iterations: 1 }).valueAndGrad(image, mask).grad),
  'clDice, async': async () =>
    numbers(
      (await new lib.SoftClDiceLoss({ ...small, iterations: 1 }).valueAsync(image, mask)).value,
    ),
  surfaces: () =>
    Array.from(new lib.SurfaceMetrics(threshold).update(image, mask).perClass('hausdorff')),
  'surfaces, async': async () =>
    Array.from(
      (await new lib.SurfaceMetrics(threshold).updateAsync(image, mask)).perClass('hausdorff'),
    ),
  components: () =>
    Array.from(new lib.ComponentMetrics(threshold).update(image, mask).perClass('regionDice')),
  linearLogits: () => numbers(loss.valueAndGrad(linear, y).grad.features),
  'linearLogits, async': async () => numbers((await loss.valueAndGradAsync(linear, y)).grad.weight),
  'linearLogits, plan': () => numbers(loss.plan(linear, y).execute().grad.weight),
  'linearLogits, metrics': () =>
    Array.from(new SegmentationMetrics({ classes: C }).update(linear, y).perClass('dice')),
  argmax: () => numbers(linear.argmax()),
  probabilities: () => numbers(linear.probabilities([0, 2])),
  allReduce: () =>
    numbers(new DiceLoss({ ...options, allReduce: (own) => own }).valueAndGrad(x, y).grad),
  'allReduce, async': async () =>
    numbers(
      (await new DiceLoss({ ...options, allReduce: async (own) => own }).valueAndGradAsync(x, y))
        .grad,
    ),
};

const device = lib.Device.cuda(0);
const [gx, gy] = [x, y].map(({ data, shape }) => Tensor.from(data, shape).to(device));
const onDevice = loss.plan(gx, gy);

/** The same with the emulated GPU. */
const deviceStyles = {
  'to a device and back': async () =>
    Array.from(await Tensor.from(x.data, x.shape).to(device).read()),
  'device: value': () => [loss.value(gx, gy).value.itemSync()],
  'device: valueAndGrad': () => Array.from(loss.valueAndGrad(gx, gy).grad.readSync()),
  'device: plan': () => {
    const made = loss.plan(gx, gy);
    const grad = Array.from(made.execute().grad.readSync());
    made.dispose();
    return grad;
  },
  'device: execute': () => Array.from(onDevice.bind(gx, gy).execute().grad.readSync()),
  'device: valueAsync': async () => [await (await loss.valueAsync(gx, gy)).value.item()],
  'device: statistics': async () => numbers(await loss.statistics(gx, gy).read()),
  'device: metrics': () =>
    Array.from(new SegmentationMetrics({ classes: C }).update(gx, gy).perClass('dice')),
  'device: metrics, async': async () =>
    Array.from(
      (await new SegmentationMetrics({ classes: C }).updateAsync(gx, gy)).perClass('dice'),
    ),
  'device: stream': async () => {
    const stream = new lib.Stream(device);
    await stream.done();
    stream.dispose();
    return [];
  },
};

/** Rejects for a promise that does not settle. */
function settled(name, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} does not settle`)), 20_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const every = Number(process.env.WARPDICE_TEST_EVERY ?? 1);
let tried = 0;
let begun = 0;
for (const [name, call] of Object.entries(kind === 'device' ? deviceStyles : styles)) {
  for (const lasting of [false, true]) {
    for (let first = 1 + (begun++ % every), over = false; !over; first += every) {
      let failure;
      native.fake.failAllocations(first, lasting);
      try {
        await settled(name, call());
      } catch (error) {
        failure = error;
      }
      over = native.fake.allocations() < first;
      native.fake.failAllocations(0, false);
      const where = `${name}, allocation ${first}${lasting ? ' and all later ones' : ''}`;
      if (failure !== undefined) {
        assert.equal(failure.name, 'WarpDiceError', `${where}: ${failure.stack}`);
        assert.equal(failure.code, 'ERR_OUT_OF_MEMORY', where);
      }
      assert.ok(first < 1000, `${where}: the call never succeeds`);
      tried++;
      if (failure !== undefined || over) {
        const expected = await settled(name, call());
        assert.deepEqual(await settled(name, call()), expected, where);
      }
    }
  }
}
console.log(tried);
