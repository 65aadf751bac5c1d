// The emulated device, and what tests plant in its CUDA runtime.
import { jest } from '@jest/globals';
import { native } from '../lib/binding.js';
import { Device, Tensor } from '../lib/index.js';
import { reference } from './reference.js';
import { type Case, expectSolution, gradOptions, type Typed } from './util.js';

jest.setTimeout(60_000); // a busy machine emulates slowly

interface Fake {
  /** A held stream does no work. */
  hold(stream: bigint, held: boolean): void;
  /** What every later call returns; 0: works again. */
  setFault(status: number): void;
  /** What the next call of a function returns, once; or one after it. */
  failNext(call: string, status: number, after?: number): void;
  /** What this process has exported it can then open, as another one could. */
  actAsAnotherProcess(other: boolean): void;
  setDevices(count: number, driverVersion: number, status: number): void;
  setTotalBytes(bytes: number): void;
  /** How often a function of CUDA's was called. */
  calls(name: string): number;
  /** On all devices, by the driver's count. */
  allocatedBytes(): number;
}

export const fake = (native as unknown as { fake: Fake }).fake;

/** CUDA's numbers. */
export const cudaError = {
  memoryAllocation: 2,
  insufficientDriver: 35,
  noDevice: 100,
  illegalAddress: 700,
};

export const gpu = Device.cuda(0);
export const otherGpu = Device.cuda(1);

/** Runs `body` while the device's stream does nothing. */
export async function held<Result>(body: () => Result | Promise<Result>): Promise<Result> {
  const { handle } = gpu.stream;
  fake.hold(handle, true);
  try {
    return await body();
  } finally {
    fake.hold(handle, false);
  }
}

/** A tensor on a device with what `from` holds. */
export const onDevice = (device: Device, from: Typed): Tensor =>
  Tensor.from(from.data, from.shape, { dtype: from.dtype }).to(device);

/** Solves a case on a device and compares value, per-class values and gradient with the reference. */
export async function solveOn(device: Device, c: Case): Promise<void> {
  const { spec, loss, predictions, target } = c;
  const options = Object.entries(gradOptions(c)).map(([name, value]) => [
    name,
    typeof value === 'object' ? onDevice(device, value) : value,
  ]);
  const results = loss.valueAndGrad(
    onDevice(device, predictions),
    onDevice(device, target),
    Object.fromEntries(options),
  );
  const { value, perClass, grad } = results;
  const read = async (from: Tensor) => ({ data: await from.read(), dtype: from.dtype });
  const outcome = {
    value: await read(value),
    perClass: await read(perClass),
    grad: await read(grad),
  };
  const { dtype = 'float32' } = spec;
  expectSolution(outcome, reference(c.problem), dtype, spec.options?.classWeights);
}
