// The options of the addon that step 2 reads: a value by hand, and every gradient against central differences.
import { expect, test } from '@jest/globals';
import type { NativeLossOptions } from '../../binding.js';
import { blankArguments } from '../../lib/calls/outputs.js';
import { native } from '../../lib/native/load.js';
import { plainOptions } from '../support/native.js';

const [N, C, S] = [2, 3, 5];
const labels = Uint8Array.from([0, 1, 1, 2, 0, 0, 0, 1, 1, 1]); // sample 1 has no voxel of class 2

function call(
  options: NativeLossOptions,
  z: Float32Array | Float64Array,
  shape = [N, C, S],
  y = labels,
) {
  const type = z instanceof Float64Array ? 1 : 0;
  const args = blankArguments(7);
  [args[1], args[2], args[3]] = shape as [number, number, number];
  args[4] = z;
  args[5] = type;
  args[6] = y;
  args[7] = 4;
  args[8] = true;
  args[14] = new Float64Array(1);
  args[16] = z.slice();
  args[17] = type;
  args[19] = new Float64Array(3);
  new native.Loss(options).run(...args);
  return { value: args[14][0] as number, grad: args[16] as Float64Array, parts: args[19] };
}

const plain = { ...plainOptions, smoothNumerator: 0.1, smoothDenominator: 0.1 };

test('cross-entropy by hand: (ln 2 + ln 4/3) / 2', () => {
  const z = Float64Array.of(0, 0, 0, Math.log(3));
  const options = { ...plain, overlapFactor: 2, crossEntropyFactor: 3 };
  const { value, parts } = call(options, z, [1, 2, 2], Uint8Array.of(0, 1));
  expect(parts[1]).toBeCloseTo((Math.log(2) + Math.log(4 / 3)) / 2, 14);
  expect(value).toBeCloseTo(2 * (parts[0] as number) + 3 * (parts[1] as number), 14);
});

const threeDistances = Float64Array.of(0, 1, 1, 1, 0, 0.5, 1, 0.5, 0);

test('focal by hand: -(1/2)^2 ln(1/2) and -(1/4)^2 ln(3/4), a voxel and class at a time', () => {
  const z = Float64Array.of(0, 0, 0, Math.log(3));
  const options = { ...plain, focalFactor: 1 };
  const { parts } = call(options, z, [1, 2, 2], Uint8Array.of(0, 1));
  expect(parts[2]).toBeCloseTo((Math.log(2) / 4 + Math.log(4 / 3) / 16) / 4, 14);
});

test.each([1, 2, 3, 4, 5])('focal, gamma %j: as its neighbour that is not whole', (focalGamma) => {
  const z = Float64Array.of(0.3, -2, 4, 1, 0, -1, -3, 0.5, 2);
  for (const activation of [1, 2]) {
    const of = (gamma: number) =>
      call(
        { ...plain, activation, focalFactor: 1, focalGamma: gamma },
        z,
        [1, 3, 3],
        Uint8Array.of(0, 1, 2),
      );
    const [whole, beside] = [of(focalGamma), of(focalGamma + 1e-13)];
    expect(whole.parts[2]).toBeCloseTo(beside.parts[2] as number, 12);
    for (let i = 0; i < z.length; i++)
      expect(whole.grad[i]).toBeCloseTo(beside.grad[i] as number, 12);
  }
});

test('Wasserstein by hand: one of two foreground voxels taken for background', () => {
  // W = 0, 0, M[2,0] = 1. A = (1 - 0) + (1 - 1) = 1, r = 2A / (2A + 1) = 2/3.
  const p = Float64Array.of(1, 0, 1, 0, 1, 0, 0, 0, 0);
  const options = { ...plain, kind: 4, overlap: 2, distances: threeDistances, activation: 0 };
  const exact = { ...options, smoothNumerator: 0, smoothDenominator: 0 };
  expect(call(exact, p, [1, 3, 3], Uint8Array.of(0, 1, 2)).value).toBeCloseTo(1 / 3, 14);
});

test.each([0, 0.25, 1, 2, 3, 4, 5])(
  'focal, gamma %j: finite where p is 0 or 1, exact beside it',
  (focalGamma) => {
    for (const activation of [1, 2]) {
      const options = { ...plain, activation, focalFactor: 1, overlapFactor: 0, focalGamma };
      for (const far of [20, 90, 800, Number.POSITIVE_INFINITY]) {
        const z = Float64Array.of(0, -far, -far, 3, -far, 0, 1, 2, -far);
        const single = call(options, Float32Array.from(z), [1, 3, 3], Uint8Array.of(0, 0, 2));
        const { value, grad } = call(options, z, [1, 3, 3], Uint8Array.of(0, 0, 2));
        expect(grad.every(Number.isFinite)).toBe(true);
        // Class 2 of the last voxel has p = 0 and is the target.
        if (far < 800) expect(Math.abs(single.value - value)).toBeLessThan(1e-6 * value);
        const largest = Math.max(...grad.map(Math.abs));
        for (let i = 0; i < z.length; i++) {
          expect(Math.abs((single.grad[i] as number) - (grad[i] as number))).toBeLessThan(
            1e-5 * largest,
          );
        }
      }
    }
  },
);

const cases: [string, Partial<NativeLossOptions>][] = [
  ['Tversky', { kind: 2, alpha: 0.3, beta: 0.7, squared: false }],
  ['focal Tversky', { kind: 2, alpha: 0.3, beta: 0.7, transform: 1, gamma: 4 / 3 }],
  ['generalized Dice, square', { kind: 3 }],
  [
    'generalized Dice, simple, weighted',
    { kind: 3, weighting: 1, classWeights: Float64Array.of(1, 2, 3) },
  ],
  ['generalized Dice without absent classes', { kind: 3, absent: 1, background: false }],
  ['log-Dice', { transform: 2, absent: 1 }],
  ['exponential-logarithmic', { transform: 2, gamma: 0.3 }],
  ['log-cosh', { transform: 3, absent: 2 }],
  ['absent is worst', { absent: 3 }],
  ['Dice + cross-entropy', { crossEntropyFactor: 0.7, overlapFactor: 1.3 }],
  [
    'weighted and smoothed',
    { crossEntropyFactor: 1, labelSmoothing: 0.2, classWeights: Float64Array.of(1, 2, 3) },
  ],
  ['sigmoid', { activation: 1, crossEntropyFactor: 1, labelSmoothing: 0.2, ignoreIndex: 1 }],
  [
    'softmax focal',
    { focalFactor: 0.9, focalGamma: 0.5, crossEntropyFactor: 1, labelSmoothing: 0.1 },
  ],
  ['sigmoid focal', { activation: 1, focalFactor: 0.9, ignoreIndex: 1 }],
  ['weighted focal', { focalFactor: 2, focalGamma: 3, classWeights: Float64Array.of(1, 2, 3) }],
  ['minimum', { overlap: 1, squared: false }],
  ['Wasserstein', { kind: 4, overlap: 2, distances: threeDistances, backgroundIndex: 1 }],
  ['summed, pooled', { crossEntropyFactor: 1, reduction: 2, pooled: true }],
];

test.each(cases)('%s: the gradient is that of the value', (_, options) => {
  const z = Float64Array.from({ length: N * C * S }, (_, i) => Math.sin(7 * i));
  const { grad } = call({ ...plain, ...options }, z);
  const h = 1e-5;
  for (let i = 0; i < z.length; i++) {
    const [up, down] = [z.slice(), z.slice()];
    up[i] = (z[i] as number) + h;
    down[i] = (z[i] as number) - h;
    const at = (x: Float64Array) => call({ ...plain, ...options }, x).value;
    expect(Math.abs((at(up) - at(down)) / (2 * h) - (grad[i] as number))).toBeLessThan(1e-9);
  }
  expect(Math.max(...grad.map(Math.abs))).toBeGreaterThan(1e-3);
});

test.each(cases)('%s: the gradient of a soft target is that of the value', (_, given) => {
  const options = { ...plain, ...given, ignoreIndex: undefined };
  const z = Float64Array.from({ length: N * C * S }, (_, i) => Math.sin(7 * i));
  const t = Float64Array.from({ length: N * C * S }, (_, i) => 0.5 + 0.45 * Math.cos(5 * i));
  const loss = new native.Loss(options);
  const run = (steps: number, target: Float64Array) => {
    const args = blankArguments(steps);
    [args[1], args[2], args[3], args[4], args[5], args[6], args[7]] = [N, C, S, z, 1, target, 1];
    args[14] = new Float64Array(1);
    args[16] = new Float64Array(z.length);
    args[17] = 1;
    args[20] = new Float64Array(z.length).fill(1);
    args[18] = true;
    loss.run(...args);
    return { value: args[14][0] as number, grad: args[16], targetGrad: args[20] as Float64Array };
  };
  const both = run(15, t);
  expect(both.grad).toEqual(run(7, t).grad); // nothing else changes it
  const h = 1e-5;
  for (let i = 0; i < t.length; i++) {
    const [up, down] = [t.slice(), t.slice()];
    up[i] = (t[i] as number) + h;
    down[i] = (t[i] as number) - h;
    const slope = (run(3, up).value - run(3, down).value) / (2 * h);
    expect(Math.abs(slope - ((both.targetGrad[i] as number) - 1))).toBeLessThan(1e-9);
  }
});

test('the gradient of a target is refused for labels and masks', () => {
  const args = blankArguments(9);
  [args[1], args[2], args[3], args[4], args[5]] = [1, 1, 2, new Float32Array(2), 0];
  [args[6], args[7], args[20]] = [new Uint8Array(2), 4, new Float32Array(2)];
  const loss = new native.Loss(plain);
  expect(() => loss.run(...args)).toThrow(/combination of dtypes/);
  args[8] = true;
  expect(() => loss.run(...args)).toThrow(/combination of dtypes/);
  [args[6], args[7], args[8], args[20]] = [new Float32Array(2), 0, false, new Float32Array(1)];
  expect(() => loss.run(...args)).toThrow(/at least 8 bytes for out.targetGrad/);
  args[20] = args[6];
  expect(() => loss.run(...args)).toThrow(/overlaps/);
});

test.each([false, true])('pooled %j: a part has the gradient of the whole', (pooled) => {
  const z = Float64Array.from({ length: N * C * S }, (_, i) => Math.sin(7 * i));
  const options = { ...plain, crossEntropyFactor: 1, pooled, absent: 1 };
  const whole = call(options, z).grad;
  const loss = new native.Loss(options);
  const all = blankArguments(1);
  [all[1], all[2], all[3], all[4], all[5], all[6], all[7], all[8]] = [
    N,
    C,
    S,
    z,
    1,
    labels,
    4,
    true,
  ];
  all[11] = new Float64Array((pooled ? 1 : N) * C * 8);
  loss.run(...all);
  for (const n of [0, 1]) {
    const part: typeof all = [...all];
    part[0] = 4;
    part[1] = 1;
    part[4] = z.subarray(n * C * S);
    part[6] = labels.subarray(n * S);
    const grad = new Float64Array(C * S);
    part[16] = grad;
    part[17] = 1;
    part[21] = N;
    part[22] = n;
    loss.run(...part);
    expect(grad).toEqual(whole.slice(n * C * S, (n + 1) * C * S));
    part[22] = N;
    expect(() => loss.run(...part)).toThrow(/samples of the call to be among/);
    part[22] = -1;
    expect(() => loss.run(...part)).toThrow(/samples of the call to be among/);
  }
});

test('options that do not fit together are refused', () => {
  const make = (options: Partial<NativeLossOptions>) => () =>
    new native.Loss({ ...plain, ...options });
  expect(make({ kind: 5 })).toThrow(/code for kind/);
  expect(make({ kind: 4 })).toThrow(/overlap wasserstein/);
  expect(make({ overlap: 2 })).toThrow(/overlap wasserstein/);
  const distances = new Float64Array(9);
  expect(make({ kind: 4, overlap: 2, distances, backgroundIndex: 3 })).toThrow(/backgroundIndex/);
  expect(make({ kind: 4, overlap: 2 })).toThrow(/backgroundIndex/);
  expect(make({ distances: [0, 1] as unknown as Float64Array })).toThrow(/a Float64Array/);
  expect(make({ activation: 0, focalFactor: 1 })).toThrow(/an activation/);
  expect(make({ focalFactor: 1, focalGamma: -1 })).toThrow(/focalGamma/);
  const few = { kind: 4, overlap: 2, distances: new Float64Array(4) };
  expect(() => call({ ...plain, ...few }, new Float64Array(N * C * S))).toThrow(/each pair/);
});
