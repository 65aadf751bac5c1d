/**
 * What metrics refuse and accept as values, on the emulated device: masks as predictions, floats that can be no probability, one-hot
 * masks for label maps.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { SegmentationMetrics } from '../../lib/index.js';
import { gpu, onDevice } from '../support/device.js';
import { type FloatDType, full, type Typed, tensor } from '../support/tensors.js';

const there = (t: Typed) => onDevice(gpu, t);
const layouts = ['channels-first', 'channels-last'] as const;

describe('masks as predictions', () => {
  const masks = tensor([1, 0, 0, 1, 1, 0], [1, 2, 3], 'uint8'); // both, class 1, none
  const truth = tensor([0, 1, 1], [1, 3], 'uint8');

  test('count as on the CPU', () => {
    for (const options of [{}, { decision: 'threshold', threshold: 0.5 }] as const) {
      const metrics = () => new SegmentationMetrics({ classes: 2, ...options });
      const counts = metrics().update(there(masks), there(truth)).counts();
      expect(counts).toEqual(metrics().update(masks, truth).counts());
      const bad = there(tensor([0, 1, 1, 0, 0, 255], [1, 2, 3], 'uint8'));
      expect(() => metrics().update(bad, there(truth))).toThrow(
        'Expected 0 or 1 for predictions but received 1 other value, the first 255 at index 5',
      );
    }
  });

  test('of wider integers are refused', () => {
    const wide = there(tensor([1, 0, 0, 1, 1, 0], [1, 2, 3], 'int32'));
    expect(() => new SegmentationMetrics({ classes: 2 }).update(wide, there(truth))).toThrow(
      `Expected dtype uint8 for predictions, which are masks on ${gpu}, but received int32`,
    );
  });
});

test.each(['float32', 'float64', 'float16', 'bfloat16'] as FloatDType[])(
  '%s floats that can be no probability',
  async (dtype) => {
    const S = 1031;
    for (const layout of layouts) {
      const last = layout === 'channels-last';
      const shape = last ? [1, S, 2] : [1, 2, S];
      const index = last ? 2 * 1000 + 1 : S + 1000;
      const spoilt = full(shape, 0.25, dtype);
      spoilt.data[index] = tensor([255], [1], dtype).data[0] as never;
      for (const options of [{}, { decision: 'threshold', threshold: 0 }] as const) {
        const metrics = new SegmentationMetrics({ classes: 2, layout, ...options });
        const x = there(full(shape, 3, dtype));
        const message = `Expected values from 0 to 1 for target but received 1 other value, the first 255 at index ${index}: divide a mask of 0 and 255 by 255`;
        expect(() => metrics.update(x, there(spoilt))).toThrow(message);
        await expect(metrics.updateAsync(x, there(spoilt))).rejects.toThrow(message);
        expect(metrics.samples).toBe(0);
        const weights = full([1, S], 1, 'uint8');
        weights.data[1000] = 0;
        metrics.update(x, there(spoilt), { weight: there(weights) });
        expect(metrics.samples).toBe(1);
      }
      const y = there(full([1, S], 1, 'uint8'));
      const by = (threshold: number) =>
        new SegmentationMetrics({ classes: 2, layout, decision: 'threshold', threshold });
      expect(() => by(0.5).update(there(spoilt), y)).toThrow(
        `for predictions but received 1 other value, the first 255 at index ${index}`,
      );
      expect(by(0).update(there(spoilt), y).samples).toBe(1);
    }
  },
);

test('a float target in another dtype than the predictions: the error has its own value', () => {
  const metrics = new SegmentationMetrics({ classes: 2 });
  const y = there(tensor([0.5, 0, 0.5, 1.25], [1, 2, 2], 'float64'));
  expect(() => metrics.update(there(full([1, 2, 2], 0)), y)).toThrow('the first 1.25 at index 3');
});

test('the ignored voxels of a float mask do not count', () => {
  const options = { classes: 1, decision: 'threshold', threshold: 0.5, ignoreIndex: 255 } as const;
  const metrics = new SegmentationMetrics(options);
  const x = there(tensor([0.9, 0.1, 0.9, 0.9], [1, 1, 4]));
  metrics.update(x, there(tensor([1, 0, 255, 0], [1, 1, 4])));
  expect(metrics.counts()).toEqual([{ tp: 1, fp: 1, fn: 0, tn: 1 }]);
});

test("one-hot masks for decision 'labels'", async () => {
  const metrics = new SegmentationMetrics({ classes: 3, decision: 'labels' });
  const masks = there(tensor([1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1], [1, 3, 4], 'uint8'));
  const message = "received one-hot masks of shape [1, 3, 4]: use decision 'argmax'";
  expect(() => metrics.update(masks, masks)).toThrow(message);
  await expect(metrics.updateAsync(masks, masks)).rejects.toThrow(message);
  expect(metrics.samples).toBe(0);
});

test('more pairs of classes than the host lists', () => {
  const classes = 1100;
  const map = tensor([0, 1099, 5, 5], [2, 2], 'int32');
  const truth = tensor([0, 1099, 5, 6], [2, 2], 'int32');
  const options = { classes, decision: 'labels', aggregate: 'samples' } as const;
  const metrics = new SegmentationMetrics(options).update(there(map), there(truth));
  const here = new SegmentationMetrics(options).update(map, truth);
  expect(metrics.counts()).toEqual(here.counts());
  expect(metrics.perSample('iou')).toEqual(here.perSample('iou'));
  expect(metrics.counts()[5]).toEqual({ tp: 1, fp: 1, fn: 0, tn: 2 });
});
