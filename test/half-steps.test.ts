// Half precision over whole steps of vectors, which the passes widen and narrow themselves, and a rest.
import { expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, Tensor } from '../lib/index.js';

const S = 1111;
const shape = [2, 3, S];
const logits = Float32Array.from({ length: 6 * S }, (_, i) => ((i * 7) % 33) / 8 - 2); // exact in every dtype
const labels = Tensor.from(
  Uint8Array.from({ length: 2 * S }, (_, i) => (i * 5) % 3),
  [2, S],
);

/** The upper half of a float32 that bfloat16 holds exactly. */
const bfloat16 = Uint16Array.from(new Uint32Array(logits.buffer), (bits) => bits >>> 16);

test.each(['softmax', 'sigmoid'] as const)('%s: cross-entropy as of float32', (activation) => {
  const loss = new DiceCELoss({ activation });
  const expected = loss.value(Tensor.from(logits, shape), labels).value.itemSync();
  const given = Tensor.from(bfloat16, shape, { dtype: 'bfloat16' });
  expect(loss.value(given, labels).value.itemSync()).toBeCloseTo(expected, 6);
});

test('a NaN with all its bits set stays NaN in a bfloat16 gradient', () => {
  const loss = new DiceLoss({ activation: 'none' });
  const probabilities = new Float32Array(S).fill(0.5);
  const given = Tensor.from(probabilities, [1, 1, S]);
  const target = Tensor.from(new Uint16Array(S).fill(0x3f00), [1, 1, S], { dtype: 'bfloat16' });
  const statistics = loss.statistics(given, target);
  new Uint32Array(probabilities.buffer).fill(0x7fffffff, 100, 101);
  const gradient = loss.targetGradient(given, target, statistics);
  expect((gradient.data[100] as number) & 0x7fff).toBeGreaterThan(0x7f80);
  expect((gradient.data[101] as number) & 0x7fff).toBeLessThan(0x7f80);
});
