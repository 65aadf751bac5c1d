import { checkKeys, typeError } from '../common/check.js';
import {
  type ComponentOptions,
  type ResolvedComponents,
  resolveComponents,
} from './component-options.js';
import { type ComponentScoreName, measuredComponents } from './component-scores.js';
import { SampleMetrics, type SampleState } from './sample-metrics.js';

/** {@link ComponentMetrics} in the form that `JSON.stringify` writes. */
export type ComponentState = SampleState<ComponentOptions>;

/**
 * Metrics of the connected components of each class, such as lesions, over a data set of 2D images or 3D volumes: Dice of each
 * component, so that a small one counts as much as a large one, and how many are found ({@link ComponentScoreName}).
 *
 * A component of the prediction and one of the target match where they share a voxel. Which voxels are of a class is decided as
 * in {@link SegmentationMetrics}; a class without target voxels is treated as `absent` says ({@link MetricsOptions.absent}), and
 * one that is missed scores 0. Time is linear in the volume, but for the sorting of matches.
 *
 * Sources: Jaus et al. 2024, arXiv 2410.18684 (Dice of regions, MONAI's `DiceMetric(per_component=True)`); Moawad et al. 2023,
 * arXiv 2306.00838 (lesion-wise Dice of BraTS, here without dilation and without a smallest size).
 *
 * @example
 * const metrics = new ComponentMetrics({ classes: 2, decision: 'labels' });
 * const target = Tensor.from(Uint8Array.of(1, 1, 1, 0, 0, 0, 1, 0, 0, 0), [1, 1, 10]); // two components, of three voxels and one
 * const predicted = Tensor.from(Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 0, 0, 1), [1, 1, 10]); // two voxels of the first, and a false one
 * metrics.update(predicted, target);
 * metrics.perClass('regionDice')[1]; // (4/5 + 0) / 2: the second one's region has a false positive alone
 * metrics.perClass('lesionDice')[1]; // (4/5 + 0) / (2 + 1): two components of the target, and one false one
 * metrics.perClass('lesionRecall')[1]; // 1/2
 */
export class ComponentMetrics extends SampleMetrics<ComponentScoreName, ResolvedComponents> {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: ComponentOptions) {
    super(resolveComponents(options), measuredComponents);
  }

  /** Makes metrics from the result of {@link SampleMetrics.toJSON}. @throws TypeError, RangeError for anything else */
  static fromJSON(state: ComponentState): ComponentMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'rows', 'names']);
    if (state === undefined) throw typeError('an object', 'state', state);
    return new ComponentMetrics(state.options).restore(state);
  }
}
