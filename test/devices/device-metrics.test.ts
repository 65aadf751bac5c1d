/**
 * Metrics of tensors on the emulated device: the counts of the reference, as on the CPU.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import {
  linearLogits,
  type MetricsOptions,
  SegmentationMetrics,
  Tensor,
  WarpDiceError,
} from '../../lib/index.js';
import { cudaError, emulatedOnly, fake, gpu, held, onDevice, otherGpu } from '../support/device.js';
import { everyNth } from '../support/in-this-run.js';
import { type Case, checkCounts, combinations, make, small, total } from '../support/metrics.js';
import { type FloatDType, full, type Typed, tensor } from '../support/tensors.js';

const labelsOn = (labels: number[], shape: number[]) =>
  onDevice(gpu, tensor(labels, shape, 'uint8'));

const some = everyNth(5);
const check = (k: Case) => {
  if (some()) checkCounts(k, (t) => onDevice(gpu, t));
};

describe('counts are those of a loop over the voxels', () => {
  test.each([1, 31, 33, 1031, 70_001])('%d voxels', (S) => {
    for (const last of [false, true])
      for (const C of [1, 2, 5])
        for (const decision of ['argmax', 'threshold', 'labels'] as const) {
          if (C === 1 && decision === 'argmax') continue;
          if (S > 5000 && (C !== 2 || last)) continue;
          check({ ...small, S, last, C, decision });
        }
  });

  // Up to 89 classes count in a block's own table.
  test.each([19, 89, 90, 150])('%d classes', (C) => {
    for (const last of [false, true])
      for (const decision of ['argmax', 'threshold', 'labels'] as const)
        check({ ...small, C, decision, S: 67, last });
  });

  test.each(['float32', 'float64', 'float16', 'bfloat16'] as const)('%s', (dtype) => {
    for (const last of [false, true])
      for (const decision of ['argmax', 'threshold'] as const)
        for (const labelDtype of ['uint8', 'int32', 'int64'] as const)
          check({ ...small, dtype, last, decision, labelDtype, NaNs: true });
  });

  test('dense targets, weights, ignored labels, NaN and infinities, in every combination', () => {
    for (const combined of combinations()) check({ ...small, S: 37, ...combined });
  });
});

test('regions and tiles', async () => {
  const { predictions, target, options } = make(small);
  const [x, y] = [onDevice(gpu, predictions), onDevice(gpu, target)];
  const regions = { front: [1, 2], all: [0, 1, 2] };
  const host = new SegmentationMetrics({ ...options, regions }).update(predictions, target);
  const metrics = new SegmentationMetrics({ ...options, regions }).update(x, y);
  expect(metrics.toJSON()).toEqual(host.toJSON());

  const bySample = { ...options, aggregate: 'samples' } as const;
  const hostTiles = new SegmentationMetrics(bySample);
  const tiles = new SegmentationMetrics(bySample);
  for (const sample of [
    ['a', 'b'],
    ['b', 'b'],
  ]) {
    hostTiles.update(predictions, target, { sample });
    await tiles.updateAsync(x, y, { sample });
  }
  expect(tiles.toJSON()).toEqual(hostTiles.toJSON());
});

describe('counts in parts are those of the CPU', () => {
  /** Counts two batches on the CPU and on the GPU, of samples without and with names. */
  async function compare(k: Case, more: Partial<MetricsOptions>) {
    const { predictions, target, call, options } = make(k);
    const [here, there] = [0, 1].map(() => new SegmentationMetrics({ ...options, ...more })) as [
      SegmentationMetrics,
      SegmentationMetrics,
    ];
    const [x, y] = [onDevice(gpu, predictions), onDevice(gpu, target)];
    const callThere = call.weight ? { weight: onDevice(gpu, call.weight) } : {};
    const named = more.aggregate === 'samples' ? { sample: ['a', 'b'] } : {};
    here.update(predictions, target, call).update(predictions, target, { ...call, ...named });
    there.update(x, y, callThere);
    await there.updateAsync(x, y, { ...callThere, ...named });
    expect(there.toJSON()).toEqual(here.toJSON());
    expect(there.samples).toBe(2 * k.N);
  }

  const bySample = { aggregate: 'samples' } as const;

  test('regions of samples', async () => {
    const regions = { front: [1, 2], all: [0, 1, 2], last: [2] };
    for (const decision of ['argmax', 'labels'] as const)
      for (const last of [false, true])
        for (const weighted of [false, true])
          await compare({ ...small, decision, last, weighted, S: 67 }, { ...bySample, regions });
    await compare({ ...small, dense: true, S: 67 }, { ...bySample, regions });
  });

  test('of linear logits', () => {
    const features = tensor([1, -1, 0.5, 2, -0.25, 0, -1, 3], [2, 1, 4]);
    const kernel = tensor([1, -1, 0.5], [3, 1]);
    const target = tensor([0, 1, 2, 1, 2, 0, 1, 0], [2, 4], 'uint8');
    const options = { classes: 3, ...bySample, regions: { any: [0, 1], two: [2] } };
    const here = new SegmentationMetrics(options).update(linearLogits(features, kernel), target);
    const [x, w] = [onDevice(gpu, features), onDevice(gpu, kernel)];
    const there = new SegmentationMetrics(options);
    there.update(linearLogits(x, w), onDevice(gpu, target));
    expect(there.toJSON()).toEqual(here.toJSON());
  });

  test('lists of thresholds', async () => {
    const threshold = [0.5, -0.25, 1.5];
    for (const aggregate of ['global', 'samples'] as const)
      for (const last of [false, true])
        await compare({ ...small, decision: 'threshold', last, S: 67 }, { aggregate, threshold });
  });

  test('labels out of range have their index in the batch, and nothing is counted', async () => {
    const bad = full([3, 50], 1, 'uint8');
    for (const i of [70, 149]) bad.data[i] = 7;
    const [x, y] = [onDevice(gpu, bad), onDevice(gpu, full([3, 50], 1, 'uint8'))];
    const regions = { both: [0, 1] };
    const metrics = new SegmentationMetrics({
      classes: 2,
      decision: 'labels',
      aggregate: 'samples',
      regions,
    });
    const message = (name: string) =>
      `for ${name} but received 2 other values, the first 7 at index 70`;
    expect(() => metrics.update(x, y)).toThrow(message('predictions'));
    await expect(metrics.updateAsync(y, x)).rejects.toThrow(message('target'));
    expect(metrics.samples).toBe(0);
    const listed = new SegmentationMetrics({
      classes: 2,
      decision: 'threshold',
      threshold: [0.5, 0.25, 0.75],
    });
    const p = onDevice(gpu, full([3, 2, 50], 0.5));
    expect(() => listed.update(p, x)).toThrow(message('target'));
    expect(listed.update(p, y).at(0.25).counts()[1]?.tp).toBe(150);
  });

  emulatedOnly('leave nothing on the device', () => {
    const regions = { both: [0, 1] };
    const options = { classes: 3, aggregate: 'samples', regions } as const;
    const { predictions, target } = make(small);
    const [x, y] = [onDevice(gpu, predictions), onDevice(gpu, target)];
    const before = gpu.memory().aliveBytes;
    new SegmentationMetrics(options).update(x, y);
    expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
  });
});

test('more than 4095 classes have too many pairs; thresholds have none', async () => {
  const [map, mask] = [onDevice(gpu, full([1, 2], 1, 'int32')), [1, 4096, 2]] as const;
  const of = (classes: number) => new SegmentationMetrics({ classes, decision: 'labels' });
  const message = `Expected at most 4095 classes for predictions on ${gpu} but received 4096`;
  expect(() => of(4096).update(map, map)).toThrow(message);
  expect(() => of(4096).updateAsync(map, map)).toThrow(message);
  expect(of(1500).update(map, map).perClass('dice')[1]).toBe(1);
  const above = new SegmentationMetrics({ classes: 4096, decision: 'threshold', threshold: 0.5 });
  above.update(onDevice(gpu, full(mask, 1)), onDevice(gpu, full([1, 2], 7, 'int32')));
  expect(above.perClass('recall')[7]).toBe(1);
});

test('a dense float target beside a voxel of no class', () => {
  const p = tensor([1, 1, 1, 0, 0, 0], [1, 2, 3]);
  const t = tensor([0.6, 0, 0.2, 0.4, 0, 0.8], [1, 2, 3]);
  const metrics = new SegmentationMetrics({ classes: 2 });
  metrics.update(onDevice(gpu, p), onDevice(gpu, t));
  expect([...metrics.confusion()]).toEqual([1, 0, 1, 0]);
});

emulatedOnly('updateAsync enqueues, does not block, and counts when it resolves', async () => {
  const { predictions, target, counts, options } = make({ ...small, S: 4099 });
  const metrics = new SegmentationMetrics(options);
  const [x, y] = [onDevice(gpu, predictions), onDevice(gpu, target)];
  const pending = await held(async () => {
    const pending = [metrics.updateAsync(x, y), metrics.updateAsync(x, y)];
    x.dispose();
    y.dispose();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(metrics.samples).toBe(0);
    return { pending };
  });
  expect(await Promise.all(pending.pending)).toEqual([metrics, metrics]);
  expect(metrics.counts()).toEqual(total([...counts, ...counts]));
});

describe('labels out of range', () => {
  const bad: Typed = full([2, 40_001], 1, 'uint8');
  for (const i of [39_000, 40_500]) bad.data[i] = 7;
  const good = full([2, 40_001], 1, 'uint8');

  test.each([
    ['predictions', bad, good],
    ['target', good, bad],
  ])('in %s: an error that counts nothing', async (name, p, t) => {
    const metrics = new SegmentationMetrics({ classes: 3, decision: 'labels', ignoreIndex: 9 });
    const [x, y] = [onDevice(gpu, p), onDevice(gpu, t)];
    const message = `Expected class indices from 0 to 2 (or ignoreIndex 9) for ${name} but received 2 other values, the first 7 at index 39000`;
    expect(() => metrics.update(x, y)).toThrow(message);
    expect(() => metrics.update(x, y)).toThrow(WarpDiceError);
    await expect(metrics.updateAsync(x, y)).rejects.toThrow(message);
    expect(metrics.samples).toBe(0);
    metrics.update(onDevice(gpu, good), onDevice(gpu, good));
    expect(metrics.counts()[1]).toEqual({ tp: 80_002, fp: 0, fn: 0, tn: 0 });
  });

  test('by class: every one is counted once', () => {
    const metrics = new SegmentationMetrics({ classes: 3, decision: 'threshold', threshold: 0 });
    const x = onDevice(gpu, full([2, 3, 40_001], 1));
    expect(() => metrics.update(x, onDevice(gpu, bad))).toThrow('received 2 other values');
  });

  test('a dense uint8 target with other numbers than 0 and 1', () => {
    for (const layout of ['channels-first', 'channels-last'] as const) {
      const shape = layout === 'channels-first' ? [1, 2, 3] : [1, 3, 2];
      const metrics = new SegmentationMetrics({ classes: 2, layout });
      const x = onDevice(gpu, full(shape, 1));
      const y = labelsOn([0, 1, 0, 1, 4, 5], shape);
      const message =
        'Expected 0 or 1 for target but received 2 other values, the first 4 at index 4';
      expect(() => metrics.update(x, y)).toThrow(message);
    }
  });
});

test.each(['float64', 'float32', 'float16', 'bfloat16'] as const)(
  'a dense target and a weight of %s beside predictions of every dtype',
  (dtype) => {
    for (const own of ['float64', 'float32', 'float16', 'bfloat16'] as const)
      for (const decision of ['argmax', 'threshold'] as const) {
        const p = tensor([1, 0, 0.25, 0, 1, 0.75], [1, 2, 3], own);
        const t = tensor([1, 0, 0.75, 0, 1, 0.25], [1, 2, 3], dtype);
        const weight = tensor([0.5, 2, 0], [1, 3], dtype);
        const threshold = decision === 'threshold' ? { threshold: 0.5 } : {};
        const [there, here] = [0, 1].map(
          () => new SegmentationMetrics({ classes: 2, decision, ...threshold }),
        ) as [SegmentationMetrics, SegmentationMetrics];
        there.update(onDevice(gpu, p), onDevice(gpu, t), { weight: onDevice(gpu, weight) });
        expect(there.counts()).toEqual(here.update(p, t, { weight }).counts());
        expect(there.counts()[0]?.tp).toBe(1);
      }
  },
);

emulatedOnly('arguments that do not fit', () => {
  const metrics = new SegmentationMetrics({ classes: 2 });
  const x = onDevice(gpu, full([1, 2, 5], 0));
  const y = full([1, 5], 0, 'uint8');
  expect(() => metrics.update(x, y)).toThrow(/^Expected a tensor on cuda:0.* for target/);
  expect(() => metrics.update(x, onDevice(otherGpu, y))).toThrow(TypeError);
  expect(() => metrics.updateAsync(x, y)).toThrow(TypeError);
  const gone = Tensor.empty([1, 5], 'uint8', { device: gpu });
  gone.dispose();
  expect(() => metrics.update(x, gone)).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  expect(metrics.samples).toBe(0);
});

emulatedOnly(
  'a launch that fails leaves nothing on the device, and the next update counts',
  async () => {
    const metrics = new SegmentationMetrics({ classes: 2 });
    const [x, y] = [onDevice(gpu, full([1, 2, 5], 0)), onDevice(gpu, full([1, 5], 0, 'uint8'))];
    const before = gpu.memory().aliveBytes;
    const failed = expect.objectContaining({ code: 'ERR_CUDA' });
    fake.failNext('cudaLaunchKernel', cudaError.noDevice);
    expect(() => metrics.update(x, y)).toThrow(failed);
    fake.failNext('cudaLaunchKernel', cudaError.noDevice);
    await expect(metrics.updateAsync(x, y)).rejects.toThrow(failed);
    expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
    expect(metrics.update(x, y).samples).toBe(1);
  },
);

// What metrics refuse and accept as values, on the emulated device: masks as predictions, floats that can be no probability, one-hot
// masks for label maps.
describe('values', () => {
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
    const options = {
      classes: 1,
      decision: 'threshold',
      threshold: 0.5,
      ignoreIndex: 255,
    } as const;
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
});
