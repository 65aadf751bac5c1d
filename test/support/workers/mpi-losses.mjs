// The losses over ranks: value and gradient of each rank's part are those of one process that has all.
import assert from 'node:assert/strict';
import { checkHeads } from './mpi-heads.mjs';

const warpdice = await import('../../../dist/index.js');

const { getThreads, SegmentationMetrics, Statistics, setThreads, Tensor } = warpdice;

const [N, C, S] = [4, 3, 211];
let seed = 12345;
const random = () => {
  seed = (seed * 1103515245 + 12345) % 2 ** 31;
  return seed / 2 ** 31;
};
const z = Float64Array.from({ length: N * S * C }, () => 4 * random() - 2);
const y = Uint8Array.from({ length: N * S }, () => Math.floor(C * random()));
const w = Float64Array.from({ length: N * S }, () => random());

/** Voxels [from, to) of samples [first, last). */
function part(first, last, from, to) {
  const [samples, voxels] = [last - first, to - from];
  const rows = (data, width) => {
    const own = new data.constructor(samples * voxels * width);
    for (let n = 0; n < samples; n++) {
      const at = (first + n) * S;
      own.set(data.subarray((at + from) * width, (at + to) * width), n * voxels * width);
    }
    return own;
  };
  return {
    predictions: Tensor.from(rows(z, C), [samples, voxels, C]),
    target: Tensor.from(rows(y, 1), [samples, voxels]),
    weight: Tensor.from(rows(w, 1), [samples, voxels]),
  };
}

/** The gradient of all, at these voxels. */
function gradOf(grad, first, last, from, to) {
  const own = [];
  for (let n = first; n < last; n++)
    own.push(...grad.data.subarray((n * S + from) * C, (n * S + to) * C));
  return own;
}

/** All of it in `npm run test:all`. */
const every = Boolean(process.env.WARPDICE_TEST_ALL);
const distances = [
  [0, 1, 2],
  [1, 0, 1.5],
  [2, 1.5, 0],
];
const softmax = { activation: 'softmax', layout: 'channels-last' };
const cases = [
  ['DiceLoss', {}],
  ['DiceLoss', { activation: 'sigmoid', transform: 'log', absent: 'skip' }],
  ['JaccardLoss', { denominator: 'linear' }],
  ['TverskyLoss', { alpha: 0.3, beta: 0.7, gamma: 4 / 3 }],
  ['GeneralizedDiceLoss', {}],
  ['MatthewsLoss', { average: 'multiclass' }],
  ['GeneralizedWassersteinDiceLoss', { distances }],
  ['DiceCELoss', {}],
  ['DiceFocalLoss', {}],
  ['UnifiedFocalLoss', {}],
  ['CrossEntropyLoss', {}, true],
  ['FocalLoss', {}, true],
];

function close(name, got, expected, tolerance) {
  assert.equal(got.length, expected.length, name);
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-300);
  for (let i = 0; i < got.length; i++) {
    const off = Math.abs(got[i] - expected[i]) / scale;
    assert.ok(off <= tolerance, `${name}[${i}]: ${got[i]} for ${expected[i]}`);
  }
}

async function checkCase(world, [name, more, plain = false]) {
  const { rank, size } = world;
  for (const batch of plain ? [undefined] : [false, true]) {
    for (const reduction of every ? ['mean', 'sum', 'none'] : ['mean']) {
      const options = { ...softmax, ...more, reduction, ...(batch === undefined ? {} : { batch }) };
      const label = `${name} ${JSON.stringify({ ...more, batch, reduction })}`;
      const reference = new warpdice[name](options);
      const all = part(0, N, 0, S);
      const unreduced = reference.value(all.predictions, all.target, { weight: all.weight }).value;
      const scales = Float64Array.from(unreduced.data, (_, i) => 1 + i / 4);
      const upstream =
        reduction === 'none' ? { upstream: Tensor.from(scales, unreduced.shape) } : {};
      const expected = reference.valueAndGrad(all.predictions, all.target, {
        weight: all.weight,
        ...upstream,
      });

      // Without batch the ranks have parts of the same samples, of very different sizes; with batch any voxels.
      const edge = (r) => Math.floor(S * (r / size) ** 2);
      const cut = [0, N, edge(rank), edge(rank + 1)];
      const own = part(...cut);
      for (const how of ['async', 'sync', 'plan']) {
        const allReduce = how === 'async' ? world.allReduce : world.allReduceSync;
        const loss = new warpdice[name]({ ...options, allReduce });
        const call = { weight: own.weight, ...upstream };
        if (edge(rank) === edge(rank + 1)) {
          // No voxels: the loss of all is known here too.
          const merged = await allReduce(loss.emptyStatistics(C, N));
          close(label, loss.fromStatistics(merged).value.data, expected.value.data, 1e-14);
          continue;
        }
        const got =
          how === 'plan'
            ? loss.plan(own.predictions, own.target, call).execute()
            : await loss[how === 'sync' ? 'valueAndGrad' : 'valueAndGradAsync'](
                own.predictions,
                own.target,
                call,
              );
        close(`${label} value`, got.value.data, expected.value.data, 1e-14);
        close(`${label} perClass`, got.perClass.data, expected.perClass.data, 1e-14);
        close(`${label} grad`, got.grad.data, gradOf(expected.grad, ...cut), 1e-12);
      }
    }
  }
}

/** Different numbers of samples, none on the last rank where there are three ranks or more. */
async function checkSamples(world) {
  const { rank, size } = world;
  const edges = { 1: [0, 4], 2: [0, 3, 4], 3: [0, 3, 4, 4], 4: [0, 2, 3, 4, 4] }[size];
  const [first, last] = edges.slice(rank, rank + 2);
  const all = part(0, N, 0, S);
  for (const name of ['DiceLoss', 'DiceCELoss', 'GeneralizedDiceLoss']) {
    const options = { ...softmax, batch: true };
    const expected = new warpdice[name](options).valueAndGrad(all.predictions, all.target);
    const loss = new warpdice[name]({ ...options, allReduce: world.allReduce });
    if (first === last) {
      const merged = await world.allReduce(loss.emptyStatistics(C));
      assert.equal(merged.samples, N);
      close(name, loss.fromStatistics(merged).value.data, expected.value.data, 1e-14);
      continue;
    }
    const own = part(first, last, 0, S);
    const got = await loss.valueAndGradAsync(own.predictions, own.target);
    close(name, got.value.data, expected.value.data, 1e-14);
    close(name, got.grad.data, gradOf(expected.grad, first, last, 0, S), 1e-12);
  }

  // Per sample: gathered, the statistics are those of all samples, bit by bit.
  const loss = new warpdice.DiceLoss(softmax);
  if (size < 3) {
    const own = part(first, last, 0, S);
    const statistics = loss.statistics(own.predictions, own.target);
    const later = world.sum(Float64Array.of(1)); // calls beside it keep their order
    const [list, sum] = await Promise.all([world.gather(statistics), later, world.barrier()]);
    assert.equal(sum[0], size);
    const together = Statistics.concat(list);
    assert.deepEqual(together.data, loss.statistics(all.predictions, all.target).data);
    assert.equal(together.samples, N);
  }
  const odd = loss.statistics(all.predictions, all.target);
  odd.data.set([Number.NaN, -0, Infinity, -Infinity, 5e-324]);
  for (const one of await world.gather(odd)) assert.deepEqual(one.data, odd.data);
}

/** Two calls at once. On each rank another one is computed first, and its sums are of the same shape. */
async function checkPending(world) {
  const threads = getThreads();
  setThreads(2);
  const sizes = world.rank % 2 ? [1, 1 << 18] : [1 << 18, 1];
  const loss = new warpdice.DiceLoss({ ...softmax, batch: true, allReduce: world.allReduce });
  const values = await Promise.all(
    sizes.map((voxels, label) =>
      loss.valueAsync(
        Tensor.from(new Float32Array(2 * voxels), [1, voxels, 2]),
        Tensor.from(new Uint8Array(voxels).fill(label), [1, voxels]),
      ),
    ),
  );
  setThreads(threads);
  // Probabilities of 1/2 for a label that is always 0 in the one call, always 1 in the other: DSC 0.8 of that class, 0 of the other.
  for (const [label, { perClass }] of values.entries()) {
    close('pending calls', perClass.data, label ? [1, 0.2] : [0.2, 1], 1e-4);
  }
}

/** Metrics of all ranks: their counts add up. */
async function checkMetrics(world) {
  const { rank, size } = world;
  const all = part(0, N, 0, S);
  const options = { classes: C, layout: 'channels-last' };
  const expected = new SegmentationMetrics(options).update(all.predictions, all.target);
  const edge = (r) => Math.floor(S * (r / size) ** 2);
  const metrics = new SegmentationMetrics(options);
  if (edge(rank) < edge(rank + 1)) {
    const own = part(0, N, edge(rank), edge(rank + 1));
    metrics.update(own.predictions, own.target);
  }
  const state = metrics.toJSON();
  const counts = await world.sum(Float64Array.from(state.counts));
  const together = SegmentationMetrics.fromJSON({ ...state, counts: [...counts] });
  assert.deepEqual(together.confusion(), expected.confusion());
  assert.deepEqual(together.perClass('dice'), expected.perClass('dice'));
}

/** Losses of other options, and of other numbers of classes, are found before anything is added. */
async function checkMeaning(world) {
  if (world.size === 1) return;
  const mismatch = {
    code: 'ERR_MPI_MISMATCH',
    message: /allReduce of statistics \[4, 3, 8\] \(per sample, /,
  };
  const all = part(0, N, 0, S);
  const other = world.rank > 0;
  const linear = new warpdice.DiceLoss({ ...softmax, denominator: other ? 'linear' : 'squared' });
  await assert.rejects(world.allReduce(linear.statistics(all.predictions, all.target)), mismatch);
  const samples = new warpdice.DiceLoss(softmax).emptyStatistics(3, other ? 5 : 4);
  assert.throws(() => world.allReduceSync(samples), { code: 'ERR_MPI_MISMATCH' });
}

/** reproducible: the very bits of one process, of value and gradient. */
async function checkReproducible(world) {
  const { rank, size } = world;
  const run = warpdice.Loss.runVoxels(C);
  const voxels = 4 * run + 77;
  const logits = Float64Array.from({ length: voxels * C }, () => 6 * random() - 3);
  const labels = Uint8Array.from({ length: voxels }, () => Math.floor(C * random()));
  const cut = (from, to) => [
    Tensor.from(logits.slice(from * C, to * C), [1, to - from, C]),
    Tensor.from(labels.slice(from, to), [1, to - from]),
  ];
  const edge = (r) => (r === size ? voxels : run * Math.floor(5 * (r / size) ** 2));
  const [from, to] = [edge(rank), edge(rank + 1)];
  for (const name of ['DiceLoss', 'DiceCELoss', 'GeneralizedDiceLoss']) {
    const options = { ...softmax, batch: true, reproducible: true };
    const expected = new warpdice[name](options).valueAndGrad(...cut(0, voxels));
    const loss = new warpdice[name]({ ...options, allReduce: world.allReduce });
    if (from === to) {
      const merged = await world.allReduce(loss.emptyStatistics(C));
      assert.deepEqual(loss.fromStatistics(merged).value.data, expected.value.data);
      continue;
    }
    const got = await loss.valueAndGradAsync(...cut(from, to));
    assert.deepEqual(got.value.data, expected.value.data);
    assert.deepEqual(got.perClass.data, expected.perClass.data);
    assert.deepEqual(got.grad.data, expected.grad.data.slice(from * C, to * C));
  }
}

export async function checkLosses(world) {
  for (const one of cases.filter((_, i) => every || i % 2 === 0)) await checkCase(world, one);
  await checkSamples(world);
  await checkPending(world);
  const hooks = { now: world.allReduceSync, later: world.allReduce };
  await checkHeads(world, hooks, (tensor) => world.sum(tensor));
  await checkReproducible(world);
  await checkMetrics(world);
  await checkMeaning(world);
}
