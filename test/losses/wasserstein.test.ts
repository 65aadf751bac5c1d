// Generalized Wasserstein Dice beside what its authors published: the same where every class is at distance 1 from the background.
import { describe, expect, test } from '@jest/globals';
import { GeneralizedWassersteinDiceLoss } from '../../lib/index.js';
import { Random } from '../support/random.js';
import { tensor } from '../support/tensors.js';
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

/** Symmetric, the distances to class 0 given. */
const matrix = (toBackground: number[]) => [
  [0, ...toBackground],
  [toBackground[0] as number, 0, 0.6, 0.2],
  [toBackground[1] as number, 0.6, 0, 0.7],
  [toBackground[2] as number, 0.2, 0.7, 0],
];

const ours = (distances: number[][]) =>
  new GeneralizedWassersteinDiceLoss({ distances, smoothDenominator: 0, layout: 'channels-last' })
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
