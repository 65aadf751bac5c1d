// A mean's divisor is known before the first gradient, by counting labels, or after all statistics: the same bits.
import { expect, test } from '@jest/globals';
import type { NativeLossOptions } from '../../binding.js';
import { callLoss } from '../../lib/calls/native-call.js';
import { AbsentPolicy, Activation, LossKind, Step } from '../../lib/native/codes.js';
import { native } from '../../lib/native/load.js';
import { codeOfArray, nativeCall, plainOptions, valueAndGradSteps } from '../support/native.js';

const N = 3;
const S = 300;
const cases: [string, Partial<NativeLossOptions>][] = [
  ['cross-entropy', { crossEntropyFactor: 1 }],
  ['cross-entropy, ignoring 255', { crossEntropyFactor: 1, ignoreIndex: 255 }],
  ['cross-entropy, ignoring class 1', { crossEntropyFactor: 1, ignoreIndex: 1 }],
  ['cross-entropy, ignoring -1', { crossEntropyFactor: 1, ignoreIndex: -1 }],
  [
    'sigmoid, smoothed',
    {
      crossEntropyFactor: 1,
      labelSmoothing: 0.1,
      activation: Activation.sigmoid,
      ignoreIndex: 0,
    },
  ],
  ['focal', { focalFactor: 1, ignoreIndex: 1 }],
  ['without absent classes', { absent: AbsentPolicy.skip, ignoreIndex: 1 }],
  [
    'generalized without absent classes',
    { kind: LossKind.generalized, absent: AbsentPolicy.perfect, ignoreIndex: 1 },
  ],
];

test.each(cases)('%s', (_, given) => {
  for (const [C, bytes] of [
    [1, 1],
    [4, 1],
    [4, 4],
    [4, 8],
    [40, 4],
  ] as const) {
    const classWeights = Float64Array.from({ length: C }, (_, c) => 1 + (c % 3) / 4);
    const loss = new native.Loss({
      ...plainOptions,
      activation: C === 1 ? Activation.sigmoid : Activation.softmax,
      smoothNumerator: 0.1,
      smoothDenominator: 0.1,
      classWeights,
      ...given,
    });
    const ignored =
      typeof given.ignoreIndex !== 'number' || (bytes === 1 && given.ignoreIndex < 0)
        ? 0
        : given.ignoreIndex;
    // Sample 2 has class 0 and what is ignored alone.
    const label = (i: number) => (i % 7 === 3 ? ignored : i < 2 * S ? (i * i) % Math.max(C, 2) : 0);
    const labels = Array.from({ length: N * S }, (_, i) => label(i));
    const target =
      bytes === 1
        ? Uint8Array.from(labels)
        : bytes === 4
          ? Int32Array.from(labels)
          : BigInt64Array.from(labels, BigInt);
    const whole = nativeCall({
      steps: valueAndGradSteps,
      samples: N,
      classes: C,
      voxels: S,
      predictions: Float32Array.from({ length: N * C * S }, (_, i) => 3 * Math.sin(i * 0.7)),
      target,
      targetType: codeOfArray(target),
      targetIsLabels: true,
      value: new Float64Array(1),
    });
    const counted = new Float32Array(N * C * S);
    callLoss(loss, 'run', { ...whole, grad: counted });
    const statistics = new Float64Array(N * C * 8);
    callLoss(loss, 'run', { ...whole, steps: Step.statistics, statistics });
    const later = new Float32Array(N * C * S);
    callLoss(loss, 'run', { ...whole, steps: Step.gradient, statistics, grad: later });
    expect(counted).toEqual(later);
    if (C > 1) expect(counted.some((g) => g !== 0)).toBe(true);
  }
});
