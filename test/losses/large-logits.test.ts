// Cross-entropy and focal loss are computed from logits, so that their values are exact up to logits of 1e37 in float32.
import { expect, test } from '@jest/globals';
import { DiceCELoss, DiceFocalLoss } from '../../lib/index.js';
import { full, numbers, tensor } from '../support/tensors.js';

const S = 200;

test.each([
  ['float32', 1e37],
  ['bfloat16', 1e37],
  ['float64', 1e305],
] as const)('%s: %d', (dtype, large) => {
  const values = Float64Array.from({ length: 2 * S }, (_, i) => (i < S ? large : -large));
  const wrong = full([1, S], 1, 'uint8');
  const rounded = numbers(tensor([large], [1], dtype))[0] as number;

  // Softmax: -log p = z_0 - z_1. Sigmoid: both classes are wrong, each by |z|.
  const z = tensor(values, [1, 2, S], dtype);
  for (const Class of [DiceCELoss, DiceFocalLoss]) {
    const { parts, grad } = new Class().valueAndGrad(z, wrong);
    const [, entropy, focal] = parts?.data ?? [];
    const sum = entropy || (focal as number) * 2; // the focal loss is a mean over classes too
    expect((sum as number) / (2 * rounded)).toBeCloseTo(1, 6);
    expect(numbers(grad).every(Number.isFinite)).toBe(true);
  }
  const { parts } = new DiceCELoss({ activation: 'sigmoid' }).value(z, wrong);
  expect((parts?.data[1] as number) / rounded).toBeCloseTo(1, 6);
});
