// sampleClassWeight in calls that take statistics: the value and the gradients that a call without them gives, of the same samples
// or of one among those of the statistics.
import { expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, GeneralizedDiceLoss, Statistics } from '../../lib/index.js';
import { expectClose } from '../support/compare.js';
import { Random } from '../support/random.js';
import { full, numbers, sizeOf, type Typed, tensor } from '../support/tensors.js';

const [N, C, S] = [3, 4, 61];
const random = new Random(11);
const x = tensor(
  random.array(N * C * S, () => 2 * random.normal()),
  [N, C, S],
  'float64',
);
const y = tensor(
  random.array(N * S, () => random.integer(C)),
  [N, S],
  'uint8',
);
const sampleClassWeight = tensor([1, 0, 2, 0.5, 0, 0, 1, 0, 3, 1, 1, 0], [N, C], 'float64');
const soft = tensor(
  random.array(N * C * S, () => random.uniform()),
  [N, C, S],
  'float64',
);

test.each(['mean', 'sum', 'none'] as const)('value, gradient and target gradient, %s', (how) => {
  for (const loss of [
    new DiceLoss({ activation: 'softmax', reduction: how, classWeights: [1, 2, 0.5, 1] }),
    new DiceCELoss({ reduction: how, absent: 'skip', focal: {} }),
    new GeneralizedDiceLoss({ activation: 'sigmoid', reduction: how }),
  ])
    for (const target of [y, soft]) {
      const wanted = loss.value(x, target, { sampleClassWeight });
      const upstream = full(wanted.value.shape, 1.5, 'float64');
      const scaled = how === 'none' ? { upstream } : { gradScale: 1.5 };
      const { grad } = loss.valueAndGrad(x, target, { sampleClassWeight, ...scaled });
      const sums = loss.statistics(x, target);
      const given = loss.fromStatistics(sums, { sampleClassWeight });
      expect(given.value.data).toEqual(wanted.value.data);
      expect(given.perClass.data).toEqual(wanted.perClass.data);
      const options = { sampleClassWeight, ...scaled };
      expectClose('grad', numbers(loss.gradient(x, target, sums, options)), numbers(grad), 1e-15);
      if (target === y) continue;
      const slope = (t: Float64Array, i: number, h: number) => {
        const moved = t.slice();
        moved[i] = (moved[i] as number) + h;
        const at = loss.value(x, tensor(moved, [N, C, S], 'float64'), { sampleClassWeight });
        return numbers(at.value).reduce((sum, one) => sum + 1.5 * one, 0);
      };
      const t = numbers(soft);
      const ofTarget = numbers(loss.targetGradient(x, target, sums, options));
      for (const i of [3, C * S + 2, 2 * C * S + 5, 2 * C * S + 2 * S]) {
        const h = 1e-5;
        const expected = (slope(t, i, h) - slope(t, i, -h)) / (2 * h);
        expect(ofTarget[i]).toBeCloseTo(expected, 6);
      }
    }
});

test('of a sample among those of the statistics, and off the event loop', async () => {
  const loss = new DiceCELoss();
  const { grad } = loss.valueAndGrad(x, y, { sampleClassWeight });
  const part = (from: Typed, n: number) => {
    const size = sizeOf(from.shape.slice(1));
    const own = numbers(from).slice(n * size, (n + 1) * size);
    return tensor(own, [1, ...from.shape.slice(1)], from.dtype);
  };
  const sums = Statistics.concat([0, 1, 2].map((n) => loss.statistics(part(x, n), part(y, n))));
  for (const n of [0, 1, 2]) {
    const options = { sampleClassWeight, sampleOffset: n };
    const own = await loss.gradientAsync(part(x, n), part(y, n), sums, options);
    const whole = { ...grad, data: numbers(grad), shape: grad.shape, dtype: 'float64' } as Typed;
    expectClose('grad', numbers(own), numbers(part(whole, n)), 1e-15);
    const wrong = { sampleOffset: n, sampleClassWeight: full([1, C], 1, 'float64') };
    expect(() => loss.gradient(part(x, n), part(y, n), sums, wrong)).toThrow(
      'Expected shape [3, 4] for sampleClassWeight but received [1, 4]',
    );
  }
  expect(() => loss.fromStatistics(sums, { sampleClassWeight: full([N, C], -1) })).toThrow(
    'Expected finite numbers >= 0 for sampleClassWeight but received -1',
  );
});

// The weight of an absent class is that of the heaviest present one, whose target therefore has a part in its derivative.
test('a class that does not count has no part in the weight of an absent one', () => {
  const loss = new GeneralizedDiceLoss({ smoothDenominator: 0 });
  const p = tensor([0.5, 0.25, 0.75, 0.5, 0.5, 0.25], [1, 3, 2], 'float64');
  const t = tensor([1, 0.5, 0.5, 1, 0, 0], [1, 3, 2], 'float64'); // as much of class 1 as of class 0
  const sampleClassWeight = tensor([1, 0, 1], [1, 3]);
  const sums = loss.statistics(p, t);
  const slopes = numbers(loss.targetGradient(p, t, sums, { sampleClassWeight }));
  expect([...slopes.subarray(2, 4)].map(Math.abs)).toEqual([0, 0]);
  const value = (h: number) => {
    const moved = tensor([1, 0.5 + h, 0.5, 1, 0, 0], [1, 3, 2], 'float64');
    return loss.value(p, moved, { sampleClassWeight }).value.itemSync();
  };
  expect(slopes[1]).toBeCloseTo((value(1e-5) - value(-1e-5)) / 2e-5, 8);
});
