// allReduce, the user's hook between steps 1 and 2. It splits a call in two: the second half reads the merged statistics.
import type { NativeCall, NativeCommunicator, NativeMemory } from '../../binding.js';
import { typeError } from '../common/check.js';
import type { Device } from '../devices/device.js';
import { Step } from '../native/codes.js';
import { copyArray } from '../tensors/allocate.js';
import type { TypedArray } from '../tensors/dtype.js';
import { bufferOf } from '../tensors/typed-array.js';
import { withInputs } from './native-call.js';
import type { Statistics } from './statistics.js';

/**
 * Returns the sum of the statistics of all ranks (workers, processes, machines). Every rank must make the same number of
 * calls, because each call waits for the other ranks.
 */
export type AllReduce = (statistics: Statistics) => Statistics | Promise<Statistics>;

/** What a hook of warpdice/nccl stands for: calls on its GPU add up the statistics in their stream, without the hook. */
export interface DeviceAllReduce {
  readonly device: Device;
  readonly communicator: NativeCommunicator;
}

const onDevice = new WeakMap<AllReduce, DeviceAllReduce>();

/** Makes a hook one that {@link deviceAllReduceOf} knows. */
export function setDeviceAllReduce(hook: AllReduce, by: DeviceAllReduce): void {
  onDevice.set(hook, by);
}

export const deviceAllReduceOf = (hook: AllReduce | undefined): DeviceAllReduce | undefined =>
  hook && onDevice.get(hook);

/** Throws unless a hook of warpdice/nccl gets a call on its own GPU. */
export function expectItsDevice(by: DeviceAllReduce | undefined, device: Device): void {
  if (by === undefined || by.device === device) return;
  throw new TypeError(
    `Expected tensors on ${by.device}, the GPU of the communicator whose allReduce the loss has, but received tensors on ${device}`,
  );
}

export function checkAllReduce(value: unknown): AllReduce | undefined {
  if (value === undefined || typeof value === 'function') return value as AllReduce | undefined;
  throw typeError('a function', 'allReduce', value);
}

/** Whether a call with these steps runs the hook: it computes statistics and then uses them. */
export const runsHook = (steps: number): boolean =>
  (steps & Step.statistics) !== 0 && steps !== Step.statistics;

/** When the last call of each hook has begun. */
const turns = new WeakMap<AllReduce, Promise<unknown>>();

/**
 * Begins a call of a hook when `ready` has resolved and the earlier ones have begun. Works of different sizes end in an order that
 * differs from rank to rank; the order in which the program makes its calls does not.
 */
export function inTurn<Ready, Result>(
  hook: AllReduce,
  ready: Promise<Ready>,
  begin: (value: Ready) => Result | Promise<Result>,
): Promise<Result> {
  const before = turns.get(hook) ?? Promise.resolve();
  // In an object, as a promise would wait for the result of the call, not for its beginning.
  const begun = Promise.all([ready, before]).then(([value]) => ({ result: begin(value) }));
  // Also `before`, as a call that fails early must let nobody past the ones before it.
  turns.set(hook, Promise.all([before, begun.catch(() => {})]));
  return begun.then(({ result }) => result);
}

/** The hook's result in a synchronous call, which refuses a promise. */
export function atOnce(merged: unknown): unknown {
  if (typeof (merged as Promise<unknown> | undefined)?.then !== 'function') return merged;
  // The call throws below, so nobody handles this promise: its rejection must not end the process.
  Promise.resolve(merged).catch(() => {});
  throw new TypeError(
    'Expected Statistics from allReduce but received a promise: use valueAsync or valueAndGradAsync',
  );
}

/** Step 1 of a call alone; it writes into `statistics`. */
export const statisticsOnly = (call: NativeCall, statistics: NativeMemory): NativeCall => ({
  ...call,
  steps: Step.statistics,
  statistics,
});

/** The other steps of a call; they read `statistics`. */
export const withoutStatistics = (
  call: NativeCall,
  statistics: NativeMemory | undefined,
): NativeCall => ({ ...call, steps: call.steps & ~Step.statistics, statistics });

/** The call with copies of its inputs, which could change while the hook waits. The caller keeps shared memory unchanged. */
export const withCopies = (call: NativeCall): NativeCall =>
  withInputs(call, (input) => {
    const array = input as TypedArray;
    return bufferOf(array) instanceof SharedArrayBuffer ? array : copyArray(array);
  });
