// The user's hook between step 1 and step 2: a call is cut in two, and the second half reads other statistics.
import type { RunArguments } from '../../binding.js';
import { typeError } from '../common/check.js';
import { copyArray, type TypedArray } from '../tensors/dtype.js';
import { STATISTICS } from './outputs.js';
import type { Statistics } from './statistics.js';

/** Adds the statistics of all ranks (workers, processes, machines); every rank must call it equally often. */
export type AllReduce = (statistics: Statistics) => Statistics | Promise<Statistics>;

export function checkAllReduce(value: unknown): AllReduce | undefined {
  if (value === undefined || typeof value === 'function') return value as AllReduce | undefined;
  throw typeError('a function', 'allReduce', value);
}

/** Whether a call of these steps has the hook's place inside it. */
export const hasSeam = (steps: number): boolean =>
  (steps & STATISTICS) !== 0 && steps !== STATISTICS;

/** The result of the hook in a call that cannot wait. */
export function atOnce(merged: unknown): unknown {
  if (typeof (merged as Promise<unknown> | undefined)?.then !== 'function') return merged;
  // Nobody waits for it any more: a rejection of it must not end the process.
  Promise.resolve(merged).catch(() => {});
  throw new TypeError(
    'Expected Statistics from allReduce but received a promise: use valueAsync or valueAndGradAsync',
  );
}

/** Step 1 of a call. */
export function beforeSeam(args: RunArguments, local: Float64Array): RunArguments {
  const before: RunArguments = [...args];
  before[0] = STATISTICS;
  before[11] = local;
  return before;
}

/** The other steps. */
export function afterSeam(args: RunArguments, merged: Float64Array | undefined): RunArguments {
  const after: RunArguments = [...args];
  after[0] = args[0] & ~STATISTICS;
  after[11] = merged;
  return after;
}

/** What a call reads: predictions, target, weight, upstream. */
export const inputArguments = [4, 6, 9, 12] as const;

/** The arguments with copies of all inputs that could change while the hook waits: shared memory may not. */
export function withCopies(args: RunArguments): RunArguments {
  const copies: RunArguments = [...args];
  for (const input of inputArguments) {
    const array = args[input];
    if (array === undefined || array.buffer instanceof SharedArrayBuffer) continue;
    copies[input] = copyArray(array as TypedArray) as Float64Array;
  }
  return copies;
}
