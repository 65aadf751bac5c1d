import { describe, expect, test } from '@jest/globals';
import { SurfaceMetrics } from '../../lib/index.js';
import { callSurfaces } from '../../lib/metrics/measure-batch.js';
import { native } from '../../lib/native/load.js';
import { inOneForm } from '../support/errors.js';
import { full, tensor } from '../support/tensors.js';

describe('errors', () => {
  const map = full([1, 3, 3], 1, 'uint8');
  const labels = { classes: 2, decision: 'labels' } as const;
  const refused: [string, () => unknown, string][] = [
    [
      'tolerance',
      () => new SurfaceMetrics(labels).average('surfaceDice'),
      "Score 'surfaceDice' needs the option tolerance",
    ],
    [
      'boundaryDistance',
      () => new SurfaceMetrics(labels).perClass('boundaryIou'),
      "Score 'boundaryIou' needs the option boundaryDistance",
    ],
    [
      'name',
      () => new SurfaceMetrics(labels).average('dice' as never),
      "Expected one of 'hausdorff', 'hausdorffPercentile', 'averageDistance', 'averageSymmetricDistance', 'surfaceDice', 'boundaryIou' for name but received 'dice'",
    ],
    [
      'spacing',
      () => new SurfaceMetrics({ ...labels, spacing: 2 as never }),
      'Expected an array of numbers for spacing but received 2: give one for each spatial axis',
    ],
    [
      'spacing of one',
      () => new SurfaceMetrics({ ...labels, spacing: [1] }),
      'Expected 2 or 3 numbers, one per spatial axis, for spacing but received [1]',
    ],
    [
      'spacing 0',
      () => new SurfaceMetrics({ ...labels, spacing: [1, 0] }),
      'Expected a finite number > 0 for spacing[1] but received 0',
    ],
    [
      'spacing of 3',
      () => new SurfaceMetrics({ ...labels, spacing: [1, 1, 1] }).update(map, map),
      'Expected 2 numbers, one per spatial axis, for spacing but received [1, 1, 1]',
    ],
    [
      'boundaries without voxels',
      () =>
        new SurfaceMetrics({ ...labels, spacing: [3, 2], boundaryDistance: 1.9 }).update(map, map),
      'Expected 2 or more, so that boundaries have voxels, for boundaryDistance but received 1.9: it is in the unit of spacing',
    ],
    [
      'a volume without a batch axis',
      () =>
        new SurfaceMetrics({ ...labels, spacing: [1, 1, 1] }).update(
          full([4, 5, 6], 1, 'uint8'),
          full([4, 5, 6], 1, 'uint8'),
        ),
      'Expected 2 numbers, one per spatial axis, for spacing but received [1, 1, 1]: a volume alone has shape [1, 4, 5, 6]',
    ],
    [
      'a volume without a batch axis, and its name',
      () =>
        new SurfaceMetrics(labels).update(
          full([4, 5, 6], 1, 'uint8'),
          full([4, 5, 6], 1, 'uint8'),
          { sample: 'case 1' },
        ),
      "Expected 4 names, one for each sample of shape [4, 5, 6], for sample but received 'case 1': a volume alone has shape [1, 4, 5, 6]",
    ],
    [
      'label maps with a class axis',
      () =>
        new SurfaceMetrics(labels).update(
          full([2, 1, 5, 6], 1, 'uint8'),
          full([2, 1, 5, 6], 1, 'uint8'),
        ),
      "Expected shape [2, 5, 6] for predictions, as decision is 'labels', but received [2, 1, 5, 6]: every voxel of a volume of one slice is surface",
    ],
    [
      'surface',
      () => new SurfaceMetrics({ ...labels, surface: 'faces' as never }),
      "Expected one of 'voxels', 'elements' for surface but received 'faces'",
    ],
    [
      'percentile',
      () => new SurfaceMetrics({ ...labels, percentile: 101 }),
      'Expected a number from 0 to 100 for percentile but received 101',
    ],
    [
      'tolerances',
      () => new SurfaceMetrics({ ...labels, tolerance: [1] }),
      'Expected 2 numbers, one per class or region, for tolerance but received [1]',
    ],
    [
      'a tolerance',
      () => new SurfaceMetrics({ ...labels, tolerance: [1, -1] }),
      'Expected a finite number >= 0 for tolerance[1] but received -1',
    ],
    [
      'boundary',
      () => new SurfaceMetrics({ ...labels, boundaryDistance: 0 }),
      'Expected a finite number > 0 for boundaryDistance but received 0',
    ],
    [
      'worst',
      () => new SurfaceMetrics({ ...labels, worstDistance: -1 }),
      'Expected a finite number >= 0 for worstDistance but received -1',
    ],
    [
      'aggregate',
      () => new SurfaceMetrics({ ...labels, aggregate: 'samples' } as never),
      "Unknown option 'aggregate'",
    ],
    [
      'axes',
      () => new SurfaceMetrics(labels).update(full([1, 9], 1, 'uint8'), full([1, 9], 1, 'uint8')),
      'Expected 2 or 3 spatial axes for predictions but received 1 in shape [1, 9]',
    ],
    [
      'labels',
      () => new SurfaceMetrics(labels).update(map, full([1, 3, 3], 7, 'uint8')),
      'Expected class indices from 0 to 1 for target but received 9 other values, the first 7 at index 0',
    ],
    [
      'one-hot',
      () =>
        new SurfaceMetrics(labels).update(
          tensor([1, 0, 0, 1], [1, 2, 2], 'uint8'),
          tensor([1, 0, 0, 1], [1, 2, 2], 'uint8'),
        ),
      'received one-hot masks of shape [1, 2, 2]',
    ],
    [
      'call option',
      () => new SurfaceMetrics(labels).update(map, map, { out: 1 } as never),
      "Unknown option 'out'",
    ],
    [
      'merge',
      () => new SurfaceMetrics(labels).merge(new SurfaceMetrics({ ...labels, percentile: 90 })),
      'for other but received those of',
    ],
    [
      'rows',
      () => SurfaceMetrics.fromJSON({ options: labels, samples: 1, rows: [1] }),
      'Expected 28 numbers for state.rows but received [1]',
    ],
  ];

  test.each(refused)('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(inOneForm);
  });

  test('nothing is added, and labels out of range reject the promise of updateAsync', async () => {
    const metrics = new SurfaceMetrics(labels);
    const wrong = full([1, 3, 3], 7, 'uint8');
    expect(() => metrics.update(map, wrong)).toThrow();
    await expect(metrics.updateAsync(map, wrong)).rejects.toMatchObject({
      code: 'ERR_LABEL_RANGE',
      index: 0,
      value: 7,
    });
    expect(metrics.samples).toBe(0);
    expect(metrics.update(map, map).average('hausdorff')).toBe(0);
  });
});

test('the addon gets the values of a count, then those of the surfaces, in its order', () => {
  const values: unknown[] = [];
  const addon = { measureSurfaces: (...given: unknown[]) => void values.push(...given) };
  const { arguments: names, surfaceArguments } = native.contract;
  const named = (list: readonly string[]) => Object.fromEntries(list.map((name) => [name, name]));
  callSurfaces(
    addon,
    'measureSurfaces',
    named(names.count) as never,
    named(surfaceArguments) as never,
  );
  expect(values).toEqual([...names.count, ...surfaceArguments]);
  const fewer = values.slice(1).map(() => 1);
  expect(() => native.measureSurfaces(...fewer)).toThrow('Expected the arguments of binding.d.ts');
});

describe('the addon refuses what lib/ never passes', () => {
  const map = Uint8Array.of(0, 1, 1, 0);
  const count = {
    ...{ decision: 2, threshold: 0, samples: 1, classes: 2, voxels: 4, channelsLast: false },
    ...{ predictions: map, predictionsType: 4, target: map, targetType: 4, targetIsLabels: true },
    ...{ weightType: 0, channels: 0, headType: 0 },
  };
  const measure = (more: object, ofCount: object = {}) => {
    const rows = new Float64Array(new SharedArrayBuffer(2 * 14 * 8));
    const good = {
      sizes: [2, 2],
      spacing: [1, 1],
      fraction: 1,
      boundaryWidth: 0,
      connectivity: 0,
      rows,
    };
    const surfaces = { ...good, ...more } as never;
    callSurfaces(native, 'measureSurfaces', { ...count, ...ofCount } as never, surfaces);
    return rows;
  };

  test('but takes the rest', () => {
    expect([...measure({})].slice(14, 16)).toEqual([2, 2]);
    const room = (numbers: number) => new Float64Array(new SharedArrayBuffer(numbers * 8));
    measure({ connectivity: 2, rows: room(2 * 8) });
    measure({ regions: [[0, 1]], rows: room(14) });
  });

  test.each<[string, object, string]>([
    ['connectivity 3', { connectivity: 3 }, 'Expected 0, 1 or 2 for connectivity'],
    ['no number', { connectivity: 'a' }, 'Expected 0, 1 or 2 for connectivity'],
    ['class 2 of 2', { regions: [[2]] }, 'Expected classes for regions'],
    ['few numbers', { connectivity: 1, rows: new Float64Array(15) }, 'rows'],
    ['three regions', { regions: [[0], [1], [0, 1]] }, 'rows'],
    ['tolerances of classes', { regions: [[0]], tolerances: new Float64Array(0) }, 'tolerances'],
  ])('%s', (_, more, message) => {
    expect(() => measure(more)).toThrow(message);
  });

  test('regions of a threshold', () => {
    const masks = { decision: 1, predictions: new Uint8Array(8) };
    expect(() => measure({ regions: [[0]] }, masks)).toThrow('Expected no regions');
  });
});
