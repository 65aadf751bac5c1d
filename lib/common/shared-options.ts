// Options that losses and metrics share.
import { checkOneOf, isNumberList, rangeError, typeError } from './check.js';

/** How a class with no target voxels is treated: see {@link LossOptions.absent}. Metrics have {@link MetricsAbsent}. */
export type Absent = 'formula' | 'skip' | 'perfect' | 'worst';

/**
 * How metrics treat a class with no target voxels: see {@link MetricsOptions.absent}. The last two look at the prediction too,
 * which is a decision: losses, whose predictions are probabilities, do not have them.
 */
export type MetricsAbsent = Absent | 'agree' | 'skip-agreed';

export const absentPolicies: readonly Absent[] = ['formula', 'skip', 'perfect', 'worst'];

export const metricsAbsentPolicies: readonly MetricsAbsent[] = [
  ...absentPolicies,
  'agree',
  'skip-agreed',
];

const layouts = ['channels-first', 'channels-last'] as const;

export const checkLayout = (value: unknown) =>
  checkOneOf(value, 'layout', layouts, 'channels-first');

/** One label that is ignored, or a list of at most 16. */
export type IgnoreIndex =
  | number
  | readonly number[]
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Float64Array;

/** Cityscapes has 16 labels without a class. */
const maxIgnored = 16;

/** The label to ignore, the different ones of a list, or undefined for none. */
export function checkIgnoreIndex(value: unknown): number | readonly number[] | undefined {
  if (value === undefined) return undefined;
  if (!isNumberList(value))
    return checkIndex(value, 'ignoreIndex', 'an integer, or a list of them,');
  const { length } = value;
  if (length > maxIgnored) throw rangeError(`at most ${maxIgnored} labels`, 'ignoreIndex', value);
  const all = Array.from({ length }, (_, i) =>
    checkIndex(value[i], `ignoreIndex[${i}]`, 'an integer'),
  );
  const different = [...new Set(all)];
  return different.length < 2 ? different[0] : Object.freeze(different);
}

function checkIndex(value: unknown, name: string, expected: string): number {
  if (typeof value !== 'number') throw typeError(expected, name, value);
  if (!Number.isSafeInteger(value)) throw rangeError('an integer', name, value);
  return value + 0; // -0 is 0
}

/** What the addon gets. */
export const nativeIgnoreIndex = (
  ignored: IgnoreIndex | undefined,
): number | Float64Array | undefined =>
  typeof ignored === 'object' ? Float64Array.from(ignored) : ignored;
