// Predictions that are decided already: masks of 0 and 1 with a class axis. And masks where label maps are expected.
import { describe, expect, test } from '@jest/globals';
import {
  ComponentMetrics,
  type MetricsOptions,
  SegmentationMetrics,
  SurfaceMetrics,
  WarpDiceError,
} from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { Random } from '../support/random.js';
import { type DType, type FloatDType, full, type Typed, tensor } from '../support/tensors.js';

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

  test('a label map that could be masks beside a target that cannot', () => {
    const maps = tensor(predicted, [1, 3, 4], 'uint8');
    for (const first of [0, 2]) {
      const other = tensor([first, ...predicted.slice(1)], [1, 3, 4], 'uint8');
      expect(new SegmentationMetrics(options).update(maps, other).samples).toBe(1);
      expect(new SegmentationMetrics(options).update(other, maps).samples).toBe(1);
    }
  });

  test('beside a target of class indices', () => {
    const masks = tensor(predicted, [1, 3, 4], 'uint8');
    const metrics = new SegmentationMetrics(options);
    expect(() => metrics.update(masks, full([1, 4], 0, 'uint8'))).toThrow(
      "Expected shape [1, 3, 4] for target, as predictions have, but received [1, 4]: for one-hot predictions use decision 'argmax'",
    );
  });
});

// Floats that can be no probability, such as masks of 0 and 255: an error that says what was found, never a score.
describe('floats that can be no probability', () => {
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
    const options = {
      classes: 1,
      decision: 'threshold',
      threshold: 0.5,
      ignoreIndex: 255,
    } as const;
    const metrics = new SegmentationMetrics(options);
    metrics.update(tensor([0.9, 0.1, 0.9, 0.9], [1, 1, 4]), tensor([1, 0, 255, 0], [1, 1, 4]));
    expect(metrics.counts()).toEqual([{ tp: 1, fp: 1, fn: 0, tn: 1 }]);
  });

  test.each([
    [SurfaceMetrics, 'hausdorff'],
    [ComponentMetrics, 'regionDice'],
  ] as const)('nor in %p, as those of labels', (Metrics, score) => {
    const mask = [0, 1, 1, 0, 0, 0, 0, 1, 255, 0, 0, 255];
    const x = tensor([0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.9], [1, 1, 3, 4]);
    const of = (y: Typed) =>
      new Metrics({ classes: 1, decision: 'threshold', threshold: 0.5, ignoreIndex: 255 })
        .update(x, y)
        .perSample(score as never);
    const labels = of(tensor(mask, [1, 3, 4], 'uint8'));
    expect(of(tensor(mask, [1, 1, 3, 4]))).toEqual(labels);
    const background = mask.map((v) => (v === 1 ? 1 : 0));
    expect(of(tensor(background, [1, 3, 4], 'uint8'))).not.toEqual(labels);
  });
});
