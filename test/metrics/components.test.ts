// Metrics of connected components: by hand, and as MONAI and loops with SciPy find them (test/peers/surfaces.py).
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  ComponentMetrics,
  type ComponentOptions,
  type ComponentScoreName,
  getThreads,
  report,
  setThreads,
} from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { makeMap, mapsOf, type SurfaceCase } from '../support/surfaces.js';
import { onShared, type Typed, tensor } from '../support/tensors.js';

const recorded = path.join(__dirname, '../peers/surfaces.json');
const { cases } = JSON.parse(
  readFileSync(process.env.WARPDICE_PEERS_SURFACES ?? recorded, 'utf8'),
) as { cases: SurfaceCase[] };

const solved = cases.filter(({ classes }) => classes.some((one) => one?.components));

describe('as the libraries find them', () => {
  test.each(
    solved.map((one) => [`${one.kind} ${one.shape.join(' x ')}, seed ${one.seed}`, one] as const),
  )('%s', (_, one) => {
    for (const connectivity of ['corners', 'faces'] as const) {
      const metrics = new ComponentMetrics({ classes: 3, decision: 'labels', connectivity });
      metrics.update(...mapsOf(one));
      one.classes.forEach((libraries, i) => {
        const { components } = libraries ?? {};
        if (!components) return;
        for (const name of metrics.scoreNames) {
          expect({ name, score: metrics.perSample(name)[i + 1] }).toEqual({
            name,
            score: expect.closeTo(components[connectivity][name], 12),
          });
        }
        // Its numbers are float32.
        if (connectivity === 'corners')
          expect(metrics.perSample('regionDice')[i + 1]).toBeCloseTo(components.monai, 6);
      });
    }
  });

  test('the cases have enough in them', () => {
    expect(solved.length).toBeGreaterThan(25);
    const dice = solved.flatMap(({ classes }) =>
      classes.flatMap((one) => one?.components?.corners.regionDice ?? []),
    );
    expect(new Set(dice).size).toBeGreaterThan(25);
  });
});

const scoresOf = (metrics: ComponentMetrics, c = 1) =>
  Object.fromEntries(metrics.scoreNames.map((name) => [name, metrics.perClass(name)[c]]));

describe('by hand', () => {
  const options = { classes: 2, decision: 'labels' } as const;
  const rows = (...lines: string[]): Typed =>
    tensor(
      [...lines.join('')].map((letter) => (letter === '#' ? 1 : 0)),
      [1, lines.length, (lines[0] as string).length],
      'uint8',
    );

  test('two components found, one missed, one false', () => {
    const target = rows('##.....#', '##......', '.....#..');
    const predicted = rows('#......#', '##......', '#..#....');
    const metrics = new ComponentMetrics({ ...options, connectivity: 'faces' });
    metrics.update(predicted, target);
    // The square: 3 of 4 found, one beyond; the pixel above: whole; the pixel below: a false one is nearest to it.
    expect(scoresOf(metrics)).toEqual({
      regionDice: (6 / 8 + 1 + 0) / 3,
      lesionDice: (6 / 8 + 1 + 0) / (3 + 1),
      lesionRecall: 2 / 3,
      lesionPrecision: 2 / 3,
      lesionF1: 4 / (4 + 1 + 1),
    });
  });

  test('corners connect, or do not', () => {
    const target = rows('#..', '.#.', '..#');
    const predicted = rows('#..', '...', '...');
    const of = (connectivity: 'corners' | 'faces') =>
      new ComponentMetrics({ ...options, connectivity }).update(predicted, target);
    expect(of('corners').perClass('regionDice')[1]).toBe(1 / 2);
    expect(of('faces').perClass('regionDice')[1]).toBe(1 / 3);
    expect(new ComponentMetrics(options).options.connectivity).toBe('corners');
  });

  test('one component of the prediction that matches two', () => {
    const target = rows('##..##', '......', '......');
    const metrics = new ComponentMetrics(options).update(
      rows('######', '......', '......'),
      target,
    );
    // Dice of each with all six; in its region each has one voxel too many.
    expect(scoresOf(metrics)).toMatchObject({
      regionDice: 4 / 5,
      lesionDice: 4 / 8,
      lesionPrecision: 1,
      lesionF1: 1,
    });
  });

  test('the nearest component is that of the spacing', () => {
    const target = rows('#...#', '.....', '.....', '..#..');
    const predicted = rows('.....', '..#..', '.....', '.....');
    const of = (spacing?: readonly number[]) =>
      new ComponentMetrics({ ...options, ...(spacing && { spacing }) })
        .update(predicted, target)
        .toJSON().rows;
    expect(of()).toEqual(of([1, 1]));
    // No Dice says which component a false voxel is in: a hit in one of them does.
    const hit = rows('.....', '..#..', '.....', '..#..');
    const dice = (spacing: readonly number[]) =>
      new ComponentMetrics({ ...options, spacing, connectivity: 'faces' })
        .update(hit, target)
        .perClass('regionDice')[1];
    expect(dice([1, 2])).toBe((0 + 0 + 2 / 3) / 3); // 2 rows of 1 are nearer than a row and 2 columns of 2
    expect(dice([3, 1])).toBe((0 + 0 + 1) / 3);
  });

  test('a class that is missed, a false alarm, one that is nowhere', () => {
    const maps = [
      [0, 1, 0, 0, 0, 3],
      [2, 0, 0, 0, 0, 3],
    ].map((map) => tensor(map, [1, 1, 6], 'uint8')) as [Typed, Typed];
    const of = (absent: ComponentOptions['absent'], name: ComponentScoreName) => [
      ...new ComponentMetrics({ classes: 5, decision: 'labels', ...(absent && { absent }) })
        .update(...maps)
        .perSample(name)
        .slice(1),
    ];
    for (const name of new ComponentMetrics(options).scoreNames) {
      expect(of(undefined, name)).toEqual([Number.NaN, 0, 1, Number.NaN]);
      expect(of('agree', name)).toEqual([0, 0, 1, 1]);
    }
  });

  test('regions, names, a report, merging and JSON, off the event loop', async () => {
    const shape = [9, 8, 7];
    const maps = [3, 4].map((seed) =>
      tensor(makeMap(shape, 'noise', seed), [1, ...shape], 'uint8'),
    ) as [Typed, Typed];
    const regions = { both: [1, 2], one: [1] };
    const make = () => new ComponentMetrics({ classes: 3, decision: 'labels', regions });
    const metrics = make().update(...maps, { sample: 'a' });
    const others = await make().updateAsync(onShared(maps[1]), onShared(maps[0]), { sample: 'b' });
    expect(report(metrics).toJSON()).toMatchObject({
      scores: metrics.scoreNames,
      classes: ['both', 'one'],
    });
    const joined = ComponentMetrics.fromJSON(JSON.parse(JSON.stringify(metrics))).merge(others);
    expect(joined.sampleNames).toEqual(['a', 'b']);
    const binary = maps.map(({ data, shape: of }) =>
      tensor(
        [...(data as Uint8Array)].map((c) => (c > 0 ? 1 : 0)),
        of,
        'uint8',
      ),
    ) as [Typed, Typed];
    expect(new ComponentMetrics(options).update(...binary).perClass('regionDice')[1]).toBe(
      joined.perSample('regionDice')[0],
    );
  });

  test('the same bits with one thread and with three', () => {
    const before = getThreads();
    const shape = [70, 61, 67];
    const maps = [1, 2].map((seed) =>
      tensor(makeMap(shape, 'noise', seed), [1, ...shape], 'uint8'),
    );
    const rows = [1, 3].map((threads) => {
      setThreads(threads);
      const metrics = new ComponentMetrics({ classes: 3, decision: 'labels' });
      return metrics.update(maps[0] as Typed, maps[1] as Typed).toJSON().rows;
    });
    setThreads(before);
    expect(rows[1]).toEqual(rows[0]);
  });
});

test.each<[string, () => unknown, string]>([
  [
    'connectivity',
    () => new ComponentMetrics({ classes: 2, connectivity: 6 as never }),
    "Expected one of 'corners', 'faces' for connectivity but received 6",
  ],
  [
    'an option of surfaces',
    () => new ComponentMetrics({ classes: 2, tolerance: 1 } as never),
    "Unknown option 'tolerance'",
  ],
  [
    'a score',
    () => new ComponentMetrics({ classes: 2 }).average('dice' as never),
    "for name but received 'dice'",
  ],
  [
    'merge',
    () =>
      new ComponentMetrics({ classes: 2 }).merge(
        new ComponentMetrics({ classes: 2, connectivity: 'faces' }),
      ),
    'for other but received those of',
  ],
  [
    'rows',
    () => ComponentMetrics.fromJSON({ options: { classes: 2 }, samples: 1, rows: [1] }),
    'Expected 16 numbers for state.rows but received [1]',
  ],
])('%s is refused', (_, call, message) => {
  expect(call).toThrow(message);
  expect(call).toThrow(inOneForm);
});
