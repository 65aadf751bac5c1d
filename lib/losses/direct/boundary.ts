import { checkKeys } from '../../common/check.js';
import { checkSpacing } from '../../common/spatial.js';
import { DirectKind, LossKind } from '../../native/codes.js';
import type { LossOptions } from '../options.js';
import { resolveOptions } from '../resolve.js';
import { DirectLoss } from './direct-loss.js';

/** The options of losses that measure distances. */
export interface DistanceOptions
  extends Pick<LossOptions, 'reduction' | 'background' | 'ignoreIndex' | 'layout'> {
  /** How predictions become probabilities, see {@link LossOptions.activation}. Default `'softmax'`. */
  activation?: 'none' | 'sigmoid' | 'softmax';
  /**
   * A class without target voxels: `'formula'` it is counted as the formula gives, as the authors do; `'skip'` it is not.
   * Default `'formula'`.
   */
  absent?: 'formula' | 'skip';
  /**
   * The distance between neighbouring voxels along each spatial axis, in the order of the axes: two or three numbers above 0.
   * Default ones.
   */
  spacing?: readonly number[];
}

/** The options of {@link BoundaryLoss}. */
export interface BoundaryOptions extends DistanceOptions {}

export const distanceKeys = [
  'activation',
  'absent',
  'reduction',
  'background',
  'ignoreIndex',
  'layout',
  'spacing',
];

/**
 * The boundary loss: probabilities far outside of the target cost much, those deep inside earn much. For each class the mean
 * over the voxels of the probability times the signed distance to the target's boundary:
 *
 *     L = 1/S sum p * phi        phi = d outside of the class, 1 - d inside
 *
 * d is the exact Euclidean distance to the nearest voxel of the class, from inside to the nearest voxel outside, in the unit of
 * `spacing`. The 1 is that of the authors' program, whatever the spacing: with spacing 1 the voxels on both sides of the boundary
 * have phi 1 and 0. Where a target has no voxels of the class, or no others, phi is 0. The value may be negative. It is linear in
 * p: the gradient, exact, is phi / S before the activation. The authors add this loss to a Dice loss.
 *
 * Reduction `'mean'` is the mean over the samples of the mean over the sample's counted classes. Ignored voxels have no side:
 * they count for no mean, and no distance leads to them. {@link LossValue.perClass} has the loss of every class. The predictions
 * have two or three spatial axes: [N, C, Y, X] or [N, C, Z, Y, X]. Memory during a call: 16 bytes for each voxel and class of a
 * sample (8 without gradient), and up to 23 for each voxel of the class that is computed; samples below 2^18 voxels may take all
 * their classes at once.
 *
 * Source: Kervadec et al. 2019, arXiv 1812.07032. Distances: Felzenszwalb and Huttenlocher 2012, linear in the volume.
 *
 * @example
 * const p = Tensor.from(Float64Array.of(0.5, 0.25, 0.75, 1), [1, 1, 1, 4]);
 * const t = Tensor.from(Uint8Array.of(1, 1, 0, 0), [1, 1, 4]);
 * const { value, grad } = new BoundaryLoss({ activation: 'none' }).valueAndGrad(p, t);
 * // phi is -1, 0, 1, 2
 * value.itemSync(); // (-0.5 + 0 + 0.75 + 2) / 4 = 0.5625
 * grad.data; // [-1/4, 0, 1/4, 1/2]
 */
export class BoundaryLoss extends DirectLoss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: BoundaryOptions = {}) {
    checkKeys(options, 'options', distanceKeys);
    const { spacing, ...others } = options;
    super({ ...resolveDistance(others), direct: DirectKind.boundary }, spacingFrom(spacing));
  }
}

/** The options of such a loss, without the spacing, for the addon. */
export function resolveDistance(options: object) {
  return resolveOptions(options, {
    kind: LossKind.dice,
    defaults: { activation: 'softmax' },
    absent: ['formula', 'skip'],
  });
}

export const spacingFrom = (spacing: unknown) => ({
  spacing: spacing === undefined ? undefined : checkSpacing(spacing),
});
