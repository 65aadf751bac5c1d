// The options of the addon that step 2 reads: a value by hand, and every gradient against central differences.
import { expect, test } from '@jest/globals';
import type { NativeLossOptions } from '../binding.js';
import { native } from '../lib/binding.js';
import { blankArguments } from '../lib/call.js';

const [N, C, S] = [2, 3, 5];
const labels = Uint8Array.from([0, 1, 1, 2, 0, 0, 0, 1, 1, 1]); // sample 1 has no voxel of class 2

function call(options: NativeLossOptions, z: Float64Array, shape = [N, C, S], y = labels) {
  const args = blankArguments(7);
  [args[1], args[2], args[3]] = shape as [number, number, number];
  args[4] = z;
  args[5] = 1;
  args[6] = y;
  args[7] = 4;
  args[8] = true;
  args[14] = new Float64Array(1);
  args[16] = new Float64Array(z.length);
  args[17] = 1;
  args[19] = new Float64Array(3);
  new native.Loss(options).run(...args);
  return { value: args[14][0] as number, grad: args[16] as Float64Array, parts: args[19] };
}

const plain: NativeLossOptions = {
  kind: 0,
  reduction: 1,
  activation: 2,
  pooled: false,
  background: true,
  squared: true,
  channelsLast: false,
  smoothNumerator: 0.1,
  smoothDenominator: 0.1,
  ignoreIndex: undefined,
  classWeights: undefined,
};

test('cross-entropy by hand: (ln 2 + ln 4/3) / 2', () => {
  const z = Float64Array.of(0, 0, 0, Math.log(3));
  const options = { ...plain, overlapFactor: 2, crossEntropyFactor: 3 };
  const { value, parts } = call(options, z, [1, 2, 2], Uint8Array.of(0, 1));
  expect(parts[1]).toBeCloseTo((Math.log(2) + Math.log(4 / 3)) / 2, 14);
  expect(value).toBeCloseTo(2 * (parts[0] as number) + 3 * (parts[1] as number), 14);
});

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
