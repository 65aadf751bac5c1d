// The options of the metrics of components, and their checks.
import { checkOneOf } from '../common/check.js';
import type { MetricsOptions } from './options.js';
import { resolveSampleOptions, type SampleOptions } from './sample-options.js';

const connectivities = ['corners', 'faces'] as const;

/** The options of {@link ComponentMetrics}. */
export interface ComponentOptions extends Omit<MetricsOptions, 'aggregate' | 'threshold'> {
  /** As in {@link MetricsOptions}, one number. */
  threshold?: number;
  /**
   * The distance between neighbouring voxels along each spatial axis, for which component is nearest. Default ones, as MONAI
   * has it.
   */
  spacing?: readonly number[];
  /**
   * Which voxels are connected: those that share a corner, an edge or a face (26 neighbours in 3D, 8 in 2D), or a face (6, and
   * 4). Default `'corners'`.
   */
  connectivity?: 'corners' | 'faces';
}

/** {@link ComponentOptions} with their defaults. */
export type ResolvedComponents = SampleOptions &
  Readonly<Required<Pick<ComponentOptions, 'connectivity'>>>;

/** Throws for anything that is not an option. */
export function resolveComponents(options: ComponentOptions): ResolvedComponents {
  return Object.freeze({
    ...resolveSampleOptions(options, ['connectivity']),
    connectivity: checkOneOf(options.connectivity, 'connectivity', connectivities, 'corners'),
  });
}
