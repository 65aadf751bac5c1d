// Parts of a loss: wrong buffers for them, upstream of compound losses, statistics that mean something else.
import { describe, expect, test } from '@jest/globals';
import {
  CrossEntropyLoss,
  DiceCELoss,
  DiceLoss,
  GeneralizedWassersteinDiceLoss,
  type LossOptions,
} from '../../lib/index.js';
import { full, tensor } from '../support/tensors.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the point
type Any = any;

const Wasserstein = GeneralizedWassersteinDiceLoss;

describe('buffers for the parts', () => {
  const x = full([2, 3, 5], 0, 'float64');
  const y = full([2, 5], 1, 'uint8');
  const parts = tensor([7, 7, 7], [3], 'float64');

  test('are filled, and the same object returned', () => {
    const out = { value: full([], 7, 'float64'), perClass: full([2, 3], 7, 'float64'), parts };
    const loss = new DiceCELoss();
    const outcome = loss.value(x, y, { out });
    expect(outcome.parts?.data).toBe(parts.data);
    expect(parts.data).not.toContain(7);
    const all = { ...outcome, grad: full([2, 3, 5], 0, 'float64') } as Any;
    const again = loss.valueAndGrad(x, y, { out: all });
    expect(again.parts).toBe(outcome.parts);
  });

  test('of another shape or dtype, or where there are none', () => {
    const refused: [Any, Any, string][] = [
      [new DiceCELoss(), full([2, 3], 0, 'float64'), 'shape [3] for out.parts'],
      [new DiceCELoss({ reduction: 'none' }), parts, 'shape [2, 3] for out.parts'],
      [new DiceCELoss(), full([3], 0), 'dtype float64 for out.parts but received float32'],
      [
        new CrossEntropyLoss({ activation: 'sigmoid' }),
        parts,
        'out.parts needs a compound loss (crossEntropy or focal)',
      ],
      [new DiceLoss(), parts, 'out.parts needs a compound loss (crossEntropy or focal)'],
    ];
    for (const [loss, wrong, message] of refused) {
      expect(() => loss.value(x, y, { out: { parts: wrong } })).toThrow(message);
    }
  });

  test('a plan keeps them when tensors are bound', () => {
    const plan = new DiceCELoss().plan(x, y);
    const kept = plan.parts;
    plan.bind(x, full([2, 5], 2, 'uint8')).execute();
    expect(plan.parts).toBe(kept);
    expect(kept?.data[1]).toBeCloseTo(Math.log(3), 14);
  });
});

test("upstream of a compound loss with reduction 'none' has one number per sample", () => {
  const loss = new DiceCELoss({ reduction: 'none' });
  const [x, y] = [full([2, 3, 5], 0, 'float64'), full([2, 5], 1, 'uint8')];
  expect(() => loss.valueAndGrad(x, y)).toThrow(
    "reduction 'none' needs upstream, dL/dvalue of shape [2]",
  );
  expect(() => loss.valueAndGrad(x, y, { upstream: full([2, 3], 1) })).toThrow(
    'Expected shape [2] for upstream but received [2, 3]',
  );
  const both = loss.valueAndGrad(x, y, { upstream: full([2], 1) }).grad;
  const first = loss.valueAndGrad(x, y, { upstream: tensor([1, 0], [2]) }).grad;
  expect(first.data.slice(0, 15)).toEqual(both.data.slice(0, 15));
  expect([...(first.data as Float64Array).slice(15)]).toEqual(new Array(15).fill(0));
});

test('statistics that mean something else do not mix', () => {
  const [x, y] = [full([2, 3, 5], 0), full([2, 5], 1, 'uint8')];
  const of = (options: LossOptions) =>
    new DiceLoss({ activation: 'softmax', ...options }).statistics(x, y);
  const near = [
    [0, 1, 1],
    [1, 0, 0.5],
    [1, 0.5, 0],
  ];
  const far = [
    [0, 1, 1],
    [1, 0, 0.75],
    [1, 0.75, 0],
  ];
  const wasserstein = (distances: number[][]) =>
    new Wasserstein({ distances, activation: 'softmax' }).statistics(x, y);
  const all = [
    of({}),
    of({ crossEntropy: {} }),
    of({ crossEntropy: { labelSmoothing: 0.1 } }),
    of({ focal: {} }),
    of({ focal: { gamma: 1 } }),
    of({ focal: {}, crossEntropy: {} }),
    of({ denominator: 'linear' }),
    of({ overlap: 'minimum' }),
    wasserstein(near),
    wasserstein(far),
  ];
  for (const [i, a] of all.entries()) {
    for (const b of all.slice(i + 1)) expect(() => a.add(b)).toThrow(RangeError);
  }
  expect(wasserstein(near).add(wasserstein(near)).samples).toBe(2);
  expect(() => new DiceCELoss().fromStatistics(of({}))).toThrow(
    'Expected statistics of (per sample, squared, activation softmax, cross-entropy) for statistics but received those of (per sample, squared, activation softmax)',
  );
});
