// The device of the tests: the emulated one, with what is planted in its CUDA runtime, or a GPU (test/cuda/gpu/suite.mjs).
import { afterAll, expect, test } from '@jest/globals';
import { Device, type Stream, StreamEvent } from '../../lib/index.js';
import { native } from '../../lib/native/load.js';
import { reference } from '../reference/reference.js';
import type { Case } from './cases.js';
import { solveOnDevice } from './solve-on-device.js';
import { expectSolution } from './tolerance.js';

export { onDevice } from './solve-on-device.js';

interface Fake {
  /** A held stream does no work. */
  hold(stream: bigint, held: boolean): void;
  /** What every later call returns; 0: works again. */
  setFault(status: number): void;
  /** What the next call of a function returns, once; or one after it. */
  failNext(call: string, status: number, after?: number): void;
  setDevices(count: number, driverVersion: number, status: number): void;
  setTotalBytes(bytes: number): void;
  /** How often a function of CUDA's was called. */
  calls(name: string): number;
  /** While held, cudaFuncGetAttributes waits where it loads a kernel. */
  holdLoads(held: boolean): void;
  /** Every kernel is to be loaded again; `calls('load by a launch')` counts those that a launch has loaded. */
  unloadKernels(): void;
  /** On all devices, by the driver's count. */
  allocatedBytes(): number;
  /** What V8 has been told of memory outside its heap. */
  externalBytes(): number;
  /** Of the cgroups whose files are under this folder; 0 without a quota. */
  quotaProcessors(root: string): number;
  /** The addon's `first`-th allocation from now on fails, and `lasting` also all after it. 0: none. */
  failAllocations(first: number, lasting: boolean): void;
  /** How many there were since then. */
  allocations(): number;
}

/** Not there on a GPU. */
export const fake = (native as unknown as { fake: Fake }).fake;

export const emulated = process.env.WARPDICE_TEST_GPU === undefined;
// The suites of a worker share one emulated driver. What one of them breaks, and fails for, the next one need not suffer.
if (emulated) afterAll(() => fake.setFault(0));

/** A test that plants something, holds a stream or needs two devices. */
export const emulatedOnly = (emulated ? test : test.skip) as typeof test;

/** CUDA's numbers. */
export const cudaError = {
  memoryAllocation: 2,
  insufficientDriver: 35,
  noDevice: 100,
  illegalAddress: 700,
};

export const gpu = Device.cuda(0);
/** Where there is one GPU, that. */
export const otherGpu = Device.list()[2] ?? gpu;

/** Runs `body` while the device's stream does nothing, where a device can be told so. */
export async function held<Result>(body: () => Result | Promise<Result>): Promise<Result> {
  if (!emulated) return body();
  const { handle } = gpu.stream;
  fake.hold(handle, true);
  try {
    return await body();
  } finally {
    fake.hold(handle, false);
  }
}

/** So long that work which waits for nothing would be done. */
export const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Expects the work that `enqueue` puts on the device's own stream to wait for `side`, which is held meanwhile. */
export async function expectToWait(side: Stream, enqueue: () => unknown): Promise<void> {
  using after = new StreamEvent(gpu);
  fake.hold(side.handle, true);
  try {
    await enqueue();
    after.record(gpu.stream);
    await pause();
    expect(after.reached).toBe(false);
  } finally {
    fake.hold(side.handle, false);
  }
  await gpu.synchronize();
  expect(after.reached).toBe(true);
}

/** Solves a case on a device and compares value, per-class values and gradient with the reference. */
export async function solveOn(device: Device, c: Case): Promise<void> {
  const { dtype = 'float32', options } = c.spec;
  expectSolution(solveOnDevice(device, c), reference(c.problem), dtype, options?.classWeights);
}
