// dL/dtarget against the reference: every loss and option, activations, dtypes of predictions and target, layouts, reductions.
import { describe, expect, test } from '@jest/globals';
import { GeneralizedDiceLoss, Statistics } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { callOptions, makeCase } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { everyNth } from '../support/in-this-run.js';
import { activationsOf, cells, makeLoss } from '../support/losses.js';
import { type FloatDType, full, numbers, tensor } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const dtypes = ['float64', 'float32', 'float16', 'bfloat16'] as const;
const reductions = ['mean', 'none', 'sum'] as const;
const some = everyNth(19);

/** The coarser of the two says how exact the sums are. */
const coarser = (a: FloatDType, b: FloatDType): FloatDType =>
  a === 'float64' && b === 'float64' ? 'float64' : 'float32';

describe.each(cells)('$key $variant', (cell) => {
  const { key, variant } = cell;
  test.each(activationsOf(cell))('%s', (activation) => {
    let seed = -1;
    for (const dtype of dtypes)
      for (const targetDtype of dtypes)
        for (const layout of ['channels-first', 'channels-last'] as const) {
          seed++;
          if (!some()) continue;
          const reduction = reductions[seed % 3] as 'mean';
          const c = makeCase({
            loss: key,
            dtype,
            target: 'dense',
            targetDtype,
            spatial: [seed % 2 ? 37 : 11],
            ...(seed % 4 < 2 && { weight: 'float32', weightOfClasses: seed % 4 === 1 }),
            ...(seed % 7 === 3 && { missing: seed % 2 }),
            seed,
            options: {
              ...variant,
              activation,
              layout,
              reduction,
              ...(seed % 5 === 0 && { batch: true }),
            },
          });
          const { loss, predictions, target, upstream } = c;
          const statistics = loss.statistics(predictions, target, callOptions(c));
          const gradScale = targetDtype === 'float16' ? 64 : 1;
          const options = { ...callOptions(c), ...(upstream && { upstream }), gradScale };
          const grad = loss.targetGradient(predictions, target, statistics, options);
          const expected = reference({ ...c.problem, gradScale }).targetGradient;
          expect([grad.dtype, grad.shape]).toEqual([targetDtype, target.shape]);
          const tolerance = gradTolerance(coarser(dtype, targetDtype), expected, targetDtype);
          expectClose('targetGrad', numbers(grad), expected, tolerance);
        }
  });
});

test.each(['product', 'minimum'] as const)(
  'generalized Dice, %s: two classes of one volume share the slope of the weight that an absent one has of them',
  (overlap) => {
    const loss = new GeneralizedDiceLoss({ overlap, smoothDenominator: 0 });
    const x = tensor([0.5, 0.7, 0.2, 0.4, 0.6, -1 / 128], [1, 3, 2], 'float64');
    const target = (grown: number) =>
      tensor([1 + grown, 0.5, 0.5, 1 + grown, 0, 0], [1, 3, 2], 'float64');
    const value = (grown: number) => loss.value(x, target(grown)).value.itemSync();
    const grad = numbers(loss.targetGradient(x, target(0), loss.statistics(x, target(0))));
    const h = 1e-5;
    expect((grad[0] as number) + (grad[3] as number)).toBeCloseTo(
      (value(h) - value(-h)) / (2 * h),
      9,
    );
  },
);

test('generalized Dice: the weight of less than one voxel does not change with it', () => {
  const loss = new GeneralizedDiceLoss({ smoothDenominator: 0 });
  const x = tensor([0.5, 0.75, 0.5, 0.25], [1, 2, 2], 'float64');
  const y = tensor([1, 0.5, 0, 0.5], [1, 2, 2], 'float64'); // V = 1.5 and .5: w = 4/9 and 1
  const grad = numbers(loss.targetGradient(x, y, loss.statistics(x, y)));
  // A = 4/9*.875 + .125, B = 4/9*2.75 + 1.25; dL/dt of class 1 = -2p/B + 2A/B^2
  const [A, B] = [3.5 / 9 + 0.125, 11 / 9 + 1.25];
  expect(grad[2]).toBeCloseTo(-1 / B + (2 * A) / B ** 2, 14);
  expect(grad[3]).toBeCloseTo(-0.5 / B + (2 * A) / B ** 2, 14);
});

describe('a call', () => {
  const loss = makeLoss('dice', { activation: 'softmax' });
  const whole = makeCase({ dtype: 'float64', target: 'dense', targetDtype: 'float64' });
  const { predictions: x, target: y } = whole;
  const statistics = loss.statistics(x, y);
  const grad = loss.targetGradient(x, y, statistics);

  test('into a buffer, added to it, and off the event loop', async () => {
    const targetGrad = full(y.shape, 1, 'float64');
    const out = { targetGrad };
    expect(loss.targetGradient(x, y, statistics, { out }).data).toBe(targetGrad.data);
    expect(targetGrad.data).toEqual(grad.data);
    loss.targetGradient(x, y, statistics, { out, accumulate: true, gradScale: 2 });
    expectClose(
      'sum',
      numbers(targetGrad),
      numbers(grad).map((g) => 3 * g),
      1e-15,
    );
    expect((await loss.targetGradientAsync(x, y, statistics)).data).toEqual(grad.data);
    await loss.targetGradientAsync(x, y, statistics, { out });
    expect(targetGrad.data).toEqual(grad.data);
  });

  test('of a shard: sampleOffset', () => {
    const more = Statistics.concat([statistics, statistics]);
    const options = { sampleOffset: 2, gradScale: 2 }; // twice the samples, half the gradient
    const part = loss.targetGradient(x, y, more, options);
    expectClose('grad', numbers(part), numbers(grad), 1e-15);
  });

  test('a voxel of weight 0 has slope 0, even if it is NaN', () => {
    const data = Float64Array.from(numbers(x));
    data[3] = NaN;
    const weight = full([2, 5, 7], 1);
    weight.data[3] = 0 as never;
    const nan = tensor(data, x.shape, 'float64');
    const sums = loss.statistics(nan, y, { weight });
    const slopes = numbers(loss.targetGradient(nan, y, sums, { weight }));
    expect(slopes[3]).toBe(0);
    expect(slopes.every(Number.isFinite)).toBe(true);
  });

  test('of a target that has none', () => {
    const labels = full([2, 5, 7], 1, 'uint8');
    const own = loss.statistics(x, labels);
    expect(() => loss.targetGradient(x, labels, own)).toThrow(
      'Expected a dense target of floats for target, as its gradient is wanted, but received uint8 of shape [2, 5, 7]',
    );
    const bytes = full(y.shape, 1, 'uint8');
    expect(() => loss.targetGradient(x, bytes, statistics)).toThrow(TypeError);
    expect(() => loss.targetGradientAsync(x, bytes, statistics)).toThrow(TypeError);
  });

  test('buffers and options that do not fit', () => {
    const wrong = (options: object, message: string) =>
      expect(() => loss.targetGradient(x, y, statistics, options)).toThrow(message);
    wrong(
      { out: { targetGrad: full(y.shape, 0) } },
      'dtype float64 for out.targetGrad but received float32',
    );
    wrong(
      { out: { targetGrad: full([3], 0, 'float64') } },
      'Expected shape [2, 3, 5, 7] for out.targetGrad',
    );
    wrong(
      { out: { grad: full(y.shape, 0, 'float64') } },
      "Unknown key 'grad' of out: did you mean targetGrad?",
    );
    wrong({ out: { targetGrad: y } }, 'Expected memory of its own for out.targetGrad');
    wrong({ accumulate: true }, 'accumulate: true needs out.targetGrad');
    wrong({ gradDtype: 'float32' }, "Unknown option 'gradDtype': ");
  });
});
