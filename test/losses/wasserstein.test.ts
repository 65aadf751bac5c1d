// Generalized Wasserstein Dice beside what its authors published: the same where every class is at distance 1 from the background.
import { describe, expect, test } from '@jest/globals';
import { GeneralizedWassersteinDiceLoss } from '../../lib/index.js';
import { close, exact } from '../support/closeness.js';
import { Random } from '../support/random.js';
import { numbers, tensor } from '../support/tensors.js';
import { niftyNetWassersteinDiceLoss } from './niftynet.js';

const [C, S] = [4, 31];
const random = new Random(6);
const labels = Array.from({ length: S }, () => random.integer(C));
const onehot = labels.map((label) => Array.from({ length: C }, (_, c) => (c === label ? 1 : 0)));
const probabilities = labels.map(() => {
  const p = Array.from({ length: C }, () => random.uniform());
  const sum = p.reduce((a, b) => a + b);
  return p.map((x) => x / sum);
});

/**
 * The authors' later program (GeneralizedWassersteinDiceLoss, github.com/LucasFidon), which MONAI has too: M divided by its
 * largest number; alpha 1 and 0 for the background, or with 'GDL' 1/(volume + 1) for all classes, in both sums.
 */
function laterProgram(M: number[][], weighting: 'default' | 'GDL') {
  const largest = Math.max(...M.flat());
  const volumes = Array.from({ length: C }, (_, c) => labels.filter((y) => y === c).length);
  let found = 0;
  let error = 0;
  labels.forEach((y, s) => {
    const W = (M[y] as number[]).reduce(
      (sum, d, c) => sum + (d / largest) * (probabilities[s]?.[c] as number),
      0,
    );
    const alpha = weighting === 'GDL' ? 1 / ((volumes[y] as number) + 1) : y === 0 ? 0 : 1;
    found += alpha * (1 - W);
    error += weighting === 'GDL' ? alpha * W : W;
  });
  return 1 - (2 * found) / (2 * found + error);
}

/** Symmetric, the distances to class 0 given. */
const matrix = (toBackground: number[]) => [
  [0, ...toBackground],
  [toBackground[0] as number, 0, 0.6, 0.2],
  [toBackground[1] as number, 0.6, 0, 0.7],
  [toBackground[2] as number, 0.2, 0.7, 0],
];

const ours = (distances: number[][], options: object = {}) =>
  new GeneralizedWassersteinDiceLoss({
    distances,
    smoothDenominator: 0,
    layout: 'channels-last',
    ...options,
  })
    .value(tensor(probabilities.flat(), [1, S, C], 'float64'), tensor(labels, [1, S], 'uint8'))
    .value.itemSync();

test('every class at distance 1 from the background', () => {
  const M = matrix([1, 1, 1]);
  expect(ours(M)).toBeCloseTo(niftyNetWassersteinDiceLoss(probabilities, onehot, M), 14);
});

describe('a class that is nearer to the background', () => {
  const M = matrix([1, 0.5, 0.8]);

  test('theirs gives it M(1 - W), ours M - W: all taken for background is then nothing found', () => {
    const found = { theirs: 0, ours: 0, errors: 0 };
    labels.forEach((y, s) => {
      const distances = M[y] as number[];
      const W = distances.reduce((sum, d, c) => sum + d * (probabilities[s]?.[c] as number), 0);
      const away = distances[0] as number;
      found.errors += W;
      found.theirs += away * (1 - W);
      if (y !== 0) found.ours += away - W;
    });
    const loss = (A: number) => 1 - (2 * A) / (2 * A + found.errors);
    expect(niftyNetWassersteinDiceLoss(probabilities, onehot, M)).toBeCloseTo(
      loss(found.theirs),
      14,
    );
    expect(ours(M)).toBeCloseTo(loss(found.ours), 14);
    expect(loss(found.ours)).toBeGreaterThan(loss(found.theirs) + 0.05);
  });

  test('measured from the largest distance, and with GDL weights, it is the later program', () => {
    const larger = M.map((row) => row.map((d) => 8 * d));
    for (const distances of [M, larger]) {
      const later = ours(distances, { measuredFrom: 'largest' });
      expect(later).toBeCloseTo(laterProgram(M, 'default'), 14);
      expect(later).toBeLessThan(ours(M) - 0.05);
      expect(ours(distances, { weighting: 'GDL' })).toBeCloseTo(laterProgram(M, 'GDL'), 14);
    }
    const equal = matrix([1, 1, 1]);
    expect(ours(equal, { measuredFrom: 'largest' })).toBeCloseTo(ours(equal), 14);
    const same = ours(M, { weighting: 'GDL', measuredFrom: 'largest' });
    expect(same).toBe(ours(M, { weighting: 'GDL' }));
  });

  test('distances of another scale are the same loss', () => {
    expect(ours(M.map((row) => row.map((d) => 8 * d)))).toBeCloseTo(ours(M), 14);
  });

  test('all taken for background: nothing is found, loss 1', () => {
    const all = labels.map(() => [1, 0, 0, 0]);
    const x = tensor(all.flat(), [1, S, C], 'float64');
    const loss = new GeneralizedWassersteinDiceLoss({ distances: M, layout: 'channels-last' });
    expect(loss.value(x, tensor(labels, [1, S], 'uint8')).value.itemSync()).toBeCloseTo(1, 14);
    expect(niftyNetWassersteinDiceLoss(all, onehot, M)).toBeLessThan(0.9);
  });
});

describe('by hand', () => {
  const distances = [
    [0, 1, 1],
    [1, 0, 0.5],
    [1, 0.5, 0],
  ];
  const x = tensor([1, 0, 0, 0.5, 0, 0.5], [1, 3, 2], 'float64');
  const y = tensor([0, 1], [1, 2], 'uint8');
  const make = (options: object) =>
    new GeneralizedWassersteinDiceLoss({ distances, ...exact, ...options });

  test('the example', () => {
    expect(make({}).value(x, y).value.itemSync()).toBeCloseTo(1 - 1.5 / 1.75, 14);
  });

  test('a near mistake costs less than a far one', () => {
    const at = (labels: number[]) =>
      make({})
        .value(x, tensor(labels, [1, 2], 'uint8'))
        .value.itemSync();
    // Voxel 1 is half 1, half 2. As background it is at distance 1, and nothing is found: r = 0.
    expect(at([0, 2])).toBeCloseTo(1 - 1.5 / 1.75, 14);
    expect(at([0, 0])).toBe(1);
  });

  test('per sample: the mean of the losses of each', () => {
    const two = tensor([...numbers(x), ...[1, 1, 0, 0, 0, 0]], [2, 3, 2], 'float64');
    const labels = tensor([0, 1, 0, 1], [2, 2], 'uint8');
    const { value } = make({ reduction: 'none' }).value(two, labels);
    // Sample 1 takes its voxel of class 1 for background: W = M[1][0] = 1, A = 0.
    close(numbers(value), 1 - 1.5 / 1.75, 1);
    expect(make({}).value(two, labels).value.itemSync()).toBeCloseTo((2 - 1.5 / 1.75) / 2, 14);
  });

  test('class weights weigh the true positives; another background', () => {
    // A = 3 * .75
    const weighted = make({ classWeights: [1, 3, 1] });
    expect(weighted.value(x, y).value.itemSync()).toBeCloseTo(1 - 4.5 / 4.75, 14);
    // b = 1: class 0 has M[0][1] = 1 and cost 0, class 1 counts only as an error.
    const other = make({ backgroundIndex: 1 });
    expect(other.value(x, y).value.itemSync()).toBeCloseTo(1 - 2 / 2.25, 14);
  });
});
