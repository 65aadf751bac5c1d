// The matrix of the family against the reference: every loss that the library exports and its options, over activations, kinds
// and dtypes of targets, dtypes of predictions, layouts and reductions.
import { describe, expect, test } from '@jest/globals';
import * as library from '../../lib/index.js';
import type { ReferenceOptions } from '../reference/reference.js';
import { check } from '../support/check.js';
import { inThisRun } from '../support/in-this-run.js';
import { activationsOf, type Cell, cells, entryOf, lossKeys } from '../support/losses.js';
import type { DType } from '../support/tensors.js';

const axes = {
  activation: ['none', 'sigmoid', 'softmax'],
  target: ['uint8', 'int32', 'int64', 'ignored', 'dense uint8', 'dense'],
  layout: ['channels-first', 'channels-last'],
  reduction: ['none', 'mean', 'sum'],
} as const;

/** Compared with DiceLoss, to the bit, in plain.test.ts. */
const plain = [library.CrossEntropyLoss, library.FocalLoss];

test('every loss that is exported is in the matrix', () => {
  const exported = Object.values(library).filter(
    (value) => typeof value === 'function' && value.prototype instanceof library.Loss,
  );
  const tested = lossKeys.map((key) => entryOf(key).Class);
  expect(new Set([...tested, ...plain])).toEqual(new Set(exported));
});

/** All that does not need its own axis takes turns. */
function turns(seed: number, without: readonly string[]): ReferenceOptions {
  return {
    ...(Math.floor(seed / 3) % 2 && { batch: true }),
    ...(seed % 3 === 1 && !without.includes('background') && { background: false }),
    ...(seed % 5 < 2 && { classWeights: [0.5, 0.75, 3] }),
    ...(seed % 7 < 3 && { smoothNumerator: 0.5, smoothDenominator: 2 }),
  };
}

/** The dtype of a target with this name, as labels or dense in the dtype of the predictions. */
function targetOf(target: (typeof axes.target)[number], dtype: DType) {
  if (target === 'ignored') return { target: 'labels' } as const;
  if (target === 'dense') return { target: 'dense', targetDtype: dtype } as const;
  if (target === 'dense uint8') return { target: 'dense', targetDtype: 'uint8' } as const;
  return { target: 'labels', targetDtype: target } as const;
}

describe.each(['float64', 'float32', 'float16', 'bfloat16'] as const)('%s', (dtype) => {
  test.each(cells)('$key $variant', (cell: Cell) => {
    const { key, variant } = cell;
    const { without = [] } = entryOf(key);
    const activations = activationsOf(cell);
    let seed = 0;
    for (const activation of activations)
      for (const target of axes.target)
        for (const layout of axes.layout)
          for (const reduction of axes.reduction) {
            seed++;
            if (!inThisRun()) continue;
            check({
              loss: key,
              dtype,
              N: 1 + (seed % 3),
              spatial: [seed % 4 ? 11 : 37],
              ...targetOf(target, dtype),
              ...(seed % 2 && { weight: 'float32' }),
              ...(seed % 4 === 3 && { missing: 2 }),
              ignored: 0.3,
              gradDtype: dtype === 'float64' ? 'float64' : 'float32',
              seed,
              options: {
                ...turns(seed, without),
                ...variant,
                activation,
                layout,
                reduction,
                ...(target === 'ignored' && { ignoreIndex: 250 }),
              },
            });
          }
    expect(activations).not.toHaveLength(0);
  });
});
