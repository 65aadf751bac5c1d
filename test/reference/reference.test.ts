// The reference is the judge of the other tests, so here it is judged itself: by numbers worked out by hand and by finite
// differences of its own value.
import { describe, expect, test } from '@jest/globals';
import { checkGradient } from '../support/gradient.js';
import { allTests, inThisRun } from '../support/in-this-run.js';
import { entryOf, lossKeys } from '../support/losses.js';
import { named } from '../support/named.js';
import { Random } from '../support/random.js';
import { sizeOf } from '../support/tensors.js';
import { type Problem, type ReferenceOptions, reference } from './reference.js';
import { valueShape } from './reference-value.js';

const P = [0.9, 0.8, 0.2, 0.7, 0.1];
const T = [1, 1, 0, 1, 0];
const flat = { N: 1, C: 1, S: 5, predictions: P, labels: T };

describe('numbers worked out by hand', () => {
  // I = .9 + .8 + .7 = 2.4; P = .81 + .64 + .04 + .49 + .01 = 1.99; T = 3.
  test('Dice with squared denominators', () => {
    const { value, perClass, statistics, gradient } = reference({ loss: 'dice', ...flat });
    expect(Math.abs((value[0] as number) - 0.038076171581639846)).toBeLessThanOrEqual(4e-16);
    expect(perClass).toEqual(value);
    [2.4, 1.99, 3].forEach((x, i) => {
      expect(statistics[i]).toBeCloseTo(x, 14);
    });
    // dL/dp = -2t/D + 2p * 2I/D^2 with D = 4.99
    P.forEach((p, i) => {
      const expected = (-2 * (T[i] as number)) / 4.9900001 + (2 * p * 4.8) / 4.9900001 ** 2;
      expect(gradient[i]).toBeCloseTo(expected, 14);
    });
  });

  test('Dice with linear denominators', () => {
    // sum p = 2.7, so 1 - 4.8 / 5.7
    const { value } = reference({
      loss: 'dice',
      ...flat,
      options: { denominator: 'linear', smoothDenominator: 0 },
    });
    expect(value[0]).toBeCloseTo(1 - 4.8 / 5.7, 15);
  });

  test('Jaccard, and its relation to Dice', () => {
    const options = { smoothDenominator: 0 };
    const jaccard = reference({ loss: 'jaccard', ...flat, options }).value[0] as number;
    const dice = reference({ loss: 'dice', ...flat, options }).value[0] as number;
    expect(jaccard).toBeCloseTo(1 - 2.4 / 2.59, 15);
    const D = 1 - dice;
    expect(1 - jaccard).toBeCloseTo(D / (2 - D), 15);
  });

  test('smoothing', () => {
    const options = { smoothNumerator: 1, smoothDenominator: 2 };
    expect(reference({ loss: 'dice', ...flat, options }).value[0]).toBeCloseTo(1 - 5.8 / 6.99, 14);
    expect(reference({ loss: 'jaccard', ...flat, options }).value[0]).toBeCloseTo(
      1 - 3.4 / 4.59,
      14,
    );
  });

  test('an absent class: loss 1, no gradient where the prediction is 0', () => {
    const solution = reference({
      loss: 'dice',
      N: 1,
      C: 1,
      S: 3,
      predictions: [0, 0, 0],
      labels: [0, 0, 0],
    });
    expect(solution.value[0]).toBe(1);
    expect([...solution.gradient]).toEqual([0, 0, 0]);
  });

  // Two classes at two voxels with probabilities (3/4, 1/4) and (1/2, 1/2), labels 0 and 1.
  const two: Problem = {
    loss: 'dice',
    N: 1,
    C: 2,
    S: 2,
    predictions: [Math.log(3), 0, 0, 0],
    labels: [0, 1],
    options: { activation: 'softmax', smoothDenominator: 0 },
  };
  const D0 = (2 * 0.75) / (0.75 ** 2 + 0.5 ** 2 + 1);
  const D1 = (2 * 0.5) / (0.25 ** 2 + 0.5 ** 2 + 1);

  test('softmax over the classes', () => {
    const { value, perClass } = reference(two);
    expect(perClass[0]).toBeCloseTo(1 - D0, 15);
    expect(perClass[1]).toBeCloseTo(1 - D1, 15);
    expect(value[0]).toBeCloseTo(1 - (D0 + D1) / 2, 15);
  });

  test('reduction, background and class weights', () => {
    const solve = (options: ReferenceOptions) =>
      [...reference({ ...two, options: { ...two.options, ...options } }).value] as [number, number];
    const classWeights = [3, 5];
    expect(solve({ reduction: 'sum' })[0]).toBeCloseTo(2 - D0 - D1, 14);
    expect(solve({ reduction: 'none' })[1]).toBeCloseTo(1 - D1, 14);
    expect(solve({ background: false })[0]).toBeCloseTo(1 - D1, 14);
    expect(solve({ background: false, reduction: 'none' })[0]).toBe(0);
    expect(solve({ classWeights })[0]).toBeCloseTo((3 * (1 - D0) + 5 * (1 - D1)) / 2, 14);
    expect(solve({ classWeights, background: false })[0]).toBeCloseTo(5 * (1 - D1), 14);
    expect(solve({ classWeights, reduction: 'none' })[1]).toBeCloseTo(5 * (1 - D1), 14);
  });

  test('pooling two samples', () => {
    const both = { N: 2, C: 1, S: 1, predictions: [1, 0.5], labels: [1, 1] };
    const apart = reference({ loss: 'dice', ...both, options: { smoothDenominator: 0 } });
    expect(apart.value[0]).toBeCloseTo((0 + (1 - 1 / 1.25)) / 2, 15);
    const pooled = reference({
      loss: 'dice',
      ...both,
      options: { smoothDenominator: 0, batch: true },
    });
    expect(pooled.value[0]).toBeCloseTo(1 - 3 / (1.25 + 2), 15);
    expect(pooled.perClass.length).toBe(1);
  });

  test('channels last is the same data in another order', () => {
    const first = reference(two);
    const z = two.predictions;
    const predictions = [z[0], z[2], z[1], z[3]] as number[];
    const last = reference({
      ...two,
      predictions,
      options: { ...two.options, layout: 'channels-last' },
    });
    expect(last.value).toEqual(first.value);
    const g = first.gradient;
    expect([...last.gradient]).toEqual([g[0], g[2], g[1], g[3]]);
  });

  test('a voxel that does not count is left out, even if it is NaN', () => {
    const longer = { loss: 'dice', N: 1, C: 1, S: 6, predictions: [...P, NaN] } as const;
    const { value, gradient } = reference({ loss: 'dice', ...flat });
    for (const solution of [
      reference({ ...longer, labels: [...T, 255], options: { ignoreIndex: 255 } }),
      reference({ ...longer, labels: [...T, 1], weight: [1, 1, 1, 1, 1, 0] }),
    ]) {
      expect(solution.value).toEqual(value);
      expect([...solution.gradient]).toEqual([...gradient, 0]);
    }
  });

  test('a weight counts a voxel more than once', () => {
    const twice = reference({
      loss: 'dice',
      N: 1,
      C: 1,
      S: 6,
      predictions: [...P, 0.7],
      labels: [...T, 1],
    });
    const weighted = reference({ loss: 'dice', ...flat, weight: [1, 1, 1, 2, 1] });
    expect(weighted.value[0]).toBeCloseTo(twice.value[0] as number, 15);
    expect(weighted.gradient[3]).toBeCloseTo(2 * (twice.gradient[3] as number), 15);
  });

  test('infinite logits', () => {
    const row = (predictions: number[]) => [
      ...reference({ ...two, S: 1, labels: [0], predictions }).statistics,
    ];
    expect(row([0, -Infinity])).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    expect(row([0, Infinity]).slice(0, 2)).toEqual([NaN, NaN]);
    expect(row([-Infinity, -Infinity]).slice(0, 2)).toEqual([NaN, NaN]);
    const sigmoid = { activation: 'sigmoid' } as const;
    const predictions = [Infinity, -Infinity];
    expect(
      [
        ...reference({
          loss: 'dice',
          N: 1,
          C: 1,
          S: 2,
          predictions,
          labels: [1, 1],
          options: sigmoid,
        }).statistics,
      ].slice(0, 3),
    ).toEqual([1, 1, 2]);
  });

  test('its sums lose nothing over many terms', () => {
    const S = allTests ? 3_000_000 : 300_000;
    const p = Math.fround(0.1);
    const { statistics } = reference({
      loss: 'dice',
      N: 1,
      C: 1,
      S,
      predictions: new Float32Array(S).fill(p),
      labels: new Uint8Array(S),
    });
    expect(statistics[1]).toBe(S * (p * p)); // p * p is exact: 24 bits squared
  });
});

describe('the gradient against central differences of the value', () => {
  const N = 2;
  const C = 3;
  const S = 3;
  const random = new Random(1);
  const labels = random.array(N * S, () => random.integer(C));
  const soft = random.array(N * C * S, () => random.uniform());
  const weight = random.array(N * S, () => 0.5 + random.uniform());
  weight[1] = 0;
  const ignored = labels.slice();
  ignored[2] = 200;

  const axes = {
    loss: ['dice', 'jaccard'],
    activation: ['none', 'sigmoid', 'softmax'],
    denominator: ['squared', 'linear'],
    batch: [false, true],
    reduction: ['none', 'mean', 'sum'],
    background: [true, false],
    classWeights: [undefined, [0.5, 2, 3]],
    target: ['labels', 'dense', 'ignored'],
    weight: [undefined, weight],
    layout: ['channels-first', 'channels-last'],
  } as const;

  test.each(
    axes.loss.flatMap((loss) => axes.activation.map((activation) => [loss, activation] as const)),
  )('%s, %s', (loss, activation) => {
    let checked = 0;
    for (const denominator of axes.denominator)
      for (const batch of axes.batch)
        for (const reduction of axes.reduction)
          for (const background of axes.background)
            for (const classWeights of axes.classWeights)
              for (const target of axes.target)
                for (const w of axes.weight)
                  for (const layout of axes.layout) {
                    checked++;
                    if (!inThisRun()) continue;
                    const options = {
                      activation,
                      denominator,
                      batch,
                      reduction,
                      background,
                      layout,
                      smoothNumerator: 0.25,
                      smoothDenominator: 0.5,
                      ...(classWeights ? { classWeights } : {}),
                      ...(target === 'ignored' ? { ignoreIndex: 200 } : {}),
                    };
                    checkGradient({
                      loss,
                      N,
                      C,
                      S,
                      predictions: random.array(N * C * S, () =>
                        activation === 'none' ? 0.05 + 0.9 * random.uniform() : 2 * random.normal(),
                      ),
                      ...(target === 'dense'
                        ? { dense: soft }
                        : { labels: target === 'labels' ? labels : ignored }),
                      weight: w,
                      upstream:
                        reduction === 'none'
                          ? random.array((batch ? 1 : N) * C, () => random.normal())
                          : undefined,
                      gradScale: 3,
                      options,
                    });
                  }
    expect(checked).toBe(2 * 2 * 3 * 2 * 2 * 3 * 2 * 2);
  });

  test('binary, one class', () => {
    for (const loss of axes.loss)
      for (const activation of ['none', 'sigmoid'] as const)
        checkGradient({
          loss,
          N: 2,
          C: 1,
          S: 3,
          predictions: [0.3, 0.6, 0.2, 0.7, 0.8, 0.1],
          labels: [1, 0, 1, 1, 0, 255],
          options: { activation, ignoreIndex: 255 },
        });
  });
});

// The reference of every loss and option of the family against finite differences: with respect to predictions and dense targets.
describe('the family', () => {
  const [N, C, S] = [2, 3, 5];
  const random = new Random(8);
  const weight = random.array(N * S, () => 0.5 + random.uniform());
  weight[3] = 0;
  const weightOfClasses = random.array(N * C * S, () => 0.5 + random.uniform());
  weightOfClasses.fill(0, 4, 8);
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
                weight: [undefined, weight, weightOfClasses][seed % 3],
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
});
