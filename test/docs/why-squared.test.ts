// The numbers of docs/why-squared.md.
import { expect, test } from '@jest/globals';
import { DiceLoss, JaccardLoss, SegmentationMetrics } from '../../lib/index.js';
import { numbers, tensor } from '../support/tensors.js';

const linear = new DiceLoss({ denominator: 'linear' });
const squared = new DiceLoss();
const jaccard = new JaccardLoss();

/** The loss, and its derivative with respect to the last voxel. */
function solve(loss: DiceLoss, p: number[], t: number[]): [value: number, slope: number] {
  const { value, grad } = loss.valueAndGrad(
    tensor(p, [p.length], 'float64'),
    tensor(t, [t.length], 'float64'),
  );
  return [value.itemSync(), numbers(grad).at(-1) as number];
}

test.each([
  [linear, 0.5, 1 / 3],
  [squared, 0, 0.2],
  [jaccard, 0, 1 / 3],
])('a soft target, case %#: the loss at p = t and at p = 1', (loss, atTarget, atOne) => {
  expect(solve(loss, [0.5], [0.5])[0]).toBeCloseTo(atTarget, 6);
  expect(solve(loss, [1], [0.5])[0]).toBeCloseTo(atOne, 6);
});

test.each([
  [linear, -2, -0.5, 0.4986],
  [squared, -2, 0, 0],
  [jaccard, -1, 0, 0],
])(
  'slopes, case %#: a missed voxel, a found one, a background voxel at 0',
  (loss, missed, found, background) => {
    expect(solve(loss, [0], [1])[1]).toBeCloseTo(missed, 4);
    expect(solve(loss, [1], [1])[1]).toBeCloseTo(found, 4);
    expect(solve(loss, [0.9, 0], [1, 0])[1]).toBeCloseTo(background, 4);
  },
);

test('Dice and IoU of the same counts', () => {
  const metrics = new SegmentationMetrics({ classes: 1, decision: 'labels' });
  metrics.update(tensor([1, 1, 1, 0], [4], 'uint8'), tensor([1, 1, 0, 1], [4], 'uint8'));
  expect(metrics.average('dice')).toBeCloseTo(4 / 6, 15);
  expect(metrics.average('iou')).toBe(2 / 4);
});
