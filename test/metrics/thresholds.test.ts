// A list of thresholds: the counts of all while the predictions are read once.
import { describe, expect, test } from '@jest/globals';
import { linearLogits, SegmentationMetrics } from '../../lib/index.js';
import { make, small } from '../support/metrics.js';
import { full, tensor } from '../support/tensors.js';

describe('a list of thresholds', () => {
  const threshold = [0.75, 0.25, 0.5];

  test.each(['float32', 'float64', 'float16', 'uint8'] as const)(
    '%s: as one after the other',
    (dtype) => {
      for (const last of [false, true])
        for (const dense of [false, true]) {
          const { predictions, target, options } = make({
            ...small,
            decision: 'threshold',
            S: 9001,
            last,
            dense,
            ...(dtype !== 'uint8' && { dtype }),
          });
          const x =
            dtype === 'uint8'
              ? make({ ...small, S: 9001, last, dense: true }, 5).target
              : predictions;
          const all = { ...options, aggregate: 'samples' } as const;
          const listed = new SegmentationMetrics({ ...all, threshold }).update(x, target);
          listed.update(x, target);
          for (const one of threshold) {
            const single = new SegmentationMetrics({ ...all, threshold: one });
            single.update(x, target).update(x, target);
            expect(listed.at(one).toJSON()).toEqual(single.toJSON());
          }
        }
    },
  );

  test('linear logits, weights per class, tiles, merged and through JSON', async () => {
    const [x, y] = [full([2, 4, 50], 0, 'float32'), full([2, 50], 1, 'uint8')];
    x.data.forEach((_, i) => {
      x.data[i] = Math.sin(i) as never;
    });
    const [w, b] = [tensor([1, 0, -1, 2, 0, 1, 1, -1], [2, 4]), tensor([0.1, -0.2], [2])];
    const options = { classes: 2, decision: 'threshold', aggregate: 'samples' } as const;
    const weight = full([2, 2, 50], 1, 'uint8');
    for (let i = 0; i < 60; i++) weight.data[i] = 0 as never;
    const make = (threshold: number | number[]) =>
      new SegmentationMetrics({ ...options, threshold });
    const fill = async (metrics: SegmentationMetrics) => {
      metrics.update(linearLogits(x, w, b), y, { sample: 'a' });
      await metrics.updateAsync(full([2, 2, 50], 0.75), y, { weight, sample: ['a', 'b'] });
      return metrics;
    };
    const listed = await fill(make([-1, 0, 1]));
    listed.merge(SegmentationMetrics.fromJSON(JSON.parse(JSON.stringify(listed))));
    for (const one of [-1, 0, 1]) {
      const single = await fill(make(one));
      expect(listed.at(one).toJSON()).toEqual(single.merge(single).toJSON());
      expect(single.sampleNames).toEqual(['a', 'b']);
    }
  });
});
