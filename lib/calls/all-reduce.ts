// The user's hook between step 1 and step 2: a call is cut in two, and the second half reads other statistics.
import type { NativeCall, NativeMemory } from '../../binding.js';
import { typeError } from '../common/check.js';
import { Step } from '../native/codes.js';
import { copyArray, type TypedArray } from '../tensors/dtype.js';
import { withInputs } from './native-call.js';
import type { Statistics } from './statistics.js';

/** Adds the statistics of all ranks (workers, processes, machines); every rank must call it equally often. */
export type AllReduce = (statistics: Statistics) => Statistics | Promise<Statistics>;

export function checkAllReduce(value: unknown): AllReduce | undefined {
  if (value === undefined || typeof value === 'function') return value as AllReduce | undefined;
  throw typeError('a function', 'allReduce', value);
}

/** Whether a call of these steps runs the hook between them. */
export const runsHook = (steps: number): boolean =>
  (steps & Step.statistics) !== 0 && steps !== Step.statistics;

/** The result of the hook in a call that cannot wait. */
export function atOnce(merged: unknown): unknown {
  if (typeof (merged as Promise<unknown> | undefined)?.then !== 'function') return merged;
  // Nobody waits for it any more: a rejection of it must not end the process.
  Promise.resolve(merged).catch(() => {});
  throw new TypeError(
    'Expected Statistics from allReduce but received a promise: use valueAsync or valueAndGradAsync',
  );
}

/** Step 1 of a call, into these statistics. */
export const statisticsOnly = (call: NativeCall, statistics: NativeMemory): NativeCall => ({
  ...call,
  steps: Step.statistics,
  statistics,
});

/** The other steps, from these statistics. */
export const withoutStatistics = (
  call: NativeCall,
  statistics: NativeMemory | undefined,
): NativeCall => ({ ...call, steps: call.steps & ~Step.statistics, statistics });

/** The call with copies of all inputs that could change while the hook waits: shared memory may not. */
export const withCopies = (call: NativeCall): NativeCall =>
  withInputs(call, (input) => {
    const array = input as TypedArray;
    return array.buffer instanceof SharedArrayBuffer ? array : copyArray(array);
  });
