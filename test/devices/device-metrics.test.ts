/**
 * Metrics of tensors on the emulated device: the counts of the reference, as on the CPU.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { SegmentationMetrics, Tensor, WarpDiceError } from '../../lib/index.js';
import { cudaError, emulatedOnly, fake, gpu, held, onDevice, otherGpu } from '../support/device.js';
import { type Case, checkCounts, combinations, make, small, total } from '../support/metrics.js';
import { full, type Typed, tensor } from '../support/tensors.js';

const labelsOn = (labels: number[], shape: number[]) =>
  onDevice(gpu, tensor(labels, shape, 'uint8'));

const check = (k: Case) => checkCounts(k, (t) => onDevice(gpu, t));

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
