// dL/dt of soft targets in the addon: by hand, in every float dtype and both layouts, and off the event loop.
import { expect, test } from '@jest/globals';
import type { RunArguments } from '../../binding.js';
import { blankArguments } from '../../lib/calls/outputs.js';
import { native } from '../../lib/native/load.js';
import { decodeHalf, encodeHalf } from '../support/half.js';
import { plainOptions } from '../support/native.js';

const plain = { ...plainOptions, activation: 0, squared: false };

function argumentsFor(
  [N, C, S]: [number, number, number],
  x: Float32Array | Float64Array,
  y: Float32Array | Float64Array,
): RunArguments {
  const code = (array: unknown) => (array instanceof Float64Array ? 1 : 0);
  const args = blankArguments(15);
  [args[1], args[2], args[3], args[4], args[5], args[6], args[7]] = [
    N,
    C,
    S,
    x,
    code(x),
    y,
    code(y),
  ];
  args[14] = new Float64Array(1);
  args[16] = x.slice();
  args[17] = code(x);
  args[20] = y.slice();
  return args;
}

test('the minimum by hand: slopes 1, 1/2 at the tie, and 0', () => {
  const p = Float64Array.of(0.25, 0.5, 0.75);
  const t = Float64Array.of(0.5, 0.5, 0.5);
  const args = argumentsFor([1, 1, 3], p, t);
  new native.Loss({ ...plain, overlap: 1 }).run(...args);
  // I = 1.25, P + T = 3: L = 1 - 2.5/3, dL/dI = -2/3, dL/dP = dL/dT = 2.5/9.
  expect(args[14]?.[0]).toBeCloseTo(1 / 6, 15);
  const [grad, targetGrad] = [args[16] as Float64Array, args[20] as Float64Array];
  const wanted = [1, 0.5, 0].map((slope) => 2.5 / 9 - (slope * 2) / 3);
  for (let i = 0; i < 3; i++) {
    expect(grad[i]).toBeCloseTo(wanted[i] as number, 15);
    expect(targetGrad[i]).toBeCloseTo(wanted[2 - i] as number, 15);
  }
});

test('Dice by hand: dL/dt = -2p/D + 2It*2/D^2 of squared sums', () => {
  const p = Float64Array.of(0.5, 1);
  const t = Float64Array.of(1, 0.25);
  const args = argumentsFor([1, 1, 2], p, t);
  new native.Loss({ ...plain, squared: true }).run(...args);
  const [I, D] = [0.75, 1.25 + 1.0625];
  const targetGrad = args[20] as Float64Array;
  for (let i = 0; i < 2; i++) {
    const slope = (-2 * (p[i] as number)) / D + (2 * I * 2 * (t[i] as number)) / D ** 2;
    expect(targetGrad[i]).toBeCloseTo(slope, 15);
  }
});

const shape: [number, number, number] = [2, 3, 301];
const size = shape[0] * shape[1] * shape[2];
const logits = Float64Array.from({ length: size }, (_, i) => 3 * Math.sin(i * 0.7));
const soft = Float64Array.from({ length: size }, (_, i) => 0.5 + 0.4 * Math.cos(i * 0.3));
const compound = { ...plain, activation: 2, squared: true, crossEntropyFactor: 1, focalFactor: 1 };

test('channels last is channels first, transposed', () => {
  const [, C, S] = shape;
  const moved = (from: Float64Array) =>
    from.map((_, i) => {
      const [n, s, c] = [Math.floor(i / (C * S)), Math.floor(i / C) % S, i % C];
      return from[(n * C + c) * S + s] as number;
    });
  const first = argumentsFor(shape, logits, soft);
  const last = argumentsFor(shape, moved(logits), moved(soft));
  new native.Loss(compound).run(...first);
  new native.Loss({ ...compound, channelsLast: true }).run(...last);
  expect(last[20]).toEqual(moved(first[20] as Float64Array));
});

test.each([
  ['float32 beside float64', Float32Array.from(logits), soft],
  ['float64 beside float32', logits, Float32Array.from(soft)],
  ['float32', Float32Array.from(logits), Float32Array.from(soft)],
])('%s', (_, x, y) => {
  const exact = argumentsFor(shape, logits, soft);
  const rounded = argumentsFor(shape, x, y);
  new native.Loss(compound).run(...exact);
  new native.Loss(compound).run(...rounded);
  const [wanted, actual] = [exact[20] as Float64Array, rounded[20] as Float64Array];
  const largest = Math.max(...wanted.map(Math.abs));
  for (let i = 0; i < size; i++) {
    expect(Math.abs((actual[i] as number) - (wanted[i] as number))).toBeLessThan(1e-5 * largest);
  }
});

test.each([
  ['float16', 2, 2 ** -11],
  ['bfloat16', 3, 2 ** -8],
] as const)('%s beside float64: rounded once more', (dtype, code, halfUlp) => {
  const exact = argumentsFor(shape, logits, new Float64Array(size).fill(0.5));
  const half = argumentsFor(shape, logits, soft);
  const rounded = new Uint16Array(size);
  [half[6], half[7], half[20]] = [
    new Uint16Array(size).fill(encodeHalf(0.5, dtype)),
    code,
    rounded,
  ];
  exact[13] = half[13] = 1024; // out of float16's subnormal range
  new native.Loss(compound).run(...exact);
  new native.Loss(compound).run(...half);
  const wanted = exact[20] as Float64Array;
  for (let i = 0; i < size; i++) {
    const error = Math.abs(decodeHalf(rounded[i] as number, dtype) - (wanted[i] as number));
    expect(error).toBeLessThanOrEqual(1.01 * halfUlp * Math.abs(wanted[i] as number));
  }
});

test('runAsync gives the same bits, with a matrix of distances and accumulation', async () => {
  const distances = Float64Array.of(0, 1, 0.5, 1, 0, 0.7, 0.5, 0.7, 0);
  const loss = new native.Loss({ ...plain, kind: 4, overlap: 2, activation: 2, distances });
  distances.fill(Number.NaN); // read once, when the loss was made
  const now = argumentsFor(shape, logits, soft);
  const later = argumentsFor(shape, logits, soft);
  now[18] = later[18] = true;
  loss.run(...now);
  await loss.runAsync(...later);
  for (const output of [14, 16, 20] as const) expect(later[output]).toEqual(now[output]);
  expect((now[16] as Float64Array).every(Number.isFinite)).toBe(true);
});
