// Softmax of many classes reads a step of voxels while it computes the one before: several blocks of steps and a rest.
import { describe, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';
import type { Spec } from '../support/cases.js';
import { check } from '../support/check.js';
import { expectSameBits } from '../support/compare.js';
import { everyNth } from '../support/in-this-run.js';

const S = 2500; // 2 to 5 blocks of 16 steps, depending on the vectors, then single steps and a rest

const some = everyNth(5);

describe.each([11, 12, 13, 19, 24, 25])('%i classes', (C) => {
  const base: Spec = { N: 1, C, spatial: [S], options: { activation: 'softmax' } };
  test.each<Partial<Spec>>([
    { target: 'labels' },
    { target: 'dense', weight: 'float32' },
    { dtype: 'float64', ignored: 0.2, options: { activation: 'softmax', ignoreIndex: 200 } },
    { target: 'labels', dtype: 'bfloat16', gradScale: 64 },
  ])('%j', (spec) => {
    if (some()) check({ ...base, ...spec });
  });
});

const C = 13;
/** Every hundredth voxel has a class far above the others, another each time: its neighbours must not notice. */
const logits = Float32Array.from({ length: C * S }, (_, i) => {
  const [c, s] = [Math.floor(i / S), i % S];
  return s % 100 === 50 && c === (s / 50) % C ? 1e4 : ((i * 7) % 33) - 16;
});
const spoilt = [0, 127, 128, 2047, 2048, S - 1];
const labels = Tensor.from(
  Uint8Array.from({ length: S }, (_, s) => (spoilt.includes(s) ? 200 : (s * 5) % C)),
  [1, S],
);
const loss = new DiceLoss({ activation: 'softmax', ignoreIndex: 200 });
const solve = (z: Tensor, options = {}) => {
  const { value, grad } = loss.valueAndGrad(z, labels, options);
  return { value: value.data as Float64Array, gradient: grad.data as Float32Array };
};
const expected = solve(Tensor.from(logits, [1, C, S]));

test('the gradient may replace the logits', () => {
  const z = Tensor.from(logits.slice(), [1, C, S]);
  expectSameBits('gradient', solve(z, { out: { grad: z } }).gradient, expected.gradient);
});

test('voxels with a NaN or an infinity, which are ignored, spoil no other', () => {
  const data = logits.slice();
  spoilt.forEach((s, i) => {
    data[(i % C) * S + s] = i % 2 ? Number.NaN : Number.POSITIVE_INFINITY;
  });
  const { value, gradient } = solve(Tensor.from(data, [1, C, S]));
  expectSameBits('gradient', gradient, expected.gradient);
  expectSameBits('value', value, expected.value);
});

test('the layout changes no bit', () => {
  const z = Tensor.empty([1, S, C]);
  for (let s = 0; s < S; s++)
    for (let c = 0; c < C; c++) z.data[s * C + c] = logits[c * S + s] as number;
  const { value, grad } = new DiceLoss({
    activation: 'softmax',
    ignoreIndex: 200,
    layout: 'channels-last',
  }).valueAndGrad(z, labels);
  expectSameBits('value', value.data as Float64Array, expected.value);
  const turned = Float32Array.from(
    logits,
    (_, i) => grad.data[(i % S) * C + Math.floor(i / S)] as number,
  );
  expectSameBits('gradient', turned, expected.gradient);
});
