// NaN and weight 0 where the addon does not take its shortest way: NaN gives NaN, and a voxel without weight nothing.
import { expect, test } from '@jest/globals';
import type { NativeLossOptions } from '../../binding.js';
import { callLoss } from '../../lib/calls/native-call.js';
import { Activation, LossKind, Overlap } from '../../lib/native/codes.js';
import { native } from '../../lib/native/load.js';
import {
  codeOfArray,
  everyStep,
  nativeCall,
  plainOptions,
  valueAndGradSteps,
} from '../support/native.js';

const [N, C, S] = [1, 3, 70];
const size = N * C * S;
const distances = Float64Array.of(0, 1, 0.5, 1, 0, 0.7, 0.5, 0.7, 0);
const cases: [string, Partial<NativeLossOptions>][] = [
  ['softmax focal', { focalFactor: 1 }],
  ['sigmoid focal', { focalFactor: 1, activation: Activation.sigmoid }],
  ['minimum', { overlap: Overlap.minimum, squared: false }],
  ['minimum of probabilities', { overlap: Overlap.minimum, activation: Activation.none }],
  ['Wasserstein', { kind: LossKind.wasserstein, overlap: Overlap.wasserstein, distances }],
];
/** Logits or probabilities. */
const predictions = () =>
  Float32Array.from({ length: size }, (_, i) => 0.5 + 0.5 * Math.sin(i * 0.7));
const labels = Uint8Array.from({ length: S }, (_, i) => i % C);
const soft = Float32Array.from({ length: size }, (_, i) => 0.5 + 0.4 * Math.cos(i));

function run(
  given: Partial<NativeLossOptions>,
  x: Float32Array,
  y: Uint8Array | Float32Array,
  weight: Float32Array | undefined,
) {
  const soft = y instanceof Float32Array;
  const [value, grad, targetGrad] = [new Float64Array(1), x.slice(), new Float32Array(size)];
  const call = nativeCall({
    steps: soft ? everyStep : valueAndGradSteps,
    samples: N,
    classes: C,
    voxels: S,
    predictions: x,
    target: y,
    targetType: codeOfArray(y),
    targetIsLabels: !soft,
    weight,
    value,
    grad,
    targetGrad,
  });
  const loss = new native.Loss({ ...plainOptions, smoothDenominator: 1e-7, ...given });
  callLoss(loss, 'run', call);
  return { value: value[0] as number, grads: soft ? [grad, targetGrad] : [grad] };
}

test.each(cases)('%s', (_, given) => {
  const last = S - 1; // in the padded last step
  for (const y of [labels, soft]) {
    const x = predictions();
    x[C * S - 1] = Number.NaN;
    expect(run(given, x, y, undefined).value).toBeNaN();

    const weight = new Float32Array(S).fill(0.75);
    weight[last] = 0;
    const { value, grads } = run(given, x, y, weight);
    const clean = run(given, predictions(), y, weight);
    expect(value).toBe(clean.value);
    expect(value).toBeGreaterThan(0);
    for (const [which, grad] of grads.entries()) {
      expect(grad).toEqual(clean.grads[which]);
      for (let c = 0; c < C; c++) expect(grad[c * S + last]).toBe(0);
    }
  }
  const target = soft.slice();
  target[C * S - 1] = Number.NaN;
  expect(run(given, predictions(), target, undefined).value).toBeNaN();
});
