// The reference of every loss and option of the family against finite differences: with respect to predictions and dense targets.
import { describe, expect, test } from '@jest/globals';
import { checkGradient } from '../support/gradient.js';
import { inThisRun } from '../support/in-this-run.js';
import { entryOf, lossKeys } from '../support/losses.js';
import { named } from '../support/named.js';
import { Random } from '../support/random.js';
import { sizeOf } from '../support/tensors.js';
import { type Problem, type ReferenceOptions, reference } from './reference.js';
import { valueShape } from './reference-value.js';

const [N, C, S] = [2, 3, 5];
const random = new Random(8);
const weight = random.array(N * S, () => 0.5 + random.uniform());
weight[3] = 0;
/** Class 2 has no voxel in sample 0. */
const labels = [0, 1, 1, 0, 1, 2, 1, 0, 2, 2];
const soft = random.array(N * C * S, () => 0.05 + 0.9 * random.uniform());
soft.fill(0, 2 * S, 3 * S);

const axes = {
  activation: ['none', 'sigmoid', 'softmax'],
  reduction: ['none', 'mean', 'sum'],
  background: [true, false],
  classWeights: [undefined, [0.5, 2, 3]],
} as const;

describe.each(lossKeys)('%s', (key) => {
  const { loss, defaults, variants, without = [] } = entryOf(key);
  test.each(named(variants))('%s', (_, variant) => {
    let seed = 0;
    for (const activation of axes.activation)
      for (const reduction of axes.reduction)
        for (const background of axes.background)
          for (const classWeights of axes.classWeights) {
            const options: ReferenceOptions = {
              ...defaults,
              ...variant,
              activation,
              reduction,
              batch: seed % 2 === 1,
              background,
              layout: seed % 2 ? 'channels-last' : 'channels-first',
              ...(seed % 3 === 0 && { smoothNumerator: 0.25, smoothDenominator: 0.5 }),
              ...(classWeights && { classWeights }),
            };
            if ((options.crossEntropy || options.focal) && activation === 'none') continue;
            if (without.includes(activation) || (without.includes('background') && !background))
              continue;
            seed++;
            if (!inThisRun()) continue;
            const upstream = random.array(sizeOf(valueShape(loss, options, N, C)), () =>
              random.normal(),
            );
            const problem: Problem = {
              loss,
              N,
              C,
              S,
              predictions: random.array(N * C * S, () =>
                activation === 'none' ? 0.05 + 0.9 * random.uniform() : 2 * random.normal(),
              ),
              labels,
              weight: seed % 2 ? weight : undefined,
              upstream: reduction === 'none' ? upstream : undefined,
              gradScale: 3,
              options,
            };
            checkGradient(problem);
            // Away from 0, where a class would cease to be absent.
            const dense = layoutOf(options) === 'channels-last' ? soft.map(positive) : soft;
            const { labels: _, ...unlabelled } = problem;
            checkGradient({ ...unlabelled, dense });
            checkGradient({ ...unlabelled, dense: dense.map(positive) }, 'dense');
          }
    expect(seed).toBeGreaterThanOrEqual(6);
  });
});

const positive = (t: number): number => t || 0.3;
const layoutOf = ({ layout }: ReferenceOptions) => layout;

test('classes of the reference say what the library says by hand (by-hand.test.ts)', () => {
  // Class 0: I = 1.75, sum p = 2.25, V = 2. Class 1: I = .5, sum p = .75, V = 1.
  const { value, parts, perClass } = reference({
    loss: 'generalized',
    N: 1,
    C: 2,
    S: 3,
    predictions: [0.75, 0.5, 1, 0.25, 0.5, 0],
    labels: [0, 1, 0],
    options: { smoothDenominator: 0 },
  });
  expect(value[0]).toBeCloseTo(1 / 3, 14);
  expect([...perClass]).toEqual([value[0], value[0]]);
  expect([...parts]).toEqual([value[0], 0, 0]);
});
