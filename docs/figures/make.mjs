// Makes the figures of docs/why-squared.md with the library itself: `npm run figures`. With --check it writes nothing
// and fails when a committed figure is not what it would write.
import { readFileSync, writeFileSync } from 'node:fs';
import { DiceLoss, JaccardLoss, SegmentationMetrics } from '../../dist/index.js';
import { lineChart } from '../../dist-examples/plot.js';

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

const unit = { to: 1, marks: [0, 0.25, 0.5, 0.75, 1] };
const looks = [{ colour: 'two' }, { colour: 'one', dash: '7 4' }, { colour: 'three', dash: '2 3' }];
const curves = (of) =>
  losses.map((loss, i) => ({
    name: names[i],
    points: steps.map((p) => [p, of(loss, p)]),
    ...looks[i],
  }));
const figure = (panels) => lineChart({ panels, columns: panels.length, panelSize: [340, 300] });

const lossOverP = figure(
  [1, 0.5].map((t) => ({
    title: `loss of one voxel, target t = ${t}`,
    x: { label: 'p', ...unit },
    y: unit,
    curves: curves((loss, p) => solve(loss, [p], [t]).value),
  })),
);

const gradientOverP = figure([
  {
    title: 'dL/dp of one voxel, t = 1',
    x: { label: 'p', ...unit },
    y: { from: -2.5, to: 0.5, marks: [-2, -1, 0] },
    curves: curves((loss, p) => solve(loss, [p], [1]).slope),
  },
  {
    title: 'dL/dp of a voxel with t = 0',
    x: { label: 'p', ...unit },
    y: unit,
    curves: curves((loss, p) => solve(loss, [0.9, p], [1, 0]).slope),
  },
]);

/** Hard Dice and IoU of 100 target voxels of which `hits` are found, and nothing else. */
function scores(hits) {
  const metrics = new SegmentationMetrics({ classes: 1, decision: 'labels' });
  const data = Uint8Array.from({ length: 100 }, (_, i) => Number(i < hits));
  metrics.update({ data, shape: [100] }, { data: new Uint8Array(100).fill(1), shape: [100] });
  return [metrics.average('dice'), metrics.average('iou')];
}

const found = Array.from({ length: 101 }, (_, hits) => scores(hits));
const diceAndIou = figure([
  {
    title: 'IoU over Dice',
    x: { label: 'Dice D', ...unit },
    y: unit,
    curves: [
      { name: 'J = D / (2 - D)', points: found, ...looks[0] },
      { name: 'equal', points: steps.map((x) => [x, x]), ...looks[1] },
    ],
  },
]);

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
