// Surface metrics: what SciPy, MONAI and surface-distance say of the same masks (test/peers/surfaces.py), numbers by hand, how
// predictions become masks, and merging.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  getThreads,
  type MetricsAbsent,
  SurfaceMetrics,
  type SurfaceOptions,
  type SurfaceScoreName,
  setThreads,
} from '../../lib/index.js';
import { makeMap, mapsOf, type SurfaceCase } from '../support/surfaces.js';
import { onShared, type Typed, tensor } from '../support/tensors.js';

const recorded = path.join(__dirname, '../peers/surfaces.json');
const { cases } = JSON.parse(
  readFileSync(process.env.WARPDICE_PEERS_SURFACES ?? recorded, 'utf8'),
) as { cases: SurfaceCase[] };

/** MONAI's distances are float32. */
const within: Record<string, number> = { scipy: 1e-12, 'surface-distance': 1e-12, monai: 1e-6 };

function optionsOf(one: SurfaceCase): SurfaceOptions {
  const { spacing, percentile, tolerance, boundaryDistance } = one;
  return { classes: 3, decision: 'labels', spacing, percentile, tolerance, boundaryDistance };
}

/** What differs from the libraries. */
function differences(one: SurfaceCase): string[] {
  const maps = mapsOf(one);
  const { boundaryDistance: _, ...options } = optionsOf(one); // which surface-distance does not have
  const voxels = new SurfaceMetrics(optionsOf(one)).update(...maps);
  const elements = new SurfaceMetrics({ ...options, surface: 'elements' }).update(...maps);
  return one.classes.flatMap((solved, i) => {
    const { components: _, ...libraries } = solved ?? {};
    return Object.entries(libraries).flatMap(([library, scores]) =>
      Object.entries(scores).flatMap(([name, theirs]) => {
        const metrics = library === 'surface-distance' ? elements : voxels;
        const ours = metrics.perSample(name as SurfaceScoreName)[i + 1] as number;
        const close = Math.abs(ours - theirs) <= (within[library] as number) * Math.max(1, theirs);
        return close ? [] : [`${library}, ${name} of class ${i + 1}: ${ours}, not ${theirs}`];
      }),
    );
  });
}

describe('as the libraries measure them', () => {
  test.each(
    cases.map((one) => [`${one.kind} ${one.shape.join(' x ')}, seed ${one.seed}`, one] as const),
  )('%s', (_, one) => {
    expect(differences(one)).toEqual([]);
  });

  test('the cases have enough in them', () => {
    const solved = cases.flatMap(({ classes }) => classes).filter((one) => one !== null);
    expect(solved.length).toBeGreaterThan(cases.length);
    expect(new Set(cases.map(({ kind, shape }) => `${kind} ${shape.length}`)).size).toBe(5);
  });
});

describe('by hand', () => {
  const options: SurfaceOptions = { classes: 2, decision: 'labels', spacing: [1, 2], tolerance: 1 };
  // The left column, and two pixels of the upper row.
  const p = tensor([1, 0, 0, 1, 0, 0], [1, 2, 3], 'uint8');
  const t = tensor([1, 0, 1, 0, 0, 0], [1, 2, 3], 'uint8');
  const of = (more: Partial<SurfaceOptions>, name: SurfaceScoreName, c = 1) =>
    new SurfaceMetrics({ ...options, ...more }).update(p, t).perClass(name)[c];

  test('distances between voxels', () => {
    expect(of({}, 'hausdorff')).toBe(4);
    expect(of({ percentile: 50 }, 'hausdorffPercentile')).toBe(2); // of 0 and 4
    expect(of({ percentile: 25 }, 'hausdorffPercentile')).toBe(1);
    expect(of({}, 'averageDistance')).toBe(1 / 2);
    expect(of({}, 'averageSymmetricDistance')).toBe((0 + 1 + 0 + 4) / 4);
    expect(of({}, 'surfaceDice')).toBe(3 / 4);
    expect(of({ tolerance: [0, 0.5] }, 'surfaceDice')).toBe(2 / 4);
  });

  test('boundary IoU: of a square of 5 x 5 and one of 5 x 4, the frames of one pixel and of two', () => {
    const square = (columns: number) =>
      tensor(
        Array.from({ length: 49 }, (_, i) => {
          const [y, x] = [Math.floor(i / 7), i % 7];
          return y > 0 && y < 6 && x > 0 && x <= columns ? 1 : 0;
        }),
        [1, 7, 7],
        'uint8',
      );
    const iou = (boundaryDistance: number) =>
      new SurfaceMetrics({ classes: 2, decision: 'labels', boundaryDistance })
        .update(square(5), square(4))
        .perClass('boundaryIou')[1];
    // 16 and 14 pixels, of which 11 are common: all 14 but the last column's inner 3.
    expect(iou(1)).toBe(11 / 19);
    // 24 (all but the middle) and 20 (all), of which all but the middle are common.
    expect(iou(2)).toBe(19 / 25);
  });

  test('the average leaves the background out on request, and spacing is of the batch', () => {
    const metrics = new SurfaceMetrics({ ...options, background: false });
    metrics.update(p, t).update(p, t, { spacing: [1, 3] });
    expect(metrics.average('hausdorff')).toBe((4 + 6) / 2);
    expect([...metrics.perClass('hausdorff')].slice(1)).toEqual([5]);
    expect(metrics.samples).toBe(2);
    expect(metrics.perClass('hausdorff', { out: new Float64Array(2) })[1]).toBe(5);
  });
});

describe('a class that is missing', () => {
  // Class 1 is a false alarm, class 2 is missed, class 3 is nowhere, class 4 is right.
  const p = tensor([0, 1, 0, 4], [1, 2, 2], 'uint8');
  const t = tensor([0, 0, 2, 4], [1, 2, 2], 'uint8');
  const scores = (absent: MetricsAbsent, name: SurfaceScoreName) =>
    [
      ...new SurfaceMetrics({
        classes: 5,
        decision: 'labels',
        absent,
        tolerance: 0,
        boundaryDistance: 1,
        worstDistance: 9,
      })
        .update(p, t)
        .perSample(name),
    ].slice(1);
  const { NaN: none } = Number;

  test.each([
    ['hausdorff', 0, 9],
    ['hausdorffPercentile', 0, 9],
    ['averageDistance', 0, 9],
    ['averageSymmetricDistance', 0, 9],
    ['surfaceDice', 1, 0],
    ['boundaryIou', 1, 0],
  ] as const)('%s', (name, best, worst) => {
    expect(scores('skip', name)).toEqual([none, worst, none, best]);
    expect(scores('agree', name)).toEqual([worst, worst, best, best]);
    expect(scores('skip-agreed', name)).toEqual([worst, worst, none, best]);
    expect(scores('perfect', name)).toEqual([best, worst, best, best]);
    expect(scores('worst', name)).toEqual([worst, worst, worst, best]);
    expect(scores('formula', name)).toEqual([worst, worst, 0, best]);
  });

  test('its distance is infinite by default', () => {
    const metrics = new SurfaceMetrics({ classes: 5, decision: 'labels' }).update(p, t);
    expect([...metrics.perClass('hausdorff')].slice(2)).toEqual([Infinity, none, 0]);
    expect(metrics.average('hausdorff')).toBe(Infinity);
    expect(new SurfaceMetrics({ classes: 2 }).average('hausdorff')).toBeNaN();
  });
});

describe('predictions become masks as in SegmentationMetrics', () => {
  const [N, C, shape] = [2, 3, [7, 5]];
  const S = 35;
  const p = Array.from({ length: N }, (_, n) => [...makeMap(shape, 'noise', n + 1)]).flat();
  const t = Array.from({ length: N }, (_, n) => [...makeMap(shape, 'noise', n + 9)]).flat();
  const maps = (values: number[]) => tensor(values, [N, ...shape], 'uint8');
  const options = { classes: C, spacing: [1, 1.5], tolerance: 1, boundaryDistance: 1 };
  const rows = (more: Partial<SurfaceOptions>, x: Typed, y: Typed) =>
    new SurfaceMetrics({ ...options, ...more }).update(x, y).toJSON().rows;
  const expected = rows({ decision: 'labels' }, maps(p), maps(t));

  const dense = (
    values: number[],
    last: boolean,
    off: number,
    on: number,
    dtype: Typed['dtype'],
  ) => {
    const to = new Float64Array(N * C * S).fill(off);
    values.forEach((c, i) => {
      const [n, s] = [Math.floor(i / S), i % S];
      to[last ? i * C + c : (n * C + c) * S + s] = on;
    });
    return tensor(to, last ? [N, ...shape, C] : [N, C, ...shape], dtype);
  };

  test.each(['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int64'] as const)(
    '%s',
    (dtype) => {
      const [off, on] = dtype === 'uint8' || dtype === 'int64' ? [0, 1] : [-2.5, 3];
      for (const layout of ['channels-first', 'channels-last'] as const) {
        const last = layout === 'channels-last';
        const x = dense(p, last, off, on, dtype);
        expect(rows({ layout }, x, maps(t))).toEqual(expected);
        expect(rows({ layout }, x, dense(t, last, 0, 1, 'uint8'))).toEqual(expected);
        expect(rows({ layout, decision: 'threshold', threshold: 0 }, x, maps(t))).toEqual(expected);
        const soft = dense(t, last, 0.1, 0.9, 'float32');
        expect(rows({ layout, decision: 'threshold', threshold: 0 }, x, soft)).toEqual(expected);
      }
    },
  );

  test.each(['int16', 'uint16', 'int32', 'int64'] as const)('label maps of %s', (dtype) => {
    const [x, y] = [tensor(p, [N, ...shape], dtype), tensor(t, [N, ...shape], dtype)];
    expect(rows({ decision: 'labels' }, x, y)).toEqual(expected);
  });

  test('a NaN predicts no class, and ties go to the lowest', () => {
    const x = dense(p, false, 0, 1, 'float32');
    p.forEach((c, i) => {
      const voxel = (k: number) => (Math.floor(i / S) * C + k) * S + (i % S);
      if (i % 3 === 0) x.data[voxel(1)] = Number.NaN as never;
      else if (c === 0) x.data[voxel(2)] = 1 as never;
    });
    const nearly = p.map((c, i) => (i % 3 === 0 ? 255 : c));
    const ignoring = { decision: 'labels', ignoreIndex: 255 } as const;
    expect(rows({}, x, maps(t))).toEqual(rows(ignoring, maps(nearly), maps(t)));
  });

  test('ignored voxels are of no class', () => {
    const left = t.map((_, i) => (i % 4 === 0 ? 0 : 1));
    const ignored = t.map((label, i) => (left[i] === 0 ? 255 : label));
    const options = { decision: 'labels', ignoreIndex: 255 } as const;
    const ignoring = rows(options, maps(p), maps(ignored));
    const [a, b] = [p, t].map((map) => map.map((c, i) => (left[i] === 0 ? 0 : c))) as [
      number[],
      number[],
    ];
    const sides = rows({ decision: 'labels' }, maps(a), maps(b));
    for (let n = 0; n < N; n++) {
      const [from, to] = [(n * C + 1) * 14, (n + 1) * C * 14]; // classes 1 and 2
      expect(ignoring.slice(from, to)).toEqual(sides.slice(from, to));
    }
  });

  test('one class: masks', () => {
    const [x, y] = [p, t].map((map) => map.map((c) => (c === 1 ? 1 : 0))) as [number[], number[]];
    const of = (values: number[]) => tensor(values, [N, 1, ...shape], 'float32');
    const options = { classes: 1, decision: 'threshold', threshold: 0.5 } as const;
    const alone = rows(options, of(x), maps(y));
    for (let n = 0; n < N; n++)
      expect(alone.slice(n * 14, n * 14 + 14)).toEqual(
        expected.slice((n * C + 1) * 14, (n * C + 1) * 14 + 14),
      );
  });
});

describe('off the event loop, on threads, in parts', () => {
  const small = cases
    .filter(({ kind, shape }) => kind !== 'brain' && shape.length === 3)
    .slice(0, 4);
  const options = { classes: 3, decision: 'labels', tolerance: 1, boundaryDistance: 1 } as const;
  const metricsOf = (chosen: SurfaceCase[]) => {
    const metrics = new SurfaceMetrics(options);
    for (const each of chosen) metrics.update(...mapsOf(each));
    return metrics;
  };

  test('the same bits with one thread and with three', () => {
    const before = getThreads();
    const shape = [70, 61, 67]; // so large that threads share it
    const [x, y] = [1, 2].map((seed) =>
      tensor(makeMap(shape, 'noise', seed), [1, ...shape], 'uint8'),
    ) as [Typed, Typed];
    const rows = [1, 3].map((threads) => {
      setThreads(threads);
      return ['voxels', 'elements'].map(
        (surface) =>
          new SurfaceMetrics({ ...options, surface: surface as 'voxels' }).update(x, y).toJSON()
            .rows,
      );
    });
    setThreads(before);
    expect(rows[1]).toEqual(rows[0]);
  });

  test('updateAsync measures as update does, on plain and on shared memory', async () => {
    const [x, y] = mapsOf(small[0] as SurfaceCase);
    const expected = new SurfaceMetrics(options).update(x, y).toJSON();
    for (const change of [(map: Typed) => map, onShared]) {
      const metrics = new SurfaceMetrics(options);
      const pending = metrics.updateAsync(change(x), change(y));
      expect(metrics.samples).toBe(0);
      expect(await pending).toBe(metrics);
      expect(metrics.toJSON()).toEqual(expected);
    }
  });

  test('merged, through JSON, after a reset', () => {
    const whole = metricsOf(small);
    const parts = [small.slice(0, 1), small.slice(1)].map(metricsOf) as [
      SurfaceMetrics,
      SurfaceMetrics,
    ];
    const copy = SurfaceMetrics.fromJSON(JSON.parse(JSON.stringify(parts[0])));
    expect(copy.merge(parts[1]).toJSON()).toEqual(whole.toJSON());
    expect(copy.average('surfaceDice')).toBe(whole.average('surfaceDice'));
    expect(copy.merge(copy).samples).toBe(2 * small.length);
    copy.reset();
    expect(copy.toJSON()).toEqual(new SurfaceMetrics(options).toJSON());
  });
});
