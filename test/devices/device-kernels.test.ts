/**
 * Loading the kernels of a device before they are used: CUDA's driver may compile them then, which takes seconds.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import {
  CrossEntropyLoss,
  DeepSupervision,
  Device,
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  type DType,
  GeneralizedWassersteinDiceLoss,
  type Loss,
  linearLogits,
  SegmentationMetrics,
} from '../../lib/index.js';
import {
  cudaError,
  emulatedOnly,
  fake,
  gpu,
  onDevice,
  otherGpu,
  pause,
} from '../support/device.js';
import type { Any } from '../support/errors.js';
import { type FloatDType, full } from '../support/tensors.js';

const loadedByLaunches = () => fake.calls('load by a launch');

emulatedOnly('the event loop goes on while kernels are loaded', async () => {
  fake.unloadKernels();
  fake.holdLoads(true);
  let isDone = false;
  try {
    const loading = gpu.loadKernels().then(() => {
      isDone = true;
    });
    await pause();
    const { value } = await new DiceLoss().valueAsync(full([4], 1), full([4], 1, 'uint8'));
    expect(value.itemSync()).toBeCloseTo(0, 6);
    await gpu.synchronize();
    expect(isDone).toBe(false);
    fake.holdLoads(false);
    await loading;
  } finally {
    fake.holdLoads(false);
  }
});

/** Value, gradient and sums on a GPU, of predictions of C classes and a few voxels. */
async function solve(loss: Loss, C: number, target: DType, dtype: FloatDType, dense = false) {
  const S = 3;
  const shape = loss.channelsLast ? [1, S, C] : [1, C, S];
  using x = onDevice(gpu, full(shape, 0.25, dtype));
  using y = onDevice(gpu, full(dense ? shape : [1, S], 1, target));
  using sums = loss.statistics(x, y);
  loss.valueAndGrad(x, y).grad.dispose();
  if (dense && target !== 'uint8') loss.targetGradient(x, y, sums).dispose();
  await gpu.synchronize();
}

const floats = ['float32', 'float64', 'float16', 'bfloat16'] as const;
const softmax = { activation: 'softmax' } as const;
const sigmoid = { activation: 'sigmoid' } as const;
const of = (C: number) => (C === 1 ? sigmoid : softmax);

// The kernels of the other dtypes are compiled from the same templates: npm test takes one loss of each.
const whole = process.env.WARPDICE_TEST_ALL ? floats : (['float32'] as const);

describe('no call loads a kernel afterwards', () => {
  const none = async (dtype: FloatDType, call: () => unknown) => {
    fake.unloadKernels();
    await gpu.loadKernels([dtype]);
    const before = loadedByLaunches();
    await call();
    await gpu.synchronize();
    expect(loadedByLaunches()).toBe(before);
  };

  // Teams hold up to five classes a thread.
  emulatedOnly.each(whole)('%s: teams', (dtype) =>
    none(dtype, async () => {
      for (const C of [1, 2, 3, 4, 5, 11]) {
        await solve(new DiceLoss(of(C)), C, 'uint8', dtype);
        await solve(new DiceCELoss(of(C)), C, 'uint8', dtype);
        await solve(new DiceLoss(), C, 'uint8', dtype, true);
        await solve(new DiceCELoss(of(C)), C, 'float32', dtype, true);
      }
    }),
  );

  emulatedOnly.each(whole)('%s: registers and tiles', (dtype) =>
    none(dtype, async () => {
      for (const C of [1, 2, 3, 7]) await solve(new DiceFocalLoss(of(C)), C, 'uint8', dtype);
      await solve(new DiceFocalLoss({ layout: 'channels-last' }), 3, 'uint8', dtype);
      await solve(new CrossEntropyLoss({ labelSmoothing: 0.1 }), 300, 'uint8', dtype);
    }),
  );

  emulatedOnly.each(whole)('%s: every dtype of targets', (dtype) =>
    none(dtype, async () => {
      const ignoreIndex = [254, 255];
      for (const target of ['uint8', 'int16', 'uint16', 'int32', 'int64'] as const) {
        await solve(new DiceLoss(softmax), 2, target, dtype);
        await solve(new DiceLoss({ ...softmax, ignoreIndex }), 2, target, dtype);
      }
      for (const target of floats) {
        await solve(new DiceLoss(), 2, target, dtype, true);
        await solve(new DiceLoss({ ignoreIndex }), 1, target, dtype, true);
      }
    }),
  );

  emulatedOnly.each(whole)('%s: plans, scales, metrics, weights', (dtype) =>
    none(dtype, async () => {
      using x = onDevice(gpu, full([1, 3, 4, 4], 0.5, dtype));
      using coarse = onDevice(gpu, full([1, 3, 2, 2], 0.5, dtype));
      using weight = onDevice(gpu, full([1, 3, 4, 4], 0.5, dtype));
      const distances = [
        [0, 1, 1],
        [1, 0, 0.5],
        [1, 0.5, 0],
      ];
      const loss = new DiceCELoss();
      const scales = new DeepSupervision(loss, [0.5, 0.5]);
      for (const labels of ['uint8', 'int16', 'int32', 'int64'] as const) {
        using y = onDevice(gpu, full([1, 4, 4], 1, labels));
        scales.valueAndGrad([x, coarse], y);
        new SegmentationMetrics({ classes: 3 }).update(x, y);
      }
      using y = onDevice(gpu, full([1, 4, 4], 1, 'uint8'));
      loss.plan(x, y).execute().dispose();
      new DiceLoss(softmax).valueAndGrad(x, y, { weight }).grad.dispose();
      new GeneralizedWassersteinDiceLoss({ ...softmax, distances }).value(x, y);
      new SegmentationMetrics({ classes: 3, decision: 'threshold', threshold: 0.5 }).update(x, y);
    }),
  );

  emulatedOnly.each(whole)('%s: linearLogits', (dtype) =>
    none(dtype, async () => {
      using features = onDevice(gpu, full([1, 2, 8], 0.5, dtype));
      using weight = onDevice(gpu, full([3, 2], 0.5, 'float32'));
      const logits = linearLogits(features, weight);
      using labels = onDevice(gpu, full([1, 8], 1, 'uint8'));
      using soft = onDevice(gpu, full([1, 3, 8], 0.5, dtype));
      for (const loss of [new DiceCELoss(), new DiceFocalLoss(sigmoid)]) {
        loss.valueAndGrad(logits, labels);
        loss.valueAndGrad(logits, soft);
        loss.targetGradient(logits, soft, loss.statistics(logits, soft)).dispose();
      }
      logits.argmax().dispose();
      logits.probabilities([0]).dispose();
      new SegmentationMetrics({ classes: 3 }).update(logits, labels);
      new SegmentationMetrics({ classes: 3, decision: 'threshold', threshold: 0 }).update(
        logits,
        soft,
      );
    }),
  );

  emulatedOnly.each(floats.slice(1))('%s', (dtype) =>
    none(dtype, async () => {
      await solve(new DiceCELoss(), 2, 'uint8', dtype);
      await solve(new DiceFocalLoss(), 2, 'uint8', dtype);
      await solve(new DiceLoss(), 2, dtype, dtype, true);
    }),
  );
});

emulatedOnly('without it, and for another dtype or device, the call loads them', async () => {
  const loads = async (call: () => Promise<void>) => {
    const before = loadedByLaunches();
    await call();
    return loadedByLaunches() - before;
  };
  const loss = new DiceLoss();
  fake.unloadKernels();
  expect(await loads(() => solve(loss, 1, 'uint8', 'float32'))).toBeGreaterThan(0);
  await gpu.loadKernels(['float64', 'bfloat16']);
  expect(await loads(() => solve(loss, 1, 'uint8', 'float64'))).toBe(0);
  expect(await loads(() => solve(loss, 1, 'uint8', 'bfloat16'))).toBe(0);
  expect(await loads(() => solve(loss, 1, 'uint8', 'float16'))).toBeGreaterThan(0);
  fake.unloadKernels();
  await otherGpu.loadKernels();
  expect(await loads(() => solve(loss, 1, 'uint8', 'float32'))).toBeGreaterThan(0);
});

emulatedOnly('an error of CUDA rejects, and the next call loads', async () => {
  fake.unloadKernels();
  fake.failNext('cudaFuncGetAttributes', cudaError.memoryAllocation);
  await expect(gpu.loadKernels()).rejects.toMatchObject({
    code: 'ERR_CUDA',
    message: expect.stringContaining('cudaFuncGetAttributes failed with cudaErrorMemoryAllocation'),
  });
  await gpu.loadKernels(['float32', 'float32']);
});

test('all dtypes: CUDA knows every kernel, and a call works afterwards', async () => {
  await gpu.loadKernels(floats);
  for (const dtype of floats) await solve(new DiceCELoss(), 2, 'uint8', dtype);
});

test('wrong arguments, and the CPU, which has nothing to load', async () => {
  for (const device of [gpu, Device.cpu]) {
    expect(() => device.loadKernels('float32' as Any)).toThrow(
      "Expected an array of dtypes for dtypes but received 'float32'",
    );
    expect(() => device.loadKernels(['float32', 'int32' as Any])).toThrow(
      "Expected one of 'float32', 'float64', 'float16', 'bfloat16' for dtypes[1] but received 'int32'",
    );
  }
  await Device.cpu.loadKernels(['bfloat16']);
});
