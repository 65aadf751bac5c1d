// No smoothing and nothing to divide by: every loss is that of a ratio of 0, with a gradient of 0, and `absent` decides as
// it does for any other absent class.
import { describe, expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, JaccardLoss, Tensor, TverskyLoss } from '../../lib/index.js';
import { type Problem, type ReferenceOptions, reference } from '../reference/reference.js';
import { expectClose } from '../support/compare.js';
import { inThisRun } from '../support/in-this-run.js';
import { activationsOf, cells, entryOf, makeLoss } from '../support/losses.js';
import { named } from '../support/named.js';
import { type FloatDType, full, numbers, tensor } from '../support/tensors.js';
import { expectSolution, gradTolerance } from '../support/tolerance.js';

const [N, C, S] = [2, 3, 40];
const unsmoothed = { smoothDenominator: 0, smoothNumerator: 0 };

/** What is left nothing of: predictions, and a target of labels or of a value per class. */
const inputs: [string, ReferenceOptions, number, { labels?: number; dense?: number }][] = [
  ['every voxel is ignored', { ignoreIndex: 255 }, 0.4, { labels: 255 }],
  ['p = t = 0', { activation: 'none' }, 0, { dense: 0 }],
  ['p underflows in float32, t = 0', { activation: 'sigmoid' }, -95, { dense: 0 }],
  ['p^2 underflows, t = 0', { activation: 'sigmoid' }, -80, { dense: 0 }],
  ['a denominator of 1e-40', { activation: 'none', denominator: 'linear' }, 1e-42, { dense: 0 }],
  ['p = 0, labels of class 1', { activation: 'none' }, 0, { labels: 1 }],
];

const rules = ['formula', 'skip', 'perfect', 'worst'] as const;

describe.each(inputs)('%s', (_, given, prediction, { labels, dense }) => {
  test.each(named(cells))('%s', (_name, cell) => {
    for (const dtype of ['float32', 'float64'] as const satisfies FloatDType[])
      for (const absent of rules)
        for (const batch of [false, true])
          for (const reduction of ['mean', 'sum'] as const) {
            if (!inThisRun()) continue;
            if (given.denominator === 'linear' && cell.variant.denominator === 'squared') continue;
            const activations = activationsOf(cell);
            const activation = given.activation ?? (activations.at(-1) as 'softmax');
            if (!activations.includes(activation)) continue;
            if (cell.key === 'wasserstein' && absent !== 'formula') continue;
            const { average = 'macro' } = cell.variant;
            const sums = cell.key === 'generalized' || average !== 'macro';
            if (sums && (absent === 'perfect' || absent === 'worst')) continue;
            const { defaults = {} } = entryOf(cell.key);
            const options: ReferenceOptions = {
              ...cell.variant,
              ...given,
              ...unsmoothed,
              ...(cell.key !== 'wasserstein' && { absent }),
              batch,
              reduction,
              activation,
            };
            if (cell.key === 'wasserstein' && options.denominator) continue;
            const x = full([N, C, S], prediction, dtype);
            const y =
              labels === undefined
                ? full([N, C, S], dense as number, 'float32')
                : full([N, S], labels, 'uint8');
            const problem: Problem = {
              loss: entryOf(cell.key).loss,
              N,
              C,
              S,
              predictions: numbers(x),
              ...(labels === undefined ? { dense: numbers(y) } : { labels: numbers(y) }),
              options: { ...defaults, ...options },
            };
            const solution = reference(problem);
            expect(solution.value[0]).not.toBeNaN();
            expect(solution.gradient.some(Number.isNaN)).toBe(false);
            const loss = makeLoss(cell.key, options);
            const { grad, ...rest } = loss.valueAndGrad(x, y);
            expectSolution(rest, solution, dtype);
            const near = gradTolerance(dtype, solution.gradient);
            // Below a float's least number there is 0.
            expectClose('grad', numbers(grad), solution.gradient, (e) => near(e) + 1e-30);
          }
  });
});

describe('worked out by hand', () => {
  const x = full([1, 2, 4], 0.5);
  const ignored = full([1, 4], 9, 'uint8');
  const nothing = { smoothDenominator: 0, ignoreIndex: 9 };

  test.each([
    ['DiceLoss', new DiceLoss(nothing), 1],
    ['smoothed above only', new DiceLoss({ ...nothing, smoothNumerator: 1 }), 1],
    ['JaccardLoss', new JaccardLoss(nothing), 1],
    ['focal Tversky', new TverskyLoss({ ...nothing, gamma: 2 }), 1],
    ['log', new DiceLoss({ ...nothing, transform: 'log', absent: 'formula' }), Math.log(1e12)],
    ['log-cosh', new DiceLoss({ ...nothing, transform: 'log-cosh' }), Math.log(Math.cosh(1))],
    ['perfect', new DiceLoss({ ...nothing, absent: 'perfect' }), 0],
    ['worst', new DiceLoss({ ...nothing, absent: 'worst' }), 1],
    ['skip', new DiceLoss({ ...nothing, absent: 'skip' }), 0],
    ['DiceCELoss', new DiceCELoss(nothing), 1],
  ])('%s', (_, loss, expected) => {
    const { value, grad } = loss.valueAndGrad(x, ignored);
    expect(value.itemSync()).toBeCloseTo(expected, 14);
    expect([...numbers(grad)]).toEqual(new Array(8).fill(0));
  });

  test('a class that is there but of which the formula sees nothing: all of it is missed', () => {
    const loss = new TverskyLoss({ alpha: 1, beta: 0, smoothDenominator: 0 });
    const { value, grad } = loss.valueAndGrad(full([4], 0), full([4], 1, 'uint8'));
    expect(value.itemSync()).toBe(1);
    expect([...numbers(grad)]).toEqual([0, 0, 0, 0]);
  });

  test('NaN is not nothing', () => {
    const { value } = new DiceLoss({ smoothDenominator: 0 }).value(
      tensor([Number.NaN, 0], [2], 'float32'),
      full([2], 0, 'uint8'),
    );
    expect(value.itemSync()).toBeNaN();
  });

  test('the gradient of a soft target is 0 too', () => {
    const loss = new DiceLoss({ smoothDenominator: 0 });
    const zeros = full([4], 0);
    const statistics = loss.statistics(zeros, zeros);
    expect([...numbers(loss.targetGradient(zeros, zeros, statistics))]).toEqual([0, 0, 0, 0]);
  });

  test('statistics of nothing, given to fromStatistics', () => {
    const loss = new DiceLoss({ smoothDenominator: 0 });
    const empty = loss.statistics(Tensor.from(new Float32Array(4), [4]), full([4], 0, 'uint8'));
    expect(loss.fromStatistics(empty).value.itemSync()).toBe(1);
  });
});
