// The ends of the range for every loss of the family: perfect and worst predictions, absent classes, full masks, no voxel at all.
// Value and gradient stay finite, and the value is that of the reference.
import { describe, expect, test } from '@jest/globals';
import { reference } from '../reference/reference.js';
import { expectClose } from '../support/compare.js';
import { inThisRun } from '../support/in-this-run.js';
import { activationsOf, cells, entryOf, isCompound, makeLoss } from '../support/losses.js';
import { type FloatDType, full, numbers, tensor } from '../support/tensors.js';
import { valueTolerance } from '../support/tolerance.js';

const [N, C, S] = [2, 3, 67];

/** Class 2 has no voxel in sample 1. */
const mixed = Array.from({ length: N * S }, (_, i) => (i < S ? i % 3 : i % 2));
const labelings = { mixed, empty: mixed.map(() => 0), full: mixed.map(() => 2) };

/** What gives each class of a voxel its probability: exactly, or as far as logits of this size go. */
const scales = { none: [1], sigmoid: [12, 1e4, Infinity], softmax: [12, 1e4] } as const;

/** [N, C, S]: all that speaks for `guess(label)`. */
function predictionsFor(
  labels: number[],
  guess: (label: number) => number,
  activation: keyof typeof scales,
  scale: number,
) {
  return Array.from({ length: N * C * S }, (_, i) => {
    const [n, c, s] = [Math.floor(i / (C * S)), Math.floor(i / S) % C, i % S];
    const yes = guess(labels[n * S + s] as number) === c;
    if (activation === 'none') return yes ? 1 : 0;
    return yes ? scale : -scale;
  });
}

describe.each(cells)('$key $variant', (cell) => {
  const { key, variant } = cell;
  const { loss: name, defaults } = entryOf(key);
  const compound = isCompound(cell);
  const activations = activationsOf(cell);

  test.each(activations)('%s', (activation) => {
    for (const dtype of ['float64', 'float16'] as FloatDType[])
      for (const labels of Object.values(labelings))
        for (const guess of [(c: number) => c, (c: number) => (c + 1) % 3])
          for (const scale of scales[activation])
            for (const batch of [false, true]) {
              // A certain and wrong prediction costs an infinite cross-entropy.
              if (scale === Infinity && compound) continue;
              if (!inThisRun()) continue;
              const options = { ...variant, activation, batch };
              const x = tensor(predictionsFor(labels, guess, activation, scale), [N, C, S], dtype);
              const y = tensor(labels, [N, S], 'uint8');
              const { value, perClass, grad } = makeLoss(key, options).valueAndGrad(x, y);
              const problem = { loss: name, N, C, S, predictions: numbers(x), labels };
              const expected = reference({ ...problem, options: { ...defaults, ...options } });
              // A root enlarges what float32 rounds: (2e-8)^0.3 of a perfect match is 5e-3.
              const tolerance = dtype === 'float64' ? 1e-9 : 5e-3;
              const near = (v: number) => tolerance * Math.max(1, Math.abs(v));
              expectClose('value', numbers(value), expected.value, near);
              expectClose('perClass', numbers(perClass), expected.perClass, near);
              expect(numbers(value).every(Number.isFinite)).toBe(true);
              const wrong = numbers(grad).findIndex((g) => !Number.isFinite(g));
              if (wrong >= 0)
                throw new Error(
                  `grad[${wrong}] is ${grad.data[wrong]} for ${JSON.stringify({ options, dtype, scale })}`,
                );
            }
  });

  test('no voxel counts: a finite value, and gradient 0', () => {
    const activation = activations.at(-1) as 'softmax';
    const x = full([N, C, S], NaN);
    const y = tensor(mixed, [N, S], 'uint8');
    const weight = full([N, S], 0, 'uint8');
    for (const reduction of ['mean', 'sum'] as const) {
      const loss = makeLoss(key, { ...variant, activation, reduction });
      const { value, grad } = loss.valueAndGrad(x, y, { weight });
      const none = { loss: name, N, C, S, predictions: numbers(x), labels: mixed };
      const options = { ...defaults, ...variant, activation, reduction };
      const expected = reference({ ...none, weight: new Float64Array(N * S), options });
      expectClose('value', numbers(value), expected.value, valueTolerance('float64'));
      expect(Number.isFinite(value.itemSync())).toBe(true);
      expect(numbers(grad).every((g) => g === 0)).toBe(true);
    }
  });
});
