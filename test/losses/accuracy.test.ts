// float32 at sizes where naive sums go wrong: 2^24 voxels in a class. Above 2^24 a float counter of ones stands still, and long
// before that equal terms, whose roundings all point the same way, drift.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss } from '../../lib/index.js';
import { expectClose } from '../support/compare.js';
import { allTests, everyNth, inThisRun } from '../support/in-this-run.js';
import { Random } from '../support/random.js';
import { valueTolerance } from '../support/tolerance.js';

const S = 2 ** 24;
const { abs, exp } = Math;
const data = new Float32Array(S);
const mask = new Uint8Array(S);
const grad = { data: new Float32Array(S), shape: [1, 1, S] };
const predictions = { data, shape: [1, 1, S] };
const target = { data: mask, shape: [1, S] };

const foregrounds = {
  few: [0, 12_345_678, S - 1],
  half: Array.from({ length: S / 2 }, (_, i) => 2 * i),
};

function setMask(foreground: readonly number[]): void {
  mask.fill(0);
  for (const s of foreground) mask[s] = 1;
}

// With p the same everywhere the sums are products, and the gradient has one value inside and one outside.
const constant = (['few', 'half'] as const).flatMap((name) =>
  [0.1, 1 / 3, 0.9, 1, 1e-3].map((probability) => ({ name, probability })),
);
test.each(constant.filter(inThisRun))(
  'constant probabilities, $name foreground voxels: $probability',
  ({ name, probability }) => {
    const count = foregrounds[name].length;
    const p = Math.fround(probability);
    data.fill(p);
    setMask(foregrounds[name]);
    const numerator = 2 * p * count;
    const D = p * p * S + count + 1e-7;
    const { value } = new DiceLoss().valueAndGrad(predictions, target, { out: { grad } });
    expectClose('value', [value.itemSync()], [1 - numerator / D], valueTolerance('float32'));

    const outside = (2 * p * numerator) / D ** 2;
    const inside = outside - 2 / D;
    const allowed = 1e-5 * Math.max(abs(inside), abs(outside));
    let worst = 0;
    for (let s = 0; s < S; s++) {
      const error = abs((grad.data[s] as number) - (mask[s] ? inside : outside));
      if (!(error <= worst)) worst = error;
    }
    expect(worst).toBeLessThanOrEqual(allowed);
  },
);

const some = everyNth(3);
// Two classes whose logits are the same everywhere: p of class 1 is 1 / (1 + e^-2).
describe.each(['channels-first', 'channels-last'] as const)(
  'softmax of constant logits, %s',
  (layout) => {
    const first = layout === 'channels-first';
    const at = (c: number, s: number) => (first ? c * S + s : 2 * s + c);
    const logits = new Float32Array(2 * S);
    const out = { data: new Float32Array(2 * S), shape: first ? [1, 2, S] : [1, S, 2] };
    for (let s = 0; s < S; s++) logits[at(1, s)] = 2;
    const p1 = 1 / (1 + Math.exp(-2));
    const loss = new DiceLoss({ activation: 'softmax', layout });

    test.each((['few', 'half'] as const).filter(some))('%s foreground voxels', (name) => {
      const count = foregrounds[name].length;
      setMask(foregrounds[name]);
      const { value } = loss.valueAndGrad({ data: logits, shape: out.shape }, target, {
        out: { grad: out },
      });
      const classes = [
        { p: 1 - p1, count: S - count },
        { p: p1, count },
      ].map((c) => ({ ...c, numerator: 2 * c.p * c.count, D: c.p * c.p * S + c.count + 1e-7 }));
      const losses = classes.map(({ numerator, D }) => 1 - numerator / D) as [number, number];
      expectClose(
        'value',
        [value.itemSync()],
        [(losses[0] + losses[1]) / 2],
        valueTolerance('float32'),
      );

      // dL/dz1 = p0 p1 (dp1 - dp0) = -dL/dz0, for a voxel of each label.
      const dz1 = [0, 1].map((label) => {
        const [dp0, dp1] = classes.map(
          ({ p, numerator, D }, c) =>
            ((label === c ? -2 / D : 0) + (2 * p * numerator) / D ** 2) / 2,
        ) as [number, number];
        return p1 * (1 - p1) * (dp1 - dp0);
      }) as [number, number];
      let worst = 0;
      for (let s = 0; s < S; s++) {
        const expected = mask[s] ? dz1[1] : dz1[0];
        const e1 = abs((out.data[at(1, s)] as number) - expected);
        const e0 = abs((out.data[at(0, s)] as number) + expected);
        if (!(e1 <= worst)) worst = e1;
        if (!(e0 <= worst)) worst = e0;
      }
      expect(worst).toBeLessThanOrEqual(1e-5 * Math.max(abs(dz1[0]), abs(dz1[1])));
    });
  },
);

test('the sums themselves, linear', () => {
  const p = Math.fround(0.1);
  data.fill(p);
  setMask(foregrounds.half);
  const { data: sums } = new DiceLoss({ denominator: 'linear' }).statistics(predictions, target);
  expectClose('statistics', sums.subarray(0, 3), [p * (S / 2), p * S, S / 2], (x) => 1e-7 * x);
});

test('random logits, a few foreground voxels', () => {
  const random = new Random(1);
  const S = allTests ? data.length : 2 ** 21;
  const few = [0, Math.floor(0.7 * S), S - 1];
  for (let s = 0; s < S; s++) data[s] = 4 * random.uniform() - 6;
  setMask(few);
  for (const s of few) data[s] = 2;
  const loss = new DiceLoss({ activation: 'sigmoid' });
  const { value } = loss.valueAndGrad(
    { data: data.subarray(0, S), shape: [1, 1, S] },
    { data: mask.subarray(0, S), shape: [1, S] },
    { out: { grad: { data: grad.data.subarray(0, S), shape: [1, 1, S] } } },
  );

  // The formula once more, in one loop: test/reference/reference.ts would take twenty seconds.
  const sigmoid = (s: number) => 1 / (1 + exp(-(data[s] as number)));
  let [I, P] = [0, 0];
  for (let s = 0; s < S; s++) {
    const p = sigmoid(s);
    P += p * p;
    if (mask[s]) I += p;
  }
  const D = P + few.length + 1e-7;
  expectClose('value', [value.itemSync()], [1 - (2 * I) / D], valueTolerance('float32'));

  let [largest, worst] = [0, 0];
  for (let s = 0; s < S; s++) {
    const p = sigmoid(s);
    const expected = ((-2 * (mask[s] as number)) / D + (4 * I * p) / D ** 2) * p * (1 - p);
    const error = abs((grad.data[s] as number) - expected);
    if (!(error <= worst)) worst = error;
    if (abs(expected) > largest) largest = abs(expected);
  }
  expect(worst).toBeLessThanOrEqual(1e-5 * largest);
});
