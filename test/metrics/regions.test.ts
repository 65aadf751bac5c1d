// Regions of classes, names, tiles that are one sample: by hand, and against loops over the voxels.
import { describe, expect, test } from '@jest/globals';
import { type MetricsOptions, SegmentationMetrics, SurfaceMetrics } from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { make, type Sample, small } from '../support/metrics.js';
import { Random } from '../support/random.js';
import { makeMap } from '../support/surfaces.js';
import { full, onShared, type Typed, tensor } from '../support/tensors.js';

const brats = { whole: [1, 2, 3], core: [1, 3], enhancing: [3] };

/** How often each region is right and wrong, voxel by voxel. -1: no class. */
function countRegions(regions: readonly number[][], p: number[], t: number[]): Sample[] {
  return regions.map((members) => {
    const found = { tp: 0, fp: 0, fn: 0, tn: 0 };
    t.forEach((label, i) => {
      const [isTarget, isPredicted] = [members.includes(label), members.includes(p[i] as number)];
      if (isTarget) found[isPredicted ? 'tp' : 'fn']++;
      else found[isPredicted ? 'fp' : 'tn']++;
    });
    return found;
  });
}

describe('regions', () => {
  const predicted = [0, 1, 2, 3, 3, 0];
  const truth = [1, 1, 1, 3, 2, 0];
  const options = { classes: 4, decision: 'labels', regions: brats } as const;
  const maps = [predicted, truth].map((map) => tensor(map, [1, 6], 'uint8')) as [Typed, Typed];

  test('by hand', () => {
    const metrics = new SegmentationMetrics(options).update(...maps);
    // whole: 4 of 5 found. core: voxels 1 and 3 of 0 to 3, and 4 is wrong. enhancing: 3, and 4 is wrong.
    expect([...metrics.perClass('dice')]).toEqual([8 / 9, 4 / 7, 2 / 3]);
    expect(metrics.counts()[1]).toEqual({ tp: 2, fp: 1, fn: 2, tn: 1 });
    expect(metrics.average('dice')).toBeCloseTo((8 / 9 + 4 / 7 + 2 / 3) / 3, 14);
    expect(metrics.average('dice', 'micro')).toBeCloseTo(14 / (14 + 2 + 3), 14);
    expect(metrics.classNames).toEqual(['whole', 'core', 'enhancing']);
    expect(metrics.confusion()).toHaveLength(16);
  });

  test.each([4, 40, 1100])('of %d classes, as a loop over the voxels counts them', (C) => {
    const random = new Random(C);
    const [N, S] = [3, 700];
    const map = (most: number) => Array.from({ length: N * S }, () => random.integer(most));
    const [p, t] = [map(C), map(C)];
    const ignoreIndex = 65_535;
    const labels = t.map((label, i) => (i % 5 === 0 ? ignoreIndex : label));
    const regions = {
      all: Array.from({ length: C }, (_, c) => c),
      'class 1': [1],
      odd: Array.from({ length: C / 2 }, (_, c) => 2 * c + 1),
      'last two': [C - 1, C - 2],
    };
    const [x, y] = [p, labels].map((values) => tensor(values, [N, S], 'uint16')) as [Typed, Typed];
    const whole = new SegmentationMetrics({
      classes: C,
      decision: 'labels',
      ignoreIndex,
      regions,
      aggregate: 'samples',
    }).update(x, y);
    const expected = Array.from({ length: N }, (_, n) => {
      const kept = (values: number[]) =>
        values.slice(n * S, (n + 1) * S).filter((_, i) => (n * S + i) % 5 !== 0);
      return countRegions(Object.values(regions), kept(p), kept(t));
    });
    const rows = expected.flat().flatMap(({ tp, fp, fn, tn }) => [tn, fp, fn, tp]);
    expect(whole.toJSON().perSample).toEqual(rows);
    const sums = rows
      .slice(0, 16)
      .map((_, i) => [0, 1, 2].reduce((sum, n) => sum + (rows[16 * n + i] as number), 0));
    expect(whole.counts().flatMap(({ tp, fp, fn, tn }) => [tn, fp, fn, tp])).toEqual(sums);
    if (C > 100) return; // a confusion matrix of two million numbers takes seconds to compare
    expect(SegmentationMetrics.fromJSON(JSON.parse(JSON.stringify(whole))).toJSON()).toEqual(
      whole.toJSON(),
    );
  });

  test('of argmax: a voxel of no class is in no region', () => {
    const logits = tensor([1, Number.NaN, 0, 0, 1, 1, 0, 0, 2], [1, 3, 3]);
    const regions = { any: [0, 1, 2], right: [1, 2] };
    const metrics = new SegmentationMetrics({ classes: 3, regions });
    metrics.update(logits, tensor([0, 1, 2], [1, 3], 'uint8'));
    expect(metrics.counts()).toEqual([
      { tp: 2, fp: 0, fn: 1, tn: 0 },
      { tp: 1, fp: 0, fn: 1, tn: 1 },
    ]);
  });

  test('surfaces of regions are those of masks of their union', () => {
    const shape = [9, 8, 7];
    const maps = [3, 4].map((seed) => makeMap(shape, 'noise', seed)) as [Uint8Array, Uint8Array];
    const regions = { both: [1, 2], one: [1], rest: [0, 2] };
    const measure = {
      decision: 'labels',
      tolerance: 1,
      boundaryDistance: 1.5,
      spacing: [1, 2, 1.5],
    } as const;
    const of = (
      options: { classes: number; regions?: typeof regions },
      change: (c: number) => number,
    ) =>
      new SurfaceMetrics({ ...measure, ...options })
        .update(
          ...(maps.map((map) => tensor(map.map(change), [1, ...shape], 'uint8')) as [Typed, Typed]),
        )
        .toJSON().rows;
    const measured = of({ classes: 3, regions }, (c) => c);
    Object.values(regions).forEach((members, i) => {
      const alone = of({ classes: 2 }, (c) => (members.includes(c) ? 1 : 0)).slice(14);
      expect(measured.slice(14 * i, 14 * (i + 1))).toEqual(alone);
      expect(alone[0]).toBeGreaterThan(0);
    });
  });

  test('a tolerance for each region', () => {
    const metrics = new SurfaceMetrics({ ...options, tolerance: [1, 2, 3] });
    expect(metrics.classNames).toEqual(Object.keys(brats));
    const [x, y] = maps.map(({ data }) =>
      tensor([...(data as Uint8Array)], [1, 2, 3], 'uint8'),
    ) as [Typed, Typed];
    expect(metrics.update(x, y).perClass('surfaceDice')).toHaveLength(3);
  });
});

describe('names', () => {
  const map = full([2, 4], 1, 'uint8');
  const labels = { classes: 2, decision: 'labels', aggregate: 'samples' } as const;

  test('of classes', () => {
    expect(new SegmentationMetrics({ classes: 2 }).classNames).toEqual(['0', '1']);
    const classNames = ['background', 'liver'];
    expect(new SegmentationMetrics({ classes: 2, classNames }).classNames).toEqual(classNames);
    expect(new SurfaceMetrics({ classes: 2, classNames }).classNames).toEqual(classNames);
  });

  test('tiles of one name are one sample', async () => {
    const { predictions, target } = make({ ...small, N: 4, S: 64 });
    const tile = (from: Typed, n: number, rows: number): Typed => {
      const size = (from.data.length / 4) * rows;
      return tensor(
        [...(from.data.slice(n * size, (n + 1) * size) as never)],
        [rows, ...from.shape.slice(1)],
        from.dtype,
      );
    };
    const options = { classes: 3, aggregate: 'samples' } as const;
    const metrics = new SegmentationMetrics(options);
    metrics.update(tile(predictions, 0, 1), tile(target, 0, 1), { sample: 'a' });
    metrics.update(tile(predictions, 1, 1), tile(target, 1, 1));
    await metrics.updateAsync(tile(predictions, 1, 2), tile(target, 1, 2), { sample: ['ä', 'a'] });
    expect(metrics.samples).toBe(3);
    expect(metrics.sampleNames).toEqual(['a', '', 'ä']);

    const single = new SegmentationMetrics(options).update(predictions, target).toJSON().perSample;
    const row = (n: number) => single.slice(12 * n, 12 * (n + 1));
    const first = row(0).map((count, i) => count + (row(3)[i] as number));
    expect(metrics.toJSON()).toMatchObject({
      samples: 3,
      perSample: [...first, ...row(1), ...row(2)],
      names: ['a', '', 'ä'],
    });
    expect([...metrics.perSample('dice')].slice(3)).toEqual(
      [...new SegmentationMetrics(options).update(predictions, target).perSample('dice')].slice(
        3,
        9,
      ),
    );
  });

  test('all tiles of a batch are one sample by one name', () => {
    const metrics = new SegmentationMetrics(labels).update(map, map, { sample: 'case' });
    expect(metrics.samples).toBe(1);
    expect(metrics.toJSON().perSample).toEqual([8, 0, 0, 0, 0, 0, 0, 8]);
  });

  test('merged parts add up by name', () => {
    const part = (...sample: string[]) =>
      new SegmentationMetrics(labels).update(map, map, { sample });
    const merged = part('a', 'b').merge(part('b', 'c')).merge(part('a', 'a'));
    expect(merged.sampleNames).toEqual(['a', 'b', 'c']);
    expect(merged.toJSON().perSample.filter((_, i) => i % 8 === 7)).toEqual([12, 8, 4]);
    const copy = SegmentationMetrics.fromJSON(JSON.parse(JSON.stringify(merged)));
    expect(copy.update(map, map, { sample: 'c' }).toJSON()).toMatchObject({ samples: 3 });
    expect(copy.toJSON().perSample.filter((_, i) => i % 8 === 7)).toEqual([12, 8, 12]);
    copy.merge(copy);
    expect(copy.toJSON().perSample.filter((_, i) => i % 8 === 7)).toEqual([24, 16, 24]);
    copy.reset();
    expect(copy.sampleNames).toEqual([]);
    expect(copy.update(map, map, { sample: 'c' }).samples).toBe(1);
  });

  test('a sample of surfaces has a name of its own', async () => {
    const image = full([1, 3, 3], 1, 'uint8');
    const metrics = new SurfaceMetrics({ classes: 2, decision: 'labels' });
    metrics.update(image, image, { sample: 'a' }).update(image, image);
    const pending = metrics.updateAsync(onShared(image), onShared(image), { sample: 'b' });
    for (const sample of ['a', 'b', ['c'], 'c'].slice(0, 2))
      expect(() => metrics.update(image, image, { sample })).toThrow(
        'Expected a new name for sample',
      );
    const two = full([2, 3, 3], 1, 'uint8');
    expect(() => metrics.update(two, two, { sample: ['x', 'x'] })).toThrow(
      "Expected a new name for sample but received 'x'",
    );
    await pending;
    const wrong = full([1, 3, 3], 7, 'uint8');
    await expect(metrics.updateAsync(image, wrong, { sample: 'c' })).rejects.toThrow();
    metrics.update(image, image, { sample: ['c'] });
    expect(metrics.sampleNames).toEqual(['a', '', 'b', 'c']);
    const copy = SurfaceMetrics.fromJSON(JSON.parse(JSON.stringify(metrics)));
    expect(copy.toJSON()).toEqual(metrics.toJSON());
    expect(() => copy.merge(metrics)).toThrow("Expected a new name for sample but received 'a'");
    expect(copy.samples).toBe(4);
  });
});

describe('errors', () => {
  const map = full([1, 4], 1, 'uint8');
  const make = (options: object) => () =>
    new SegmentationMetrics({ classes: 2, ...options } as MetricsOptions);
  const listed = new SegmentationMetrics({
    classes: 2,
    decision: 'threshold',
    threshold: [0.5, 1.5],
  });
  const refused: [string, () => unknown, string][] = [
    [
      'no object',
      make({ regions: [[1]] }),
      'Expected an object of lists of classes for regions but received [[...]]',
    ],
    [
      'no regions',
      make({ regions: {} }),
      'Expected 1 to 65536 regions for regions but received {}',
    ],
    [
      'no list',
      make({ regions: { a: 1 } }),
      "Expected an array of classes for regions['a'] but received 1",
    ],
    [
      'no class',
      make({ regions: { a: [] } }),
      "Expected one or more classes, each once, for regions['a'] but received []",
    ],
    [
      'a class twice',
      make({ regions: { a: [1, 1] } }),
      "Expected one or more classes, each once, for regions['a']",
    ],
    ['class 2 of 2', make({ regions: { a: [2] } }), "for regions['a'][0] but received 2"],
    ['a hole', make({ regions: { a: Array(1) } }), "for regions['a'][0] but received undefined"],
    [
      'an empty name',
      make({ regions: { '': [1] } }),
      'Expected a text that is not empty for the name of a region',
    ],
    [
      'regions of thresholds',
      make({ decision: 'threshold', threshold: 0, regions: brats }),
      "regions cannot be combined with decision 'threshold': its classes may overlap already",
    ],
    [
      'regions without background',
      make({ regions: { a: [1] }, background: false }),
      'background: false cannot be combined with regions',
    ],
    [
      'names',
      make({ classNames: 'a' }),
      "Expected an array of names for classNames but received 'a'",
    ],
    [
      'too few names',
      make({ classNames: ['a'] }),
      'Expected 2 different names, one per class, for classNames',
    ],
    [
      'a name twice',
      make({ classNames: ['a', 'a'] }),
      'Expected 2 different names, one per class, for classNames',
    ],
    [
      'a number',
      make({ classNames: ['a', 1] }),
      'Expected a text for classNames[1] but received 1',
    ],
    [
      'sample',
      () =>
        new SegmentationMetrics({ classes: 2, decision: 'labels' }).update(map, map, {
          sample: 'a',
        }),
      "sample needs aggregate 'samples'",
    ],
    ...(
      [
        [1, 'Expected a text, or an array of texts, for sample but received 1'],
        [['a', 'b'], "Expected 1 names, one per sample, for sample but received ['a', 'b']"],
        [[7], 'Expected a text for sample[0] but received 7'],
        ['', "Expected a text that is not empty for sample but received ''"],
      ] as [never, string][]
    ).map(([sample, message]): [string, () => unknown, string] => [
      `sample ${JSON.stringify(sample)}`,
      () =>
        new SegmentationMetrics({ classes: 2, decision: 'labels', aggregate: 'samples' }).update(
          map,
          map,
          { sample },
        ),
      message,
    ]),
    [
      'no thresholds',
      make({ decision: 'threshold', threshold: [] }),
      'Expected different numbers, one or more, for threshold but received []',
    ],
    [
      'a threshold twice',
      make({ decision: 'threshold', threshold: [1, 1] }),
      'Expected different numbers, one or more, for threshold',
    ],
    [
      'a text',
      make({ decision: 'threshold', threshold: ['1'] }),
      "for threshold[0] but received '1'",
    ],
    [
      'infinite',
      make({ decision: 'threshold', threshold: [0, Infinity] }),
      'Expected a finite number for threshold[1] but received Infinity',
    ],
    [
      'at() without a list',
      () => new SegmentationMetrics({ classes: 2 }).at(1),
      'at() needs a list for the option threshold',
    ],
    [
      'at() of another',
      () => listed.at(0.4),
      'Expected one of [0.5, 1.5] for threshold but received 0.4',
    ],
    [
      'masks',
      () => listed.update(full([1, 2, 4], 1, 'uint8'), map),
      'Expected a number from 0 to below 1 for threshold, as predictions are masks (uint8), but received 1.5',
    ],
    [
      'no probabilities',
      () => listed.update(full([1, 2, 4], 3), map),
      'Expected values from 0 to 1 for predictions but received 8 other values',
    ],
    ...(['perClass', 'perSample', 'average', 'counts'] as const).map(
      (method): [string, () => unknown, string] => [
        method,
        () => listed[method]('dice'),
        `${method}() needs one threshold, as the metrics of at(threshold) have`,
      ],
    ),
    [
      'surfaces',
      () => new SurfaceMetrics({ classes: 2, decision: 'threshold', threshold: [0] as never }),
      'Expected one number for threshold but received [0]',
    ],
    [
      'state',
      () => SegmentationMetrics.fromJSON({ ...listed.toJSON(), names: ['a'] }),
      'Expected 0 names for state.names',
    ],
    [
      'names twice',
      () =>
        SurfaceMetrics.fromJSON({
          options: { classes: 1, decision: 'labels' },
          samples: 2,
          rows: Array(28).fill(0),
          names: ['a', 'a'],
        }),
      'Expected different names for state.names',
    ],
  ];

  test.each(refused)('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(inOneForm);
  });
});
