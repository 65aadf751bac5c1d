// What must hold for any input, whatever the numbers: tried on random ones.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DiceLoss, JaccardLoss, type LossOptions } from '../../lib/index.js';
import { allTests } from '../support/in-this-run.js';
import { tensor } from '../support/tensors.js';

const { abs } = Math;
const parameters = { seed: 20, numRuns: allTests ? 100 : 25 };

/** A problem in float64, channels first. */
interface Sample {
  N: number;
  C: number;
  S: number;
  z: number[]; // logits, [N, C, S]
  p: number[]; // probabilities, [N, C, S]
  t: number[]; // soft target, [N, C, S]
  y: number[]; // labels, [N, S]
}

const sample = (fewest = 1, most = 6): fc.Arbitrary<Sample> =>
  fc
    .record({
      N: fc.integer({ min: 1, max: 3 }),
      C: fc.integer({ min: fewest, max: most }),
      S: fc.integer({ min: 1, max: 70 }),
    })
    .chain(({ N, C, S }) => {
      const list = (of: fc.Arbitrary<number>, length: number) =>
        fc.array(of, { minLength: length, maxLength: length });
      const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });
      return fc.record({
        N: fc.constant(N),
        C: fc.constant(C),
        S: fc.constant(S),
        z: list(number(-30, 30), N * C * S),
        p: list(number(0, 1), N * C * S),
        t: list(number(0, 1), N * C * S),
        y: list(fc.integer({ min: 0, max: C === 1 ? 1 : C - 1 }), N * S),
      });
    });

const options = fc.record<LossOptions>({
  denominator: fc.constantFrom('squared', 'linear'),
  batch: fc.boolean(),
});

const dense = ({ N, C, S }: Sample, values: ArrayLike<number>) =>
  tensor(values, [N, C, S], 'float64');
const labels = ({ N, S }: Sample, values: ArrayLike<number>) => tensor(values, [N, S], 'uint8');
const both = (given: LossOptions) => [new DiceLoss(given), new JaccardLoss(given)];

function expectNear(
  actual: ArrayLike<unknown>,
  expected: ArrayLike<unknown>,
  tolerance: number,
): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (!(abs(a - e) <= tolerance)) throw new Error(`[${i}]: ${a} instead of ${e}`);
  }
}

const check = <T extends unknown[]>(property: fc.IProperty<T>) => fc.assert(property, parameters);

test('prediction and target may be swapped', () => {
  check(
    fc.property(sample(), options, (x, given) => {
      for (const loss of both(given)) {
        const [p, t] = [dense(x, x.p), dense(x, x.t)];
        expectNear(loss.value(p, t).perClass.data, loss.value(t, p).perClass.data, 1e-12);
      }
    }),
  );
});

test('losses are from 0 to 1', () => {
  check(
    fc.property(sample(2), options, (x, given) => {
      for (const loss of both({ ...given, activation: 'softmax' }))
        for (const value of loss.value(dense(x, x.z), labels(x, x.y)).perClass.data) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
        }
      // 2pt <= p^2 + t^2 for any numbers; only rounding may pass it.
      for (const value of new DiceLoss({ ...given, denominator: 'squared' }).value(
        dense(x, x.p),
        dense(x, x.t),
      ).perClass.data) {
        expect(value).toBeGreaterThanOrEqual(-1e-15);
        expect(value).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test('a one-hot target is its labels', () => {
  check(
    fc.property(sample(2), options, (x, given) => {
      const { C, S } = x;
      const oneHot = x.p.map((_, i) =>
        x.y[Math.floor(i / (C * S)) * S + (i % S)] === Math.floor(i / S) % C ? 1 : 0,
      );
      for (const loss of both({ ...given, activation: 'softmax' })) {
        const a = loss.valueAndGrad(dense(x, x.z), labels(x, x.y));
        const b = loss.valueAndGrad(dense(x, x.z), dense(x, oneHot));
        expectNear(a.perClass.data, b.perClass.data, 1e-13);
        expectNear(a.grad.data, b.grad.data, 1e-13);
      }
    }),
  );
});

test('permuting the voxels permutes the gradient and keeps the value', () => {
  check(
    fc.property(sample(2), options, fc.nat(), (x, given, seed) => {
      const { S } = x;
      const order = permutation(S, seed);
      const move = (values: number[]) =>
        values.map((_, i) => values[i - (i % S) + (order[i % S] as number)] as number);
      for (const loss of both({ ...given, activation: 'softmax' })) {
        const a = loss.valueAndGrad(dense(x, x.z), labels(x, x.y));
        const b = loss.valueAndGrad(dense(x, move(x.z)), labels(x, move(x.y)));
        expectNear(b.perClass.data, a.perClass.data, 1e-12);
        expectNear(b.grad.data, move([...(a.grad.data as Float64Array)]), 1e-12);
      }
    }),
  );
});

test('permuting the classes permutes the losses and the gradient', () => {
  check(
    fc.property(sample(2), options, fc.nat(), (x, given, seed) => {
      const { C, S } = x;
      const order = permutation(C, seed);
      const rank = order.map((_, c) => order.indexOf(c));
      const from = (i: number) =>
        (order[Math.floor(i / S) % C] as number) * S + (i % S) + Math.floor(i / (C * S)) * C * S;
      const move = (values: ArrayLike<number>) =>
        Array.from(values, (_, i) => values[from(i)] as number);
      for (const loss of both({ ...given, activation: 'softmax' })) {
        const a = loss.valueAndGrad(dense(x, x.z), labels(x, x.y));
        const b = loss.valueAndGrad(
          dense(x, move(x.z)),
          labels(
            x,
            x.y.map((c) => rank[c] as number),
          ),
        );
        const losses = a.perClass.data as Float64Array;
        const moved = Array.from(losses, (_, i) => losses[i - (i % C) + (order[i % C] as number)]);
        expectNear(b.perClass.data, moved, 1e-12);
        expectNear(b.grad.data, move(a.grad.data as Float64Array), 1e-12);
        expect(abs(b.value.itemSync() - a.value.itemSync())).toBeLessThan(1e-12);
      }
    }),
  );
});

test('permuting the samples permutes the losses', () => {
  check(
    fc.property(sample(2), (x) => {
      const { N, C, S } = x;
      const reverse = (values: number[], length: number) =>
        values.map(
          (_, i) => values[(N - 1 - Math.floor(i / length)) * length + (i % length)] as number,
        );
      const loss = new DiceLoss({ activation: 'softmax' });
      const a = loss.valueAndGrad(dense(x, x.z), labels(x, x.y));
      const b = loss.valueAndGrad(dense(x, reverse(x.z, C * S)), labels(x, reverse(x.y, S)));
      expectNear(b.perClass.data, reverse([...(a.perClass.data as Float64Array)], C), 0);
      expectNear(b.grad.data, reverse([...(a.grad.data as Float64Array)], C * S), 0);
    }),
  );
});

test('statistics of two halves add up to those of the whole', () => {
  check(
    fc.property(
      sample(2),
      options,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (x, given, where) => {
        fc.pre(x.S > 1);
        const { N, C, S } = x;
        const cut = 1 + Math.floor(where * (S - 1.001));
        const part = (from: number, to: number, rows: number, values: number[]) =>
          Array.from({ length: rows }, (_, r) => values.slice(r * S + from, r * S + to)).flat();
        const loss = new DiceLoss({ ...given, activation: 'softmax' });
        const of = (from: number, to: number) =>
          loss.statistics(
            tensor(part(from, to, N * C, x.z), [N, C, to - from], 'float64'),
            tensor(part(from, to, N, x.y), [N, to - from], 'uint8'),
          );
        const whole = loss.statistics(dense(x, x.z), labels(x, x.y));
        expectNear(of(0, cut).add(of(cut, S)).data, whole.data, 1e-11);
      },
    ),
  );
});

describe('softmax', () => {
  test('a shift of all logits of a voxel changes nothing', () => {
    check(
      fc.property(
        sample(2),
        options,
        fc.double({ min: -100, max: 100, noNaN: true }),
        (x, given, shift) => {
          for (const loss of both({ ...given, activation: 'softmax' })) {
            const a = loss.valueAndGrad(dense(x, x.z), labels(x, x.y));
            const b = loss.valueAndGrad(dense(x, x.z.map((z) => z + shift)), labels(x, x.y)); // biome-ignore format: one call a line
            expectNear(b.perClass.data, a.perClass.data, 1e-12);
            expectNear(b.grad.data, a.grad.data, 1e-12);
          }
        },
      ),
    );
  });

  test('so its gradient sums to 0 over the classes', () => {
    check(
      fc.property(sample(2), options, (x, given) => {
        const { N, C, S } = x;
        for (const loss of both({ ...given, activation: 'softmax' })) {
          const grad = loss.valueAndGrad(dense(x, x.z), labels(x, x.y)).grad.data as Float64Array;
          const largest = grad.reduce((a, b) => Math.max(a, abs(b)), 0);
          const sums = new Float64Array(N * S);
          for (let n = 0; n < N; n++)
            for (let s = 0; s < S; s++) {
              let sum = 0;
              for (let c = 0; c < C; c++) sum += grad[(n * C + c) * S + s] as number;
              sums[n * S + s] = sum;
            }
          expectNear(sums, new Float64Array(N * S), 1e-13 * Math.max(largest, 1));
        }
      }),
    );
  });

  test('of two classes is the sigmoid of their difference', () => {
    check(
      fc.property(sample(1, 1), (x) => {
        const two = new DiceLoss({ activation: 'softmax', reduction: 'none' });
        const one = new DiceLoss({ activation: 'sigmoid' });
        const { N, S } = x;
        const z = Array.from({ length: N }, (_, n) => [
          ...new Array(S).fill(0),
          ...x.z.slice(n * S, n * S + S),
        ]).flat();
        const a = two.value(tensor(z, [N, 2, S], 'float64'), labels(x, x.y)).perClass
          .data as Float64Array;
        const b = one.value(dense(x, x.z), labels(x, x.y)).perClass.data as Float64Array;
        for (let n = 0; n < N; n++)
          expect(abs((a[2 * n + 1] as number) - (b[n] as number))).toBeLessThan(1e-13);
      }),
    );
  });
});

test('Jaccard is D / (2 - D) of Dice, per class', () => {
  check(
    fc.property(sample(2), options, (x, given) => {
      const dice = new DiceLoss(given).value(dense(x, x.p), dense(x, x.t)).perClass
        .data as Float64Array;
      // P + T - I + e with Dice's 2I / (P + T + e): the same e.
      const jaccard = new JaccardLoss(given).value(dense(x, x.p), dense(x, x.t)).perClass
        .data as Float64Array;
      dice.forEach((loss, i) => {
        const D = 1 - loss;
        expect(abs(1 - (jaccard[i] as number) - D / (2 - D))).toBeLessThan(1e-13);
      });
      // And never further apart than 3 - 2 sqrt(2).
      dice.forEach((loss, i) => {
        const difference = (jaccard[i] as number) - loss;
        expect(difference).toBeGreaterThanOrEqual(-1e-13);
        expect(difference).toBeLessThanOrEqual(3 - 2 * Math.SQRT2 + 1e-13);
      });
    }),
  );
});

test('a step against the gradient lowers the loss', () => {
  check(
    fc.property(sample(2), options, (x, given) => {
      const loss = new DiceLoss({ ...given, activation: 'softmax' });
      const { value, grad } = loss.valueAndGrad(dense(x, x.z), labels(x, x.y));
      const g = grad.data as Float64Array;
      const squared = g.reduce((a, b) => a + b * b, 0);
      fc.pre(squared >= 1e-12); // else there is nothing to gain beyond rounding
      const step = 1e-3;
      const after = loss.value(dense(x, x.z.map((z, i) => z - step * (g[i] as number))), labels(x, x.y)); // biome-ignore format: one call a line
      expect(after.value.itemSync()).toBeLessThan(value.itemSync());
    }),
  );
});

/** A permutation of 0 .. length - 1. */
function permutation(length: number, seed: number): number[] {
  const order = Array.from({ length }, (_, i) => i);
  let state = seed;
  for (let i = length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = state % (i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}
