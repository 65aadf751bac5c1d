// The options that metrics of single samples share: those of all metrics, and the spacing of voxels.
import { checkKeys, typeError } from '../common/check.js';
import { checkSpacing } from '../common/spatial.js';
import {
  type MetricsOptions,
  metricsOptionKeys,
  type ResolvedMetrics,
  resolveMetrics,
} from './options.js';

const sharedKeys = metricsOptionKeys.filter((key) => key !== 'aggregate');

/** With their defaults. */
export type SampleOptions = Omit<ResolvedMetrics, 'aggregate' | 'threshold'> & {
  readonly threshold?: number;
  readonly spacing?: readonly number[];
};

/** Throws for anything that is neither a shared option nor among ownKeys, which are left to the caller. */
export function resolveSampleOptions(
  options: { threshold?: unknown; spacing?: unknown },
  ownKeys: readonly string[],
): SampleOptions {
  if (options === undefined) throw typeError('an object', 'options', options);
  checkKeys(options, 'options', [...sharedKeys, 'spacing', ...ownKeys]);
  const shared = Object.fromEntries(sharedKeys.map((key) => [key, options[key as never]]));
  const { aggregate: _, threshold, ...rest } = resolveMetrics(shared as unknown as MetricsOptions);
  if (typeof threshold === 'object') throw typeError('one number', 'threshold', threshold);
  const { spacing } = options;
  return {
    ...rest,
    ...(threshold !== undefined && { threshold }),
    ...(spacing !== undefined && { spacing: checkSpacing(spacing) }),
  };
}
