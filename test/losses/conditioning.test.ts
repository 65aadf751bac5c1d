// Where float32 easily loses digits: many small terms beside a large one, and predictions that match.
import { expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, Tensor } from '../../lib/index.js';
import { expectClose } from '../support/compare.js';
import { Random } from '../support/random.js';
import { gradTolerance } from '../support/tolerance.js';

test.each([19, 150, 1000])('softmax over %i classes: the float32 value is that of float64', (C) => {
  const S = 257;
  const random = new Random(C);
  const logits = new Float32Array(C * S);
  const labels = new Uint16Array(S);
  for (let s = 0; s < S; s++) labels[s] = random.integer(C);
  for (let c = 0; c < C; c++) {
    for (let s = 0; s < S; s++) {
      // Right by 17 but for three voxels in ten, which are as sure and wrong.
      const sure = s % 10 < 3 ? (labels[s] as number) === (c + 1) % C : labels[s] === c;
      logits[c * S + s] = (sure ? 17 : 0) + 0.1 * random.uniform();
    }
  }
  const target = { data: Int32Array.from(labels), shape: [1, S] };
  for (const denominator of ['squared', 'linear'] as const) {
    const loss = new DiceLoss({ activation: 'softmax', denominator });
    const float = loss.value({ data: logits, shape: [1, C, S] }, target);
    const double = loss.value({ data: Float64Array.from(logits), shape: [1, C, S] }, target);
    const expected = double.value.itemSync();
    expect(Math.abs(float.value.itemSync() - expected)).toBeLessThan(
      1e-6 * Math.max(expected, 0.1),
    );
    double.perClass.data.forEach((e, c) => {
      const tolerance = 2e-6 * Math.max(Number(e), 0.1);
      expect(Math.abs(Number(float.perClass.data[c]) - Number(e))).toBeLessThan(tolerance);
    });
  }
});

test('predictions that are exactly the target: the float32 gradient keeps its digits', () => {
  for (const S of [10, 1000, 100_000]) {
    const mask = new Float32Array(S);
    for (let s = 0; s < S; s += 3) mask[s] = 1;
    const loss = new DiceLoss();
    const target = Tensor.from(Uint8Array.from(mask), [S]);
    const float = loss.valueAndGrad(Tensor.from(mask, [S]), target).grad.data;
    const double = loss.valueAndGrad(Tensor.from(Float64Array.from(mask), [S]), target).grad
      .data as Float64Array;
    expect(double.some((g) => g !== 0)).toBe(true);
    expectClose('grad', float as Float32Array, double, gradTolerance('float32', double));
  }
});

test.each([3, 5, 7])(
  'a sigmoid that is right by %i everywhere: the float32 gradient keeps its digits',
  (margin) => {
    const S = 1000;
    const logits = new Float32Array(S);
    const mask = new Uint8Array(S);
    for (let s = 0; s < S; s++) {
      mask[s] = s % 3 === 0 ? 1 : 0;
      logits[s] = (mask[s] ? margin : -margin) + (s % 7) / 16;
    }
    const loss = new DiceLoss({ activation: 'sigmoid' });
    const target = Tensor.from(mask, [S]);
    const float = loss.valueAndGrad(Tensor.from(logits, [S]), target).grad.data;
    const double = loss.valueAndGrad(Tensor.from(Float64Array.from(logits), [S]), target).grad
      .data as Float64Array;
    expectClose('grad', float as Float32Array, double, gradTolerance('float32', double));
  },
);

test.each(['product', 'minimum'] as const)(
  '%s: I keeps its digits beside far larger P and T',
  (overlap) => {
    const S = 10_007;
    const p = new Float32Array(S);
    const t = new Float32Array(S);
    let expected = 0;
    for (let s = 0; s < S; s++) {
      p[s] = s % 2 ? 0.5 : 1e-6 * (1 + (s % 3));
      t[s] = s % 2 ? 0 : 0.75;
      const [ps, ts] = [p[s] as number, t[s] as number];
      expected += overlap === 'product' ? ps * ts : Math.min(ps, ts);
    }
    const loss = new DiceLoss({ overlap, denominator: 'linear' });
    const [I] = loss.statistics(Tensor.from(p, [S]), Tensor.from(t, [S])).data;
    expect(Math.abs((I as number) / expected - 1)).toBeLessThan(1e-6);
  },
);

test.each([
  ['float32', Float32Array, 1e-6],
  ['float64', Float64Array, 1e-13],
] as const)(
  'a sigmoid that is right: the %s cross-entropy keeps its digits',
  (_, Floats, tolerance) => {
    const S = 10_007; // many steps, whose logarithms are taken together
    const mask = Uint8Array.from({ length: S }, (_, s) => (s % 3 === 0 ? 1 : 0));
    const loss = new DiceCELoss({ activation: 'sigmoid', crossEntropy: { labelSmoothing: 0.1 } });
    for (const margin of [0, 2, 5, 10, 17, 25]) {
      for (const spread of [0, 1 / 16]) {
        const logits = new Floats(S);
        for (let s = 0; s < S; s++) logits[s] = (mask[s] ? 1 : -1) * (margin + (s % 7) * spread);
        let [expectedE, expectedU] = [0, 0];
        for (let i = 0; i < 7; i++) {
          const voxels = Math.floor((S + 6 - i) / 7); // those of s % 7 = i
          const z = margin + i * spread;
          const logarithm = Math.log1p(Math.exp(-z));
          expectedE += voxels * logarithm;
          expectedU += voxels * (logarithm + z / 2);
        }
        const sums = loss.statistics(Tensor.from(logits, [S]), Tensor.from(mask, [S])).data;
        const [E, U] = [sums[5], sums[6]] as [number, number];
        expect(Math.abs(E / expectedE - 1)).toBeLessThan(tolerance);
        expect(Math.abs(U / expectedU - 1)).toBeLessThan(tolerance);
      }
    }
  },
);
