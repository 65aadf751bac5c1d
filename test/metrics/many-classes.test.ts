// Many classes: what is counted takes memory for the pairs of classes that occur, and JavaScript's thread does none of the sums.
import { describe, expect, test } from '@jest/globals';
import { SegmentationMetrics } from '../../lib/index.js';
import { callCount } from '../../lib/metrics/native-count.js';
import { Decision, DTypeCode } from '../../lib/native/codes.js';
import { native } from '../../lib/native/load.js';
import { Random } from '../support/random.js';
import { full, tensor } from '../support/tensors.js';

const MB = 2 ** 20;

/** Label maps with a few hundred pairs of classes, and how often each occurs. */
function make(classes: number, seed = 1) {
  const random = new Random(seed);
  const [N, S] = [4, 5003];
  const picked = random.array(20, () => random.integer(classes));
  const pick = () => picked[random.integer(20)] as number;
  const [p, t] = [random.array(N * S, pick), random.array(N * S, pick)];
  const pairs = new Map<number, number>();
  t.forEach((label, i) => {
    const pair = label * classes + (p[i] as number);
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  });
  return { p: tensor(p, [N, S], 'int32'), t: tensor(t, [N, S], 'int32'), pairs, picked };
}

describe.each([1023, 1024, 3000])('%d classes', (classes) => {
  const { p, t, pairs, picked } = make(classes);
  const options = { classes, decision: 'labels' } as const;
  const metrics = new SegmentationMetrics(options).update(p, t);

  test('every pair is counted', () => {
    const matrix = metrics.confusion();
    for (const [pair, count] of pairs) expect(matrix[pair]).toBe(count);
    expect(matrix.reduce((sum, count) => sum + count, 0)).toBe(4 * 5003);
    const counts = metrics.counts();
    for (const c of picked) {
      const tp = pairs.get(c * classes + c) ?? 0;
      const target = picked.length && [...t.data].filter((label) => label === c).length;
      const predicted = [...p.data].filter((label) => label === c).length;
      expect(counts[c]).toEqual({
        tp,
        fp: predicted - tp,
        fn: target - tp,
        tn: 4 * 5003 - predicted - target + tp,
      });
    }
  });

  test('merged, off the event loop, and after a reset', async () => {
    const other = new SegmentationMetrics(options);
    await Promise.all([other.updateAsync(p, t), other.updateAsync(p, t)]);
    other.merge(metrics);
    expect(other.samples).toBe(12);
    expect(other.counts()).toEqual(
      metrics
        .counts()
        .map(({ tp, fp, fn, tn }) => ({ tp: 3 * tp, fp: 3 * fp, fn: 3 * fn, tn: 3 * tn })),
    );
    other.reset();
    expect(other.samples).toBe(0);
    expect(other.counts()[picked[0] as number]).toEqual({ tp: 0, fp: 0, fn: 0, tn: 0 });
  });
});

test('65536 classes: the pairs that occur take little memory, though the whole matrix would take 34 GB', () => {
  const map = tensor([0, 65_535, 65_535, 7], [1, 4], 'int32');
  const other = tensor([0, 65_535, 0, 7], [1, 4], 'int32');
  const metrics = new SegmentationMetrics({ classes: 65_536, decision: 'labels' });
  metrics.update(map, other).merge(metrics);
  expect(metrics.counts()[65_535]).toEqual({ tp: 2, fp: 2, fn: 0, tn: 4 });
  expect(metrics.perClass('iou')[65_535]).toBe(0.5);
  expect(metrics.average('recall')).toBeCloseTo((0.5 + 1 + 1) / 3, 14);
});

describe('updateAsync leaves nothing to do for the event loop', () => {
  const [N, C] = [32, 1000];
  const map = full([N, 64], 1, 'int32');

  test('the addon gives neither counts nor promises of them back, and JavaScript holds no array for them', async () => {
    const metrics = new SegmentationMetrics({ classes: C, decision: 'labels' });
    const before = process.memoryUsage().arrayBuffers;
    const results = await Promise.all([1, 2, 3, 4].map(() => metrics.updateAsync(map, map)));
    expect(results.every((result) => result === metrics)).toBe(true);
    // The matrices of the samples would take 32 * 8 MB, and one of them 8 MB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * MB);
    expect(metrics.samples).toBe(4 * N);
  });

  test('what the addon resolves to is nothing', async () => {
    const counts = new native.Counts(Decision.labels, C, false);
    const settled = await callCount(counts, 'countAsync', {
      decision: Decision.labels,
      threshold: 0,
      samples: N,
      classes: C,
      voxels: 64,
      channelsLast: false,
      predictions: map.data,
      predictionsType: DTypeCode.int32,
      target: map.data,
      targetType: DTypeCode.int32,
      targetIsLabels: true,
      ignoreIndex: undefined,
      weight: undefined,
      weightType: 0,
      weightOfClasses: false,
      mayBeOneHot: false,
      bySample: false,
      counts: undefined,
      stream: undefined,
      channels: 0,
      headWeight: undefined,
      headBias: undefined,
      headType: 0,
      names: undefined,
    });
    expect(settled).toBeUndefined();
    expect(counts.read()).toBe(N);
  });
});
