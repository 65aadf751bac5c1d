// Makes the figures of docs/why-squared.md with the library itself: `npm run figures`. With --check it writes nothing
// and fails when a committed figure is not what it would write.
import { readFileSync, writeFileSync } from 'node:fs';
import { DiceLoss, JaccardLoss, SegmentationMetrics } from '../../dist/index.js';
import { figure } from './plot.mjs';

const losses = [new DiceLoss({ denominator: 'linear' }), new DiceLoss(), new JaccardLoss()];
const names = ['Dice, linear', 'Dice, squared', 'Jaccard, squared'];
const steps = Array.from({ length: 101 }, (_, i) => i / 100);

/** The loss of a few voxels and its derivative with respect to the last one. */
function solve(loss, p, t) {
  const shape = [p.length];
  const { value, grad } = loss.valueAndGrad(
    { data: Float64Array.from(p), shape },
    { data: Float64Array.from(t), shape },
  );
  return { value: value.itemSync(), slope: grad.data[p.length - 1] };
}

const unit = [0, 0.25, 0.5, 0.75, 1];
const curves = (of) => losses.map((loss) => steps.map((p) => [p, of(loss, p)]));

const lossOverP = figure(
  [1, 0.5].map((t) => ({
    title: `loss of one voxel, target t = ${t}`,
    x: 'p',
    from: [0, 0],
    to: [1, 1],
    ticks: [unit, unit],
    curves: curves((loss, p) => solve(loss, [p], [t]).value),
  })),
  names,
);

const gradientOverP = figure(
  [
    {
      title: 'dL/dp of one voxel, t = 1',
      x: 'p',
      from: [0, -2.5],
      to: [1, 0.5],
      ticks: [unit, [-2, -1, 0]],
      curves: curves((loss, p) => solve(loss, [p], [1]).slope),
    },
    {
      title: 'dL/dp of a voxel with t = 0',
      x: 'p',
      from: [0, 0],
      to: [1, 1],
      ticks: [unit, unit],
      curves: curves((loss, p) => solve(loss, [0.9, p], [1, 0]).slope),
    },
  ],
  names,
);

/** Hard Dice and IoU of 100 target voxels of which `hits` are found, and nothing else. */
function scores(hits) {
  const metrics = new SegmentationMetrics({ classes: 1, decision: 'labels' });
  const data = Uint8Array.from({ length: 100 }, (_, i) => Number(i < hits));
  metrics.update({ data, shape: [100] }, { data: new Uint8Array(100).fill(1), shape: [100] });
  return [metrics.average('dice'), metrics.average('iou')];
}

const found = Array.from({ length: 101 }, (_, hits) => scores(hits));
const diceAndIou = figure(
  [
    {
      title: 'IoU over Dice',
      x: 'Dice D',
      from: [0, 0],
      to: [1, 1],
      ticks: [unit, unit],
      curves: [found, steps.map((x) => [x, x])],
    },
  ],
  ['J = D / (2 - D)', 'equal'],
);

const check = process.argv.includes('--check');
for (const [name, svg] of Object.entries({ lossOverP, gradientOverP, diceAndIou })) {
  const file = new URL(
    `${name.replace(/[A-Z]/g, (x) => `-${x.toLowerCase()}`)}.svg`,
    import.meta.url,
  );
  if (!check) writeFileSync(file, svg);
  else if (readFileSync(file, 'utf8') !== svg) {
    console.error(`${file.pathname} is stale: run npm run figures`);
    process.exitCode = 1;
  }
}
