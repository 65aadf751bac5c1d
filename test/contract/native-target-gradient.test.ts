// dL/dt of soft targets in the addon: by hand, in every float dtype and both layouts, and off the event loop.
import { expect, test } from '@jest/globals';
import { callLoss } from '../../lib/calls/native-call.js';
import { Activation, DTypeCode, LossKind, Overlap } from '../../lib/native/codes.js';
import { native } from '../../lib/native/load.js';
import { decodeHalf, encodeHalf } from '../support/half.js';
import { codeOfArray, everyStep, nativeCall, plainOptions } from '../support/native.js';

const plain = { ...plainOptions, activation: Activation.none, squared: false };

/** Everything that a soft target has, with places for all results. */
function callOf(
  [samples, classes, voxels]: [number, number, number],
  x: Float32Array | Float64Array,
  y: Float32Array | Float64Array,
) {
  return nativeCall({
    steps: everyStep,
    samples,
    classes,
    voxels,
    predictions: x,
    predictionsType: codeOfArray(x),
    target: y,
    targetType: codeOfArray(y),
    value: new Float64Array(1),
    grad: x.slice(),
    gradType: codeOfArray(x),
    targetGrad: y.slice(),
  });
}

test('the minimum by hand: slopes 1, 1/2 at the tie, and 0', () => {
  const p = Float64Array.of(0.25, 0.5, 0.75);
  const t = Float64Array.of(0.5, 0.5, 0.5);
  const call = callOf([1, 1, 3], p, t);
  callLoss(new native.Loss({ ...plain, overlap: Overlap.minimum }), 'run', call);
  // I = 1.25, P + T = 3: L = 1 - 2.5/3, dL/dI = -2/3, dL/dP = dL/dT = 2.5/9.
  const { value, grad, targetGrad } = call;
  expect(value[0]).toBeCloseTo(1 / 6, 15);
  const wanted = [1, 0.5, 0].map((slope) => 2.5 / 9 - (slope * 2) / 3);
  for (let i = 0; i < 3; i++) {
    expect(grad[i]).toBeCloseTo(wanted[i] as number, 15);
    expect(targetGrad[i]).toBeCloseTo(wanted[2 - i] as number, 15);
  }
});

test('Dice by hand: dL/dt = -2p/D + 2It*2/D^2 of squared sums', () => {
  const p = Float64Array.of(0.5, 1);
  const t = Float64Array.of(1, 0.25);
  const call = callOf([1, 1, 2], p, t);
  callLoss(new native.Loss({ ...plain, squared: true }), 'run', call);
  const [I, D] = [0.75, 1.25 + 1.0625];
  const { targetGrad } = call;
  for (let i = 0; i < 2; i++) {
    const slope = (-2 * (p[i] as number)) / D + (2 * I * 2 * (t[i] as number)) / D ** 2;
    expect(targetGrad[i]).toBeCloseTo(slope, 15);
  }
});

const shape: [number, number, number] = [2, 3, 301];
const size = shape[0] * shape[1] * shape[2];
const logits = Float64Array.from({ length: size }, (_, i) => 3 * Math.sin(i * 0.7));
const soft = Float64Array.from({ length: size }, (_, i) => 0.5 + 0.4 * Math.cos(i * 0.3));
const compound = {
  ...plain,
  activation: Activation.softmax,
  squared: true,
  crossEntropyFactor: 1,
  focalFactor: 1,
};

test('channels last is channels first, transposed', () => {
  const [, C, S] = shape;
  const moved = (from: Float64Array) =>
    from.map((_, i) => {
      const [n, s, c] = [Math.floor(i / (C * S)), Math.floor(i / C) % S, i % C];
      return from[(n * C + c) * S + s] as number;
    });
  const first = callOf(shape, logits, soft);
  const last = callOf(shape, moved(logits), moved(soft));
  callLoss(new native.Loss(compound), 'run', first);
  callLoss(new native.Loss({ ...compound, channelsLast: true }), 'run', last);
  expect(last.targetGrad).toEqual(moved(first.targetGrad as Float64Array));
});

test.each([
  ['float32 beside float64', Float32Array.from(logits), soft],
  ['float64 beside float32', logits, Float32Array.from(soft)],
  ['float32', Float32Array.from(logits), Float32Array.from(soft)],
])('%s', (_, x, y) => {
  const exact = callOf(shape, logits, soft);
  const rounded = callOf(shape, x, y);
  callLoss(new native.Loss(compound), 'run', exact);
  callLoss(new native.Loss(compound), 'run', rounded);
  const [wanted, actual] = [exact.targetGrad, rounded.targetGrad];
  const largest = Math.max(...wanted.map(Math.abs));
  for (let i = 0; i < size; i++) {
    expect(Math.abs((actual[i] as number) - (wanted[i] as number))).toBeLessThan(1e-5 * largest);
  }
});

test.each([
  ['float16', 2 ** -11],
  ['bfloat16', 2 ** -8],
] as const)('%s beside float64: rounded once more', (dtype, halfUlp) => {
  const scale = 1024; // out of float16's subnormal range
  const exact = { ...callOf(shape, logits, new Float64Array(size).fill(0.5)), scale };
  const rounded = new Uint16Array(size);
  callLoss(new native.Loss(compound), 'run', exact);
  callLoss(new native.Loss(compound), 'run', {
    ...callOf(shape, logits, soft),
    scale,
    target: new Uint16Array(size).fill(encodeHalf(0.5, dtype)),
    targetType: DTypeCode[dtype],
    targetGrad: rounded,
  });
  const wanted = exact.targetGrad;
  for (let i = 0; i < size; i++) {
    const error = Math.abs(decodeHalf(rounded[i] as number, dtype) - (wanted[i] as number));
    expect(error).toBeLessThanOrEqual(1.01 * halfUlp * Math.abs(wanted[i] as number));
  }
});

test('runAsync gives the same bits, with a matrix of distances and accumulation', async () => {
  const distances = Float64Array.of(0, 1, 0.5, 1, 0, 0.7, 0.5, 0.7, 0);
  const loss = new native.Loss({
    ...plain,
    kind: LossKind.wasserstein,
    overlap: Overlap.wasserstein,
    activation: Activation.softmax,
    distances,
  });
  distances.fill(Number.NaN); // read once, when the loss was made
  const now = { ...callOf(shape, logits, soft), accumulate: true };
  const later = { ...callOf(shape, logits, soft), accumulate: true };
  callLoss(loss, 'run', now);
  await callLoss(loss, 'runAsync', later);
  for (const output of ['value', 'grad', 'targetGrad'] as const) {
    expect(later[output]).toEqual(now[output]);
  }
  expect((now.grad as Float64Array).every(Number.isFinite)).toBe(true);
});
