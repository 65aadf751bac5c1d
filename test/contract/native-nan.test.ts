// NaN and weight 0 where the addon does not take its shortest way: NaN gives NaN, and a voxel without weight nothing.
import { expect, test } from '@jest/globals';
import type { NativeLossOptions } from '../../binding.js';
import { blankArguments } from '../../lib/calls/outputs.js';
import { native } from '../../lib/native/load.js';
import { plainOptions } from '../support/native.js';

const [N, C, S] = [1, 3, 70];
const size = N * C * S;
const distances = Float64Array.of(0, 1, 0.5, 1, 0, 0.7, 0.5, 0.7, 0);
const cases: [string, Partial<NativeLossOptions>][] = [
  ['softmax focal', { focalFactor: 1 }],
  ['sigmoid focal', { focalFactor: 1, activation: 1 }],
  ['minimum', { overlap: 1, squared: false }],
  ['minimum of probabilities', { overlap: 1, activation: 0 }],
  ['Wasserstein', { kind: 4, overlap: 2, distances }],
];
const logits = () => Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.7));
const labels = Uint8Array.from({ length: S }, (_, i) => i % C);
const soft = Float32Array.from({ length: size }, (_, i) => 0.5 + 0.4 * Math.cos(i));

function run(
  given: Partial<NativeLossOptions>,
  x: Float32Array,
  y: Uint8Array | Float32Array,
  weight: Float32Array | undefined,
) {
  const args = blankArguments(y instanceof Float32Array ? 15 : 7);
  [args[1], args[2], args[3], args[4]] = [N, C, S, x];
  [args[6], args[7], args[8]] = [y, y instanceof Uint8Array ? 4 : 0, y instanceof Uint8Array];
  if (weight) args[9] = weight;
  args[14] = new Float64Array(1);
  args[16] = x.slice();
  args[20] = new Float32Array(size);
  new native.Loss({ ...plainOptions, smoothDenominator: 1e-7, ...given }).run(...args);
  return {
    value: args[14][0] as number,
    grads: (y instanceof Float32Array ? [args[16], args[20]] : [args[16]]) as Float32Array[],
  };
}

test.each(cases)('%s', (_, given) => {
  const last = S - 1; // in the padded last step
  for (const y of [labels, soft]) {
    const x = logits();
    x[C * S - 1] = Number.NaN;
    expect(run(given, x, y, undefined).value).toBeNaN();

    const weight = new Float32Array(S).fill(0.75);
    weight[last] = 0;
    const { value, grads } = run(given, x, y, weight);
    const clean = run(given, logits(), y, weight);
    expect(value).toBe(clean.value);
    expect(value).toBeGreaterThan(0);
    for (const [which, grad] of grads.entries()) {
      expect(grad).toEqual(clean.grads[which]);
      for (let c = 0; c < C; c++) expect(grad[c * S + last]).toBe(0);
    }
  }
  const target = soft.slice();
  target[C * S - 1] = Number.NaN;
  expect(run(given, logits(), target, undefined).value).toBeNaN();
});
