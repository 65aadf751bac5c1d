// Predictions that are decided already: masks of 0 and 1 with a class axis. And masks where label maps are expected.
import { describe, expect, test } from '@jest/globals';
import { type MetricsOptions, SegmentationMetrics } from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { Random } from '../support/random.js';
import { type DType, full, tensor } from '../support/tensors.js';

const integers = ['uint8', 'int16', 'uint16', 'int32', 'int64'] as const;

describe('masks as predictions count like the label maps that they stand for', () => {
  const [N, C, S] = [2, 3, 1031];
  const random = new Random(3);
  const labels = random.array(N * S, () => random.integer(C));
  const truth = tensor(
    random.array(N * S, () => random.integer(C)),
    [N, S],
    'uint8',
  );
  const expected = new SegmentationMetrics({ classes: C, decision: 'labels' });
  expected.update(tensor(labels, [N, S], 'uint8'), truth);

  const oneHot = (dtype: DType, last: boolean) => {
    const bits = new Float64Array(N * C * S);
    labels.forEach((c, voxel) => {
      const [n, s] = [Math.floor(voxel / S), voxel % S];
      bits[last ? voxel * C + c : (n * C + c) * S + s] = 1;
    });
    return tensor(bits, last ? [N, S, C] : [N, C, S], dtype);
  };

  test.each(integers)('%s', (dtype) => {
    for (const layout of ['channels-first', 'channels-last'] as const) {
      const masks = oneHot(dtype, layout === 'channels-last');
      const argmax = new SegmentationMetrics({ classes: C, layout }).update(masks, truth);
      expect([...argmax.confusion()]).toEqual([...expected.confusion()]);
      const options = { classes: C, layout, decision: 'threshold', threshold: 0.5 } as const;
      expect(new SegmentationMetrics(options).update(masks, truth).counts()).toEqual(
        expected.counts(),
      );
    }
  });

  test('of one class', () => {
    const options = { classes: 1, decision: 'threshold', threshold: 0 } as const;
    const metrics = new SegmentationMetrics(options).update(
      tensor([1, 1, 0, 0], [1, 1, 4], 'uint8'),
      tensor([1, 0, 1, 0], [1, 4], 'uint8'),
    );
    expect(metrics.counts()).toEqual([{ tp: 1, fp: 1, fn: 1, tn: 1 }]);
  });

  test('for argmax, a voxel of no mask has no class, and the lowest of several is taken', () => {
    const metrics = new SegmentationMetrics({ classes: 2 }).update(
      tensor([1, 0, 0, 1, 1, 0], [1, 2, 3], 'uint8'), // both, class 1, none
      tensor([0, 1, 1], [1, 3], 'uint8'),
    );
    expect([...metrics.confusion()]).toEqual([1, 0, 0, 1]);
    expect(metrics.counts()[1]).toEqual({ tp: 1, fp: 0, fn: 1, tn: 1 });
  });

  test.each(integers)('%s: other numbers than 0 and 1 are refused', (dtype) => {
    for (const options of [{}, { decision: 'threshold', threshold: 0.5 }] as const) {
      const metrics = new SegmentationMetrics({ classes: 2, ...options });
      const update = () =>
        metrics.update(tensor([0, 1, 1, 255], [1, 2, 2], dtype), full([1, 2], 1, 'uint8'));
      expect(update).toThrow(
        'Expected 0 or 1 for predictions but received 1 other value, the first 255 at index 3: divide a mask of 0 and 255 by 255',
      );
      expect(metrics.samples).toBe(0);
    }
  });

  test('a threshold that has no use for masks is refused', () => {
    for (const threshold of [-1, 1, 127]) {
      const options = { classes: 1, decision: 'threshold', threshold } as const;
      const metrics = new SegmentationMetrics(options);
      const update = () => metrics.update(full([1, 1, 3], 1, 'uint8'), full([1, 3], 1, 'uint8'));
      expect(update).toThrow(
        `Expected a number from 0 to below 1 for threshold, as predictions are masks (uint8), but received ${threshold}`,
      );
      expect(update).toThrow(inOneForm);
    }
  });
});

describe("one-hot masks for decision 'labels'", () => {
  // Read as label maps they would have accuracy .875, though class 1 is never right.
  const predicted = [1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
  const options: MetricsOptions = { classes: 3, decision: 'labels' };
  const message = (shape: string) =>
    `Expected class indices for predictions, as decision is 'labels', but received one-hot masks of shape ${shape}: use decision 'argmax'`;

  test.each(integers)('%s: the error says what to use', async (dtype) => {
    for (const [shape, text] of [
      [[1, 3, 4], '[1, 3, 4]'],
      [[1, 3, 2, 2], '[1, 3, 2, 2]'],
    ] as const) {
      const metrics = new SegmentationMetrics(options);
      const masks = tensor(predicted, [...shape], dtype);
      expect(() => metrics.update(masks, masks)).toThrow(RangeError);
      expect(() => metrics.update(masks, masks)).toThrow(message(text));
      expect(() => metrics.update(masks, masks)).toThrow(inOneForm);
      await expect(metrics.updateAsync(masks, masks)).rejects.toThrow(message(text));
      expect(metrics.samples).toBe(0);
      const advised = new SegmentationMetrics({ classes: 3 });
      const truth = tensor(predicted, [...shape], 'uint8');
      expect(advised.update(masks, truth).average('dice')).toBe(1);
    }
  });

  test('with channels last', () => {
    const masks = tensor([1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0], [1, 2, 2, 3], 'uint8');
    expect(() => new SegmentationMetrics(options).update(masks, masks)).toThrow(
      message('[1, 2, 2, 3]'),
    );
  });

  test('label maps with as many rows as classes are counted', () => {
    const maps = tensor([0, 1, 2, 0, 0, 1, 0, 0, 2, 0, 1, 1], [1, 3, 4], 'uint8');
    const metrics = new SegmentationMetrics(options).update(maps, maps);
    expect(metrics.counts().map(({ tp }) => tp)).toEqual([6, 4, 2]);
  });

  test('beside a target of class indices', () => {
    const masks = tensor(predicted, [1, 3, 4], 'uint8');
    const metrics = new SegmentationMetrics(options);
    expect(() => metrics.update(masks, full([1, 4], 0, 'uint8'))).toThrow(
      "Expected shape [1, 3, 4] for target, as predictions have, but received [1, 4]: for one-hot predictions use decision 'argmax'",
    );
  });
});
