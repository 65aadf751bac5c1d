import { checkFlag, checkKeys, checkPositive } from '../../common/check.js';
import { DirectKind, Transform } from '../../native/codes.js';
import type { LossOptions } from '../options.js';
import { type DistanceOptions, distanceKeys, resolveDistance, spacingFrom } from './boundary.js';
import { DirectLoss } from './direct-loss.js';

/** The options of {@link HausdorffLoss}. */
export interface HausdorffOptions extends DistanceOptions, Pick<LossOptions, 'batch'> {
  /** The exponent of the distances, finite and > 0. Default 2. */
  alpha?: number;
  /** true: the value is log(1 + v) of the value v; with reduction `'none'` each number. Default false. */
  log?: boolean;
}

/**
 * The Hausdorff distance loss by distance transforms: errors far from the boundaries, which make the Hausdorff distance large, cost
 * most. For each class:
 *
 *     L = 1/S sum (p - t)^2 * (d_p^alpha + d_t^alpha)
 *
 * d_t is the exact Euclidean distance of a voxel to the nearest one on the other side of the target's boundary, d_p the same for
 * the predicted mask p > 1/2, in the unit of `spacing`. A mask of no voxels, or of all, has no boundary: its distances are 0. d_p
 * is taken as a constant: it changes by steps, and no gradient flows through it. The gradient, exact but for that, is
 * 2 (p - t) (d_p^alpha + d_t^alpha) / S before the activation. It is 0 where both masks have no boundary, so add another loss.
 *
 * Reduction `'mean'` is the mean over the samples of the mean over the sample's counted classes; with `batch` the voxels of all
 * samples have one mean per class. {@link LossValue.perClass} has the loss L of every class, also with `log`. Ignored voxels
 * have no side: they count for no mean, and no distance leads to them. The predictions have two or three spatial axes. Memory
 * during a call: as for {@link BoundaryLoss}, with 32 bytes in place of 23; with `batch`, or `log` with a gradient, for all samples at once.
 *
 * Source: Karimi and Salcudean 2019, arXiv 1904.10030. The same as MONAI's HausdorffDTLoss and, with `log`,
 * LogHausdorffDTLoss, whose default is `background: false`.
 *
 * @example
 * const p = Tensor.from(Float64Array.of(1, 0.25, 0.75, 0), [1, 1, 1, 4]);
 * const t = Tensor.from(Uint8Array.of(1, 1, 0, 0), [1, 1, 4]);
 * const { value, grad } = new HausdorffLoss({ activation: 'none' }).valueAndGrad(p, t);
 * // p > 1/2 is 1, 0, 1, 0: every d_p is 1. d_t is 2, 1, 1, 2.
 * value.itemSync(); // (0.75**2 * 2 + 0.75**2 * 2) / 4 = 0.5625
 * grad.data; // [0, -3/4, 3/4, 0]
 */
export class HausdorffLoss extends DirectLoss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: HausdorffOptions = {}) {
    checkKeys(options, 'options', [...distanceKeys, 'batch', 'alpha', 'log']);
    const { spacing, alpha, log, ...others } = options;
    super(
      {
        ...resolveDistance(others),
        direct: DirectKind.hausdorff,
        alpha: checkPositive(alpha, 'alpha', 2),
        transform: checkFlag(log, 'log', false) ? Transform.log : Transform.none,
      },
      spacingFrom(spacing),
    );
  }
}
