// ignoreIndex as a list: the scores of one index, of a target in which that one stands for all.
import { describe, expect, test } from '@jest/globals';
import {
  ComponentMetrics,
  type IgnoreIndex,
  linearLogits,
  SegmentationMetrics,
  SurfaceMetrics,
} from '../../lib/index.js';
import { Random } from '../support/random.js';
import { type Marks, makeTargets, marks } from '../support/several-ignored.js';
import { sizeOf, tensor } from '../support/tensors.js';

const [N, C, size] = [2, 3, [11, 13]] as const;
const shape = [N, ...size];
const random = new Random(9);
const floats = (of: readonly number[]) =>
  tensor(
    random.array(sizeOf(of), () => random.uniform()),
    of,
  );
const maps = tensor(
  random.array(sizeOf(shape), () => random.integer(C)),
  shape,
  'uint8',
);
const first = marks[0] as Marks;

describe.each(marks)('$dtype, $ignoreIndex', (of) => {
  const { several, single } = makeTargets(of, shape, C);

  test.each([
    ['argmax', {}, floats([N, C, ...size])],
    ['threshold', { threshold: 0.5 }, floats([N, C, ...size])],
    ['threshold', { threshold: [0.25, 0.5] }, floats([N, C, ...size])],
    ['labels', { aggregate: 'samples' }, maps],
    ['argmax', {}, linearLogits(floats([N, 4, ...size]), floats([C, 4]))],
  ] as const)('SegmentationMetrics, %s %j', async (decision, more, x) => {
    const make = (ignoreIndex: IgnoreIndex) =>
      new SegmentationMetrics({ classes: C, decision, ignoreIndex, ...more });
    const wanted = make(of.one).update(x, single).toJSON().counts;
    expect(make(of.ignoreIndex).update(x, several).toJSON().counts).toEqual(wanted);
    const later = await make(of.ignoreIndex).updateAsync(x, several);
    expect(later.toJSON().counts).toEqual(wanted);
  });

  test('SurfaceMetrics and ComponentMetrics', async () => {
    const options = { classes: C, decision: 'labels' } as const;
    for (const [Metrics, score] of [
      [SurfaceMetrics, 'hausdorff'],
      [ComponentMetrics, 'regionDice'],
    ] as const) {
      const make = (ignoreIndex: IgnoreIndex) => new Metrics({ ...options, ignoreIndex });
      const wanted = make(of.one)
        .update(maps, single)
        .perSample(score as never);
      expect(wanted.some((v) => v > 0)).toBe(true);
      const given = make(of.ignoreIndex);
      expect(given.update(maps, several).perSample(score as never)).toEqual(wanted);
      const later = await make(of.ignoreIndex).updateAsync(maps, several);
      expect(later.perSample(score as never)).toEqual(wanted);
    }
  });
});

test('the list is an option like others: it is frozen, saved, and the same where metrics are added', () => {
  const { several } = makeTargets(first, shape, C);
  const options = { classes: C, decision: 'labels' } as const;
  const list = [255, 254, 255];
  const metrics = new SegmentationMetrics({ ...options, ignoreIndex: list });
  list[0] = 0;
  expect(metrics.options.ignoreIndex).toEqual([255, 254]);
  expect(Object.isFrozen(metrics.options.ignoreIndex)).toBe(true);
  metrics.update(maps, several);
  const again = SegmentationMetrics.fromJSON(JSON.parse(JSON.stringify(metrics)));
  expect(again.update(maps, several).counts()).toEqual(metrics.merge(metrics).counts());
  const other = new SegmentationMetrics({ ...options, ignoreIndex: 254 });
  expect(() => metrics.merge(other)).toThrow(/^Expected metrics of /);
});
