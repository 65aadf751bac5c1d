// Hard metrics: counts against a voxel-by-voxel reference, scores by hand, absent classes, streaming.
import { afterAll, describe, expect, test } from '@jest/globals';
import {
  DiceLoss,
  getThreads,
  type ScoreName,
  SegmentationMetrics,
  setThreads,
  WarpDiceError,
} from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { inThisRun } from '../support/in-this-run.js';
import { checkCounts, combinations, make, small, total } from '../support/metrics.js';
import { type DType, full, numbers, type Typed, tensor } from '../support/tensors.js';

const threads = getThreads();
afterAll(() => setThreads(threads));

describe('counts are those of a loop over the voxels', () => {
  test.each([1, 31, 33, 127, 128, 129, 257, 4099, 70_001])('%d voxels', (S) => {
    for (const last of [false, true])
      for (const C of [1, 2, 3, 5])
        for (const decision of ['argmax', 'threshold', 'labels'] as const) {
          if (C === 1 && decision === 'argmax') continue;
          if (S > 5000 && C > 2) continue;
          checkCounts({ ...small, S, last, C, decision });
        }
  });

  test.each([8, 9, 14, 15, 19, 32, 33, 150, 300])('%d classes', (C) => {
    for (const last of [false, true])
      for (const decision of ['argmax', 'threshold', 'labels'] as const) {
        if (C > 100 && !inThisRun()) continue;
        checkCounts({
          ...small,
          C,
          decision,
          S: 1031,
          last,
          labelDtype: C > 255 ? 'int32' : 'uint8',
        });
      }
  });

  test.each(['float32', 'float64', 'float16', 'bfloat16'] as const)('%s', (dtype) => {
    for (const last of [false, true])
      for (const decision of ['argmax', 'threshold'] as const)
        for (const labelDtype of ['uint8', 'int32', 'int64'] as const)
          checkCounts({ ...small, dtype, last, decision, labelDtype, NaNs: true });
  });

  test('dense targets, weights, ignored labels, NaN and infinities, in every combination', () => {
    for (const combined of combinations()) checkCounts({ ...small, ...combined });
  });

  test('the same with any number of threads', () => {
    const { predictions, target, counts, options } = make({ ...small, S: 300_007 });
    for (const count of [1, 2, 7]) {
      setThreads(count);
      const metrics = new SegmentationMetrics(options).update(predictions, target);
      expect(metrics.counts()).toEqual(total(counts));
    }
  });
});

test('a weight per class and voxel hides values that are no probabilities; argmax has no use for it', () => {
  const p = tensor([0.9, 7, 0.2, 0.8], [1, 2, 2]);
  const t = tensor([1, 5, 0, 1], [1, 2, 2]);
  const weight = tensor([1, 0, 1, 1], [1, 2, 2], 'uint8');
  const metrics = new SegmentationMetrics({ classes: 2, decision: 'threshold', threshold: 0.5 });
  expect(metrics.update(p, t, { weight }).counts()).toEqual([
    { tp: 1, fp: 0, fn: 0, tn: 0 },
    { tp: 1, fp: 0, fn: 0, tn: 1 },
  ]);
  const all = tensor([1, 1, 1, 1], [1, 2, 2], 'uint8');
  expect(() => metrics.update(p, t, { weight: all })).toThrow(/7|5/);
  const argmax = new SegmentationMetrics({ classes: 2 });
  const message =
    "Expected one weight per voxel for weight, as decision is 'argmax', but received [1, 2, 2]: one per class needs decision 'threshold'";
  expect(() => argmax.update(p, t, { weight })).toThrow(message);
  expect(() => argmax.updateAsync(p, t, { weight })).toThrow(message);
});

test('dense float targets: the largest is the class, none where all are 0', () => {
  const p = tensor([1, 1, 1, 0, 0, 0], [1, 2, 3]);
  const t = tensor([0.6, 0, 0.2, 0.4, 0, 0.8], [1, 2, 3]);
  const metrics = new SegmentationMetrics({ classes: 2 }).update(p, t);
  expect([...metrics.confusion()]).toEqual([1, 0, 1, 0]);
  expect(metrics.counts()[0]).toEqual({ tp: 1, fp: 2, fn: 0, tn: 0 });
});

const predicted = tensor([0, 0, 0, 1, 2, 0, 1, 1, 2, 2], [1, 10], 'uint8');
const truth = tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2], [1, 10], 'uint8');

describe('scores by hand', () => {
  // By class: TP 3, 2, 2; FP 1, 1, 1; FN 2, 1, 0; TN 4, 6, 7.
  const metrics = new SegmentationMetrics({ classes: 3, decision: 'labels' });
  metrics.update(predicted, truth);
  const expected: Record<ScoreName, number[]> = {
    dice: [6 / 9, 4 / 6, 4 / 5],
    iou: [3 / 6, 2 / 4, 2 / 3],
    precision: [3 / 4, 2 / 3, 2 / 3],
    recall: [3 / 5, 2 / 3, 1],
    specificity: [4 / 5, 6 / 7, 7 / 8],
    volumeSimilarity: [1 - 1 / 9, 1, 1 - 1 / 5],
    accuracy: [7 / 10, 8 / 10, 9 / 10],
  };
  const micro: Record<ScoreName, number> = {
    dice: 14 / 20,
    iou: 7 / 13,
    precision: 7 / 10,
    recall: 7 / 10,
    specificity: 17 / 20,
    volumeSimilarity: 1,
    accuracy: 24 / 30,
  };

  test.each(Object.keys(expected) as ScoreName[])('%s', (name) => {
    const scores = expected[name] as [number, number, number];
    const actual = metrics.perClass(name);
    scores.forEach((value, c) => {
      expect(actual[c]).toBeCloseTo(value, 14);
    });
    expect(metrics.average(name)).toBeCloseTo((scores[0] + scores[1] + scores[2]) / 3, 14);
    expect(metrics.average(name, 'weighted')).toBeCloseTo(
      (5 * scores[0] + 3 * scores[1] + 2 * scores[2]) / 10,
      14,
    );
    expect(metrics.average(name, 'micro')).toBeCloseTo(micro[name], 14);
  });

  test('without the background', () => {
    const foreground = new SegmentationMetrics({
      classes: 3,
      decision: 'labels',
      background: false,
    }).update(predicted, truth);
    expect(foreground.average('dice')).toBeCloseTo((4 / 6 + 4 / 5) / 2, 14);
    expect(foreground.average('dice', 'micro')).toBeCloseTo(8 / 11, 14);
    expect(foreground.average('dice', 'weighted')).toBeCloseTo((3 * (4 / 6) + 2 * 0.8) / 5, 14);
  });

  test('the confusion matrix has targets in rows', () => {
    expect([...metrics.confusion()]).toEqual([3, 1, 1, 1, 2, 0, 0, 0, 2]);
  });
});

test('hard Dice is one minus the loss on one-hot predictions', () => {
  const oneHot = (labels: Typed) =>
    Float32Array.from({ length: 30 }, (_, i) =>
      labels.data[i % 10] === Math.floor(i / 10) ? 1 : 0,
    );
  const p = tensor(oneHot(predicted), [1, 3, 10]);
  const dice = new SegmentationMetrics({ classes: 3 }).update(p, truth).average('dice');
  expect(dice).toBeCloseTo(1 - new DiceLoss().value(p, truth).value.itemSync(), 6);
});

describe('over a dataset', () => {
  const batches = [1, 2, 3].map((seed) => make({ ...small, S: 700 }, seed));
  const fill = (metrics: SegmentationMetrics, from = batches) => {
    for (const { predictions, target } of from) metrics.update(predictions, target);
    return metrics;
  };

  test('global: the counts of all batches together', () => {
    const metrics = fill(new SegmentationMetrics({ classes: 3 }));
    expect(metrics.samples).toBe(6);
    expect(metrics.counts()).toEqual(total(batches.flatMap(({ counts }) => counts)));
  });

  test('by sample: the mean of the samples that have the class', () => {
    const metrics = new SegmentationMetrics({
      classes: 2,
      decision: 'labels',
      aggregate: 'samples',
    });
    metrics.update(tensor([1, 1, 0, 0], [2, 2], 'uint8'), tensor([1, 0, 0, 0], [2, 2], 'uint8'));
    // Sample 0: class 0 Dice 0, class 1 Dice 2/3. Sample 1: class 0 Dice 1, class 1 absent.
    expect([...metrics.perSample('dice')]).toEqual([0, 2 / 3, 1, Number.NaN]);
    expect([...metrics.perClass('dice')]).toEqual([0.5, 2 / 3]);
    expect(metrics.average('dice')).toBeCloseTo((0 + 2 / 3 + 1) / 3, 14);
    expect(metrics.average('dice', 'micro')).toBeCloseTo((0.5 + 1) / 2, 14);
    expect(metrics.average('dice', 'weighted')).toBeCloseTo((1 / 3 + 1) / 2, 14);
  });

  test('an update keeps no memory of its own', async () => {
    const map = full([2, 100], 1, 'uint8');
    const metrics = new SegmentationMetrics({ classes: 200, decision: 'labels' }).update(map, map);
    const [dice, matrix] = [new Float64Array(200), new Float64Array(200 * 200)];
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 10; i++) {
      metrics.update(map, map).confusion({ out: matrix });
      metrics.perClass('dice', { out: dice });
      await metrics.updateAsync(map, map);
    }
    // JavaScript holds none of them: a matrix takes 201 * 201 numbers of 8 bytes.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(300_000);
    expect(metrics.samples).toBe(42);
  });

  test.each(['global', 'samples'] as const)("%s: results in the caller's arrays", (aggregate) => {
    const metrics = fill(new SegmentationMetrics({ classes: 3, aggregate }));
    const [scores, matrix] = [new Float64Array(3).fill(9), new Float64Array(9).fill(9)];
    expect(metrics.perClass('iou', { out: scores })).toBe(scores);
    expect(metrics.confusion({ out: matrix })).toBe(matrix);
    expect(scores).toEqual(metrics.perClass('iou'));
    expect(matrix).toEqual(metrics.confusion());
  });

  test.each(['global', 'samples'] as const)(
    '%s: merged parts and JSON are the whole',
    (aggregate) => {
      const options = { classes: 3, aggregate };
      const whole = fill(new SegmentationMetrics(options));
      const left = fill(new SegmentationMetrics(options), batches.slice(0, 1));
      const right = fill(new SegmentationMetrics(options), batches.slice(1));
      const merged = left.merge(SegmentationMetrics.fromJSON(JSON.parse(JSON.stringify(right))));
      expect(merged.toJSON()).toEqual(whole.toJSON());
      expect(merged.average('dice')).toBe(whole.average('dice'));
      merged.reset();
      expect(merged.toJSON()).toEqual(new SegmentationMetrics(options).toJSON());
      expect(fill(merged).toJSON()).toEqual(whole.toJSON());
    },
  );
});

describe('wrong arguments change nothing', () => {
  const { predictions, target, counts } = make(small);
  const metrics = new SegmentationMetrics({ classes: 3, ignoreIndex: 9 });
  const ofLabels = new SegmentationMetrics({ classes: 3, decision: 'labels' });
  // biome-ignore lint/suspicious/noExplicitAny: the point is to pass what the types forbid
  type Any = any;

  test.each<[string, () => unknown, Any, RegExp]>([
    ['no options', () => new SegmentationMetrics(undefined as Any), TypeError, /for options/],
    [
      'an unknown key',
      () => new SegmentationMetrics({ classes: 2, smooth: 1 } as Any),
      TypeError,
      /'smooth'/,
    ],
    ['no classes', () => new SegmentationMetrics({} as Any), TypeError, /for classes/],
    [
      'argmax of 1',
      () => new SegmentationMetrics({ classes: 1 }),
      RangeError,
      /use decision 'threshold'/,
    ],
    [
      'no threshold',
      () => new SegmentationMetrics({ classes: 1, decision: 'threshold' }),
      TypeError,
      /0 for logits/,
    ],
    [
      'NaN',
      () => new SegmentationMetrics({ classes: 1, decision: 'threshold', threshold: NaN }),
      RangeError,
      /NaN/,
    ],
    [
      'a threshold',
      () => new SegmentationMetrics({ classes: 2, threshold: 1 }),
      TypeError,
      /^threshold cannot be combined with decision 'argmax'/,
    ],
    [
      'absent',
      () => new SegmentationMetrics({ classes: 2, absent: 'no' as Any }),
      RangeError,
      /for absent/,
    ],
    [
      'other classes',
      () => metrics.update(full([1, 4, 5], 0), full([1, 5], 0, 'uint8')),
      RangeError,
      /3 classes/,
    ],
    [
      'another shape',
      () => metrics.update(predictions, full([2, 130], 0, 'uint8')),
      RangeError,
      /target/,
    ],
    [
      'float maps',
      () => ofLabels.update(full([1, 5], 0), full([1, 5], 0, 'uint8')),
      TypeError,
      /predictions.*float32/,
    ],
    [
      'float truth',
      () => ofLabels.update(full([1, 5], 0, 'uint8'), full([1, 5], 0)),
      TypeError,
      /target.*float32/,
    ],
    [
      'maps of two shapes',
      () => ofLabels.update(full([1, 5], 0, 'uint8'), full([5], 0, 'uint8')),
      RangeError,
      /\[5\]/,
    ],
    [
      'an infinite threshold',
      () => new SegmentationMetrics({ classes: 1, decision: 'threshold', threshold: Infinity }),
      RangeError,
      /Infinity/,
    ],
    [
      'scores of samples that are not kept',
      () => metrics.perSample('dice'),
      TypeError,
      /^perSample\(\) needs aggregate 'samples'$/,
    ],
    ['no room', () => metrics.perClass('dice', { out: [] as Any }), TypeError, /for out/],
    [
      'too little room',
      () => metrics.confusion({ out: new Float64Array(8) }),
      RangeError,
      /9 elements for out/,
    ],
    ['a score', () => metrics.perClass('f1' as Any), RangeError, /'dice'/],
    ['an average', () => metrics.average('dice', 'mean' as Any), RangeError, /'macro'/],
    ['no metrics', () => metrics.merge({} as Any), TypeError, /other/],
    ['other metrics', () => metrics.merge(ofLabels), RangeError, /decision/],
    [
      'a state',
      () => SegmentationMetrics.fromJSON({ ...metrics.toJSON(), counts: [1] }),
      RangeError,
      /16 counts/,
    ],
    [
      'a count',
      () => SegmentationMetrics.fromJSON({ ...metrics.toJSON(), counts: Array(16).fill(-1) }),
      RangeError,
      /counts.* -1/,
    ],
  ])('%s', (_, call, type, message) => {
    const before = metrics.toJSON();
    expect(call).toThrow(type);
    expect(call).toThrow(message);
    expect(call).toThrow(inOneForm);
    expect(metrics.toJSON()).toEqual(before);
    metrics.reset();
    expect(metrics.update(predictions, target).counts()).toEqual(total(counts));
  });

  test.each(['uint8', 'int32', 'int64'] as DType[])('%s labels out of range', (dtype) => {
    const bad = full([2, 70_001], 1, dtype);
    for (const i of [69_000, 70_500]) bad.data[i] = (dtype === 'int64' ? 7n : 7) as never;
    const good = full([2, 70_001], 1, 'uint8');
    const ignoring = new SegmentationMetrics({ classes: 3, decision: 'labels', ignoreIndex: 9 });
    for (const [x, y, name] of [
      [bad, good, 'predictions'],
      [good, bad, 'target'],
    ] as const) {
      const call = () => ignoring.update(x, y);
      expect(call).toThrow(WarpDiceError);
      expect(call).toThrow(
        `Expected class indices from 0 to 2 (or ignoreIndex 9) for ${name} but received 2 other values, the first 7 at index 69000`,
      );
      expect(call).toThrow(
        expect.objectContaining({ code: 'ERR_LABEL_RANGE', count: 2, index: 69_000, value: 7 }),
      );
    }
    expect(ignoring.samples).toBe(0);
    expect(numbers({ data: ignoring.confusion() }).every((count) => count === 0)).toBe(true);
  });
});
