// Options that losses and metrics share.
import { checkOneOf, rangeError, typeError } from './check.js';

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

export function checkIgnoreIndex(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw typeError('an integer', 'ignoreIndex', value);
  if (!Number.isSafeInteger(value)) throw rangeError('an integer', 'ignoreIndex', value);
  return value;
}
