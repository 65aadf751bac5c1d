import { checkKeys, typeError } from '../common/check.js';
import { SampleMetrics, type SampleState } from './sample-metrics.js';
import { type ResolvedSurface, resolveSurface, type SurfaceOptions } from './surface-options.js';
import { measuredSurfaces, type SurfaceScoreName } from './surface-scores.js';

/** {@link SurfaceMetrics} in the form that `JSON.stringify` writes. */
export type SurfaceState = SampleState<SurfaceOptions>;

/**
 * Metrics of the distance between the surfaces of prediction and target, over a dataset of 2D images or 3D volumes: Hausdorff
 * distance and its percentiles, average surface distances, normalized surface Dice, boundary IoU ({@link SurfaceScoreName}).
 * Distances are exact Euclidean distances, computed in float64 in time linear in the volume. They do not depend on the number
 * of threads.
 *
 * The scores are of each sample and class; {@link SampleMetrics.perClass} and {@link SampleMetrics.average} are their means.
 * Which voxels are of a class is decided as in {@link SegmentationMetrics}. A voxel with the ignore index is of no class.
 *
 * A class without target voxels is treated as `absent` says ({@link MetricsOptions.absent}); here 1 stands for the best score,
 * which is 0 for distances, and 0 for the worst, which is `worstDistance`. A class with target voxels of which nothing is
 * predicted always has the worst score.
 *
 * Sources: Huttenlocher et al. 1993 (Hausdorff distance), Heimann et al. 2009 (average distances), Nikolov et al. 2018 (surface
 * Dice), Cheng et al. 2021 (boundary IoU; here the distance is Euclidean).
 *
 * @example
 * const metrics = new SurfaceMetrics({ classes: 2, decision: 'labels', spacing: [1, 2], tolerance: 1 });
 * const predicted = Tensor.from(Uint8Array.of(1, 0, 0, 1, 0, 0), [1, 2, 3]); // the left column
 * const target = Tensor.from(Uint8Array.of(1, 0, 1, 0, 0, 0), [1, 2, 3]); // two pixels of the upper row
 * metrics.update(predicted, target);
 * metrics.perClass('hausdorff')[1]; // 4: two pixels of width 2 to the right
 * metrics.perClass('averageDistance')[1]; // (0 + 1) / 2: the lower pixel is 1 from the target
 * metrics.perClass('surfaceDice')[1]; // 3/4: all but the target's right pixel are within 1 of the other surface
 */
export class SurfaceMetrics extends SampleMetrics<SurfaceScoreName, ResolvedSurface> {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: SurfaceOptions) {
    super(resolveSurface(options), measuredSurfaces);
  }

  /** Makes metrics from the result of {@link SampleMetrics.toJSON}. @throws TypeError, RangeError for anything else */
  static fromJSON(state: SurfaceState): SurfaceMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'rows', 'names']);
    if (state === undefined) throw typeError('an object', 'state', state);
    return new SurfaceMetrics(state.options).restore(state);
  }
}
