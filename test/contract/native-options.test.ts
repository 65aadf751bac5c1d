// The options of the addon that step 2 reads: a value by hand, and every gradient against central differences.
import { expect, test } from '@jest/globals';
import type { NativeCall, NativeLossOptions } from '../../binding.js';
import { callLoss } from '../../lib/calls/native-call.js';
import {
  AbsentPolicy,
  Activation,
  DTypeCode,
  LossKind,
  Overlap,
  Reduction,
  Step,
  Transform,
  Weighting,
} from '../../lib/native/codes.js';
import { native } from '../../lib/native/load.js';
import {
  codeOfArray,
  everyStep,
  nativeCall,
  plainOptions,
  valueAndGradSteps,
} from '../support/native.js';

const [N, C, S] = [2, 3, 5];
const labels = Uint8Array.from([0, 1, 1, 2, 0, 0, 0, 1, 1, 1]); // sample 1 has no voxel of class 2

function call(
  options: NativeLossOptions,
  z: Float32Array | Float64Array,
  [samples, classes, voxels] = [N, C, S],
  target = labels,
) {
  const [value, parts, grad] = [new Float64Array(1), new Float64Array(3), z.slice()];
  const type = codeOfArray(z);
  const call = nativeCall({
    steps: valueAndGradSteps,
    samples,
    classes,
    voxels,
    predictions: z,
    predictionsType: type,
    target,
    targetType: DTypeCode.uint8,
    targetIsLabels: true,
    value,
    parts,
    grad,
    gradType: type,
  });
  callLoss(new native.Loss(options), 'run', call);
  return { value: value[0] as number, grad, parts };
}

const plain = { ...plainOptions, smoothNumerator: 0.1, smoothDenominator: 0.1 };

test('cross-entropy by hand: (ln 2 + ln 4/3) / 2', () => {
  const z = Float64Array.of(0, 0, 0, Math.log(3));
  const options = { ...plain, overlapFactor: 2, crossEntropyFactor: 3 };
  const { value, parts } = call(options, z, [1, 2, 2], Uint8Array.of(0, 1));
  expect(parts[1]).toBeCloseTo((Math.log(2) + Math.log(4 / 3)) / 2, 14);
  expect(value).toBeCloseTo(2 * (parts[0] as number) + 3 * (parts[1] as number), 14);
});

const wasserstein = { kind: LossKind.wasserstein, overlap: Overlap.wasserstein };
const threeDistances = Float64Array.of(0, 1, 1, 1, 0, 0.5, 1, 0.5, 0);

test('focal by hand: -(1/2)^2 ln(1/2) and -(1/4)^2 ln(3/4), a voxel and class at a time', () => {
  const z = Float64Array.of(0, 0, 0, Math.log(3));
  const options = { ...plain, focalFactor: 1 };
  const { parts } = call(options, z, [1, 2, 2], Uint8Array.of(0, 1));
  expect(parts[2]).toBeCloseTo((Math.log(2) / 4 + Math.log(4 / 3) / 16) / 4, 14);
});

test.each([1, 2, 3, 4, 5])('focal, gamma %j: as its neighbour that is not whole', (focalGamma) => {
  const z = Float64Array.of(0.3, -2, 4, 1, 0, -1, -3, 0.5, 2);
  for (const activation of [Activation.sigmoid, Activation.softmax]) {
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
  const options = {
    ...plain,
    ...wasserstein,
    distances: threeDistances,
    activation: Activation.none,
  };
  const exact = { ...options, smoothNumerator: 0, smoothDenominator: 0 };
  expect(call(exact, p, [1, 3, 3], Uint8Array.of(0, 1, 2)).value).toBeCloseTo(1 / 3, 14);
});

test.each([0, 0.25, 1, 2, 3, 4, 5])(
  'focal, gamma %j: finite where p is 0 or 1, exact beside it',
  (focalGamma) => {
    for (const activation of [Activation.sigmoid, Activation.softmax]) {
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
  ['Tversky', { kind: LossKind.tversky, alpha: 0.3, beta: 0.7, squared: false }],
  [
    'focal Tversky',
    { kind: LossKind.tversky, alpha: 0.3, beta: 0.7, transform: Transform.power, gamma: 4 / 3 },
  ],
  ['generalized Dice, square', { kind: LossKind.generalized }],
  [
    'generalized Dice, simple, weighted',
    {
      kind: LossKind.generalized,
      weighting: Weighting.simple,
      classWeights: Float64Array.of(1, 2, 3),
    },
  ],
  [
    'generalized Dice without absent classes',
    { kind: LossKind.generalized, absent: AbsentPolicy.skip, background: false },
  ],
  ['log-Dice', { transform: Transform.log, absent: AbsentPolicy.skip }],
  ['exponential-logarithmic', { transform: Transform.log, gamma: 0.3 }],
  ['log-cosh', { transform: Transform['log-cosh'], absent: AbsentPolicy.perfect }],
  ['absent is worst', { absent: AbsentPolicy.worst }],
  ['Dice + cross-entropy', { crossEntropyFactor: 0.7, overlapFactor: 1.3 }],
  [
    'weighted and smoothed',
    { crossEntropyFactor: 1, labelSmoothing: 0.2, classWeights: Float64Array.of(1, 2, 3) },
  ],
  [
    'sigmoid',
    {
      activation: Activation.sigmoid,
      crossEntropyFactor: 1,
      labelSmoothing: 0.2,
      ignoreIndex: 1,
    },
  ],
  [
    'softmax focal',
    { focalFactor: 0.9, focalGamma: 0.5, crossEntropyFactor: 1, labelSmoothing: 0.1 },
  ],
  ['sigmoid focal', { activation: Activation.sigmoid, focalFactor: 0.9, ignoreIndex: 1 }],
  ['weighted focal', { focalFactor: 2, focalGamma: 3, classWeights: Float64Array.of(1, 2, 3) }],
  ['minimum', { overlap: Overlap.minimum, squared: false }],
  ['Wasserstein', { ...wasserstein, distances: threeDistances, backgroundIndex: 1 }],
  ['summed, pooled', { crossEntropyFactor: 1, reduction: Reduction.sum, pooled: true }],
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
    const value = new Float64Array(1);
    const [grad, targetGrad] = [new Float64Array(z.length), new Float64Array(z.length)];
    const { float64 } = DTypeCode;
    const call = nativeCall({
      steps,
      samples: N,
      classes: C,
      voxels: S,
      predictions: z,
      predictionsType: float64,
      target,
      targetType: float64,
      value,
      grad,
      gradType: float64,
      targetGrad: targetGrad.fill(1),
      accumulate: true,
    });
    callLoss(loss, 'run', call);
    return { value: value[0] as number, grad, targetGrad };
  };
  const both = run(everyStep, t);
  expect(both.grad).toEqual(run(valueAndGradSteps, t).grad); // nothing else changes it
  const valueAt = (target: Float64Array) => run(Step.statistics | Step.finalize, target).value;
  const h = 1e-5;
  for (let i = 0; i < t.length; i++) {
    const [up, down] = [t.slice(), t.slice()];
    up[i] = (t[i] as number) + h;
    down[i] = (t[i] as number) - h;
    const slope = (valueAt(up) - valueAt(down)) / (2 * h);
    expect(Math.abs(slope - ((both.targetGrad[i] as number) - 1))).toBeLessThan(1e-9);
  }
});

test('the gradient of a target is refused for labels and masks', () => {
  const loss = new native.Loss(plain);
  const mask = nativeCall({
    steps: Step.statistics | Step.targetGradient,
    samples: 1,
    classes: 1,
    voxels: 2,
    predictions: new Float32Array(2),
    target: new Uint8Array(2),
    targetType: DTypeCode.uint8,
    targetGrad: new Float32Array(2),
  });
  const run = (call: NativeCall) => () => callLoss(loss, 'run', call);
  expect(run(mask)).toThrow(/combination of dtypes/);
  expect(run({ ...mask, targetIsLabels: true })).toThrow(/combination of dtypes/);
  const target = new Float32Array(2);
  const soft = { ...mask, target, targetType: DTypeCode.float32 };
  expect(run({ ...soft, targetGrad: new Float32Array(1) })).toThrow(
    /at least 8 bytes for out.targetGrad/,
  );
  expect(run({ ...soft, targetGrad: target })).toThrow(/overlaps/);
});

test.each([false, true])('pooled %j: a part has the gradient of the whole', (pooled) => {
  const z = Float64Array.from({ length: N * C * S }, (_, i) => Math.sin(7 * i));
  const options = { ...plain, crossEntropyFactor: 1, pooled, absent: AbsentPolicy.skip };
  const whole = call(options, z).grad;
  const loss = new native.Loss(options);
  const all = nativeCall({
    steps: Step.statistics,
    samples: N,
    classes: C,
    voxels: S,
    predictions: z,
    predictionsType: DTypeCode.float64,
    target: labels,
    targetType: DTypeCode.uint8,
    targetIsLabels: true,
    statistics: new Float64Array((pooled ? 1 : N) * C * 8),
  });
  callLoss(loss, 'run', all);
  for (const n of [0, 1]) {
    const grad = new Float64Array(C * S);
    const part = {
      ...all,
      steps: Step.gradient,
      samples: 1,
      predictions: z.subarray(n * C * S),
      target: labels.subarray(n * S),
      grad,
      gradType: DTypeCode.float64,
      statisticsSamples: N,
      sampleOffset: n,
    };
    callLoss(loss, 'run', part);
    expect(grad).toEqual(whole.slice(n * C * S, (n + 1) * C * S));
    for (const sampleOffset of [N, -1]) {
      expect(() => callLoss(loss, 'run', { ...part, sampleOffset })).toThrow(
        /samples of the call to be among/,
      );
    }
  }
});

test('options that do not fit together are refused', () => {
  const make = (options: Partial<NativeLossOptions>) => () =>
    new native.Loss({ ...plain, ...options });
  expect(make({ kind: Object.keys(LossKind).length })).toThrow(/code for kind/);
  expect(make({ kind: LossKind.wasserstein })).toThrow(/overlap wasserstein/);
  expect(make({ overlap: Overlap.wasserstein })).toThrow(/overlap wasserstein/);
  const distances = new Float64Array(9);
  expect(make({ ...wasserstein, distances, backgroundIndex: 3 })).toThrow(/backgroundIndex/);
  expect(make(wasserstein)).toThrow(/backgroundIndex/);
  expect(make({ distances: [0, 1] as unknown as Float64Array })).toThrow(/a Float64Array/);
  expect(make({ activation: Activation.none, focalFactor: 1 })).toThrow(/an activation/);
  expect(make({ focalFactor: 1, focalGamma: -1 })).toThrow(/focalGamma/);
  const few = { ...wasserstein, distances: new Float64Array(4) };
  expect(() => call({ ...plain, ...few }, new Float64Array(N * C * S))).toThrow(/each pair/);
});
