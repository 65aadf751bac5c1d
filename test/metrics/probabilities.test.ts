// Floats that can be no probability, such as masks of 0 and 255: an error that says what was found, never a score.
import { describe, expect, test } from '@jest/globals';
import { SegmentationMetrics, WarpDiceError } from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { type FloatDType, full, type Typed, tensor } from '../support/tensors.js';

const floats: FloatDType[] = ['float32', 'float64', 'float16', 'bfloat16'];
const layouts = ['channels-first', 'channels-last'] as const;
const S = 4099; // several blocks, and a rest

/** Of two classes, the value at voxel s of class 1. */
function withOne(value: number, s: number, dtype: FloatDType, last: boolean): Typed {
  const array = full(last ? [1, S, 2] : [1, 2, S], 0.25, dtype);
  const one = tensor([value], [1], dtype).data[0] as never;
  array.data[last ? 2 * s + 1 : S + s] = one;
  return array;
}

describe.each(floats)('%s', (dtype) => {
  test.each([0, 1000, S - 1])('a target at voxel %d', (s) => {
    for (const layout of layouts)
      for (const options of [{}, { decision: 'threshold', threshold: 0 }] as const)
        for (const [value, shown] of [
          [255, '255'],
          [-1, '-1'],
          [1.5, '1.5'],
          [Number.NaN, 'NaN'],
        ] as const) {
          const last = layout === 'channels-last';
          const metrics = new SegmentationMetrics({ classes: 2, layout, ...options });
          const x = full(last ? [1, S, 2] : [1, 2, S], 3, dtype);
          const update = () => metrics.update(x, withOne(value, s, dtype, last));
          const index = last ? 2 * s + 1 : S + s;
          expect(update).toThrow(
            `Expected values from 0 to 1 for target but received 1 other value, the first ${shown} at index ${index}`,
          );
          expect(update).toThrow(inOneForm);
          expect(metrics.samples).toBe(0);
        }
  });

  test.each([0, 1000, S - 1])(
    'a prediction at voxel %d beside a threshold of probabilities',
    (s) => {
      for (const layout of layouts) {
        const last = layout === 'channels-last';
        const y = full([1, S], 1, 'uint8');
        const x = withOne(8, s, dtype, last);
        const by = (threshold: number) =>
          new SegmentationMetrics({ classes: 2, layout, decision: 'threshold', threshold });
        expect(() => by(0.5).update(x, y)).toThrow(
          `Expected values from 0 to 1 for predictions but received 1 other value, the first 8 at index ${last ? 2 * s + 1 : S + s}: compare logits with threshold 0`,
        );
        expect(by(0).update(x, y).samples).toBe(1);
        expect(by(0.5).update(withOne(Number.NaN, s, dtype, last), y).samples).toBe(1);
      }
    },
  );
});

test('a mask of 0 and 255: how many, and what to do', async () => {
  const metrics = new SegmentationMetrics({ classes: 1, decision: 'threshold', threshold: 0.5 });
  const mask = tensor([0, 255, 255, 0], [1, 1, 4]);
  const x = full([1, 1, 4], 0.7);
  const message =
    'Expected values from 0 to 1 for target but received 2 other values, the first 255 at index 1: divide a mask of 0 and 255 by 255';
  expect(() => metrics.update(x, mask)).toThrow(WarpDiceError);
  expect(() => metrics.update(x, mask)).toThrow(
    expect.objectContaining({ code: 'ERR_LABEL_RANGE', message, count: 2, index: 1, value: 255 }),
  );
  await expect(metrics.updateAsync(x, mask)).rejects.toThrow(message);
  expect(() => metrics.update(mask, full([1, 4], 1, 'uint8'))).toThrow(
    'for predictions but received 2 other values, the first 255 at index 1: divide a mask of 0 and 255 by 255',
  );
});

test('rounding is allowed, and so is anything in voxels that do not count', () => {
  const metrics = new SegmentationMetrics({ classes: 1, decision: 'threshold', threshold: 0.5 });
  const y = tensor([1.0005, -0.0005, 255, 1], [1, 1, 4]);
  const x = tensor([1.0005, -0.0005, 40, 1], [1, 1, 4]);
  metrics.update(x, y, { weight: tensor([1, 1, 0, 1], [1, 4]) });
  expect(metrics.counts()).toEqual([{ tp: 2, fp: 0, fn: 0, tn: 1 }]);
});

test('the ignored voxels of a float mask do not count', () => {
  const options = { classes: 1, decision: 'threshold', threshold: 0.5, ignoreIndex: 255 } as const;
  const metrics = new SegmentationMetrics(options);
  metrics.update(tensor([0.9, 0.1, 0.9, 0.9], [1, 1, 4]), tensor([1, 0, 255, 0], [1, 1, 4]));
  expect(metrics.counts()).toEqual([{ tp: 1, fp: 1, fn: 0, tn: 1 }]);
});
