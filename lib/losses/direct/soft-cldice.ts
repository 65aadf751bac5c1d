import { checkInteger, checkKeys, checkNonNegative, checkShare } from '../../common/check.js';
import { DirectKind } from '../../native/codes.js';
import type { LossOptions } from '../options.js';
import { resolveDistance } from './boundary.js';
import { DirectLoss } from './direct-loss.js';

/** The options of {@link SoftClDiceLoss}. */
export interface SoftClDiceOptions
  extends Pick<LossOptions, 'reduction' | 'batch' | 'background' | 'layout'> {
  /** How predictions become probabilities, see {@link LossOptions.activation}. Default `'softmax'`. */
  activation?: 'none' | 'sigmoid' | 'softmax';
  /**
   * A class without target voxels: `'formula'` it is counted as the formula gives, `'skip'` it is not. Default `'formula'`.
   */
  absent?: 'formula' | 'skip';
  /** The iterations of the skeleton, from 0 to 1000: at least the largest radius, in voxels, of what is thin. Default 3. */
  iterations?: number;
  /** The weight of clDice, from 0 to 1; that of the Dice loss beside it is 1 - alpha. Default 1: clDice alone. */
  alpha?: number;
  /** s_n, added to the numerators. Default 1. */
  smoothNumerator?: number;
  /** s_d, added to the denominators. Default 1. */
  smoothDenominator?: number;
  /** s_h, added to the denominator of the harmonic mean. Default 0. */
  smoothHarmonic?: number;
}

/**
 * The soft centreline Dice loss (clDice) of thin structures such as vessels: a gap costs as much where they are thin as where they
 * are thick. The soft skeletons S_p of the probabilities and S_t of the target are compared with the other's mask:
 *
 *     precision = (sum S_p t + s_n) / (sum S_p + s_d)        sensitivity = (sum S_t p + s_n) / (sum S_t + s_d)
 *     clDice = 1 - 2 precision sensitivity / (precision + sensitivity + s_h)
 *     L = (1 - alpha) (1 - (2 sum p t + s_n) / (sum p + sum t + s_d)) + alpha clDice
 *
 * The skeleton is made by erosions, the least of a voxel and its neighbours along each axis, and dilations, the largest of 3 x 3
 * (3D: 3 x 3 x 3): with E_0 = p, E_(k+1) = erosion of E_k, d_k = max(0, E_k - dilation of E_(k+1)), it is
 * S = 1 - (1 - d_0)(1 - d_1)...(1 - d_iterations). Voxels beyond the border are left out. A ratio whose denominator is 0 counts as 0.
 *
 * The gradient is exact, also through the least and the largest. Where several voxels are the least or the largest, the first in
 * memory takes the gradient; where E_k is its own opening, d_k has slope 0.
 *
 * Reduction `'mean'` is the mean over the samples of the mean over the sample's counted classes; with `batch` the sums are those of
 * all samples. {@link LossValue.perClass} has the loss of every class. There is no `ignoreIndex`: a skeleton needs every voxel. The
 * predictions have two or three spatial axes. Memory during a call: 16 bytes for each voxel and class of a sample (8 without
 * gradient); for each voxel of the class that is computed 26 bytes without gradient, with it 16 (iterations + 1) + 26. Samples below 2^18
 * voxels may take all their classes at once; with `batch` all samples are held.
 *
 * Source: Shit et al. 2021, arXiv 2003.07311. MONAI's SoftclDiceLoss adds up the classes of a sample, and has s_h = 1e-4.
 *
 * @example
 * const p = Tensor.from(Float64Array.of(0, 0.5, 0, 0, 1, 0, 0, 0, 0), [1, 1, 3, 3]);
 * const t = Tensor.from(Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 1, 0), [1, 3, 3]);
 * const { value, grad } = new SoftClDiceLoss({ activation: 'none' }).valueAndGrad(p, t);
 * // Every erosion is 0, so both skeletons are the images themselves: precision (1.5 + 1)/(1.5 + 1), sensitivity (1.5 + 1)/(3 + 1).
 * value.itemSync(); // 1 - 2 * 1 * 0.625 / 1.625 = 0.230769230...
 */
export class SoftClDiceLoss extends DirectLoss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: SoftClDiceOptions = {}) {
    checkKeys(options, 'options', keys);
    const { iterations, alpha, smoothHarmonic, ...others } = options;
    const { smoothNumerator = 1, smoothDenominator = 1 } = others;
    super(
      {
        ...resolveDistance({ ...others, smoothNumerator, smoothDenominator }),
        direct: DirectKind.cldice,
        iterations: iterations === undefined ? 3 : checkInteger(iterations, 'iterations', 0, 1000),
        alpha: checkShare(alpha, 'alpha', 1),
        smoothHarmonic: checkNonNegative(smoothHarmonic, 'smoothHarmonic', 0),
      },
      { spacing: undefined },
    );
  }
}

const keys = [
  'activation',
  'absent',
  'reduction',
  'batch',
  'background',
  'layout',
  'iterations',
  'alpha',
  'smoothNumerator',
  'smoothDenominator',
  'smoothHarmonic',
];
