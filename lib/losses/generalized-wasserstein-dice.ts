import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { GeneralizedWassersteinDiceOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * The generalized Wasserstein Dice loss (Fidon et al. 2017, arXiv 1707.00478), one per sample. Mistaking near classes for
 * each other costs less than mistaking distant ones. A voxel of class c costs its mean distance to the predicted classes,
 * W = sum_j M[c][j]*p_j. With I_c = sum t_c*W and V_c = sum t_c:
 *
 *     A = sum_c k_c*(D_c*V_c - I_c)   over the classes but b        r = (2A + s_n) / (2A + sum_c I_c + s_d)
 *     L = 1 - r
 *
 * M is the option `distances`, b is `backgroundIndex`; the class weights k_c (the alpha of the paper) are ones by default.
 * D_c is M[c][b], or the largest distance for `measuredFrom: 'largest'`. The probabilities of a voxel must add up to 1: use
 * activation `'softmax'`, or `'none'` for such probabilities. With `weighting: 'GDL'` every class counts in both sums,
 * with the weight u_c = k_c/(V_c + 1):
 *
 *     A = sum_c u_c*(D_c*V_c - I_c)   over all classes        r = (2A + s_n) / (2A + sum_c u_c*I_c + s_d)
 *
 * When every class has distance 1 from b, as in the authors' examples, this is the loss of the authors' programs, and the
 * tests compare the two. For other distances three versions exist, which differ in what a voxel adds to A: M[c][b]*(1 - W)
 * in NiftyNet, 1 - W in the authors' later program and in MONAI, M[c][b] - W here. Here a voxel predicted as background adds 0.
 * In the later program such a voxel still counts as partly found; `measuredFrom: 'largest'` is that version, and `'GDL'` is a
 * weighting of that program. M may have any scale; the other programs divide it by its largest number, which changes only
 * what the smoothing means. This loss has not been compared with the text of the paper.
 *
 * @example
 * const distances = [[0, 1, 1], [1, 0, 0.5], [1, 0.5, 0]]; // classes 1 and 2 are near each other
 * const loss = new GeneralizedWassersteinDiceLoss({ distances, smoothDenominator: 0 });
 * const p = Tensor.from(Float64Array.of(1, 0, 0, 0.5, 0, 0.5), [1, 3, 2]); // N = 1, C = 3, 2 voxels
 * const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
 * // voxel 0 is right; voxel 1, of class 1: W = .5*.5 = .25, A = 1 - .25
 * loss.value(p, labels).value.itemSync(); // 1 - 1.5 / (1.5 + .25) = 0.142857142...
 * const gdl = new GeneralizedWassersteinDiceLoss({ distances, weighting: 'GDL', smoothDenominator: 0 });
 * // u_c = 1/2 for classes 0 and 1: A = (1 + .75)/2
 * gdl.value(p, labels).value.itemSync(); // 1 - 1.75 / (1.75 + .125) = 0.0666666...
 */
export class GeneralizedWassersteinDiceLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option, a wrong value or without distances */
  constructor(options: GeneralizedWassersteinDiceOptions) {
    const given = options === undefined ? {} : options;
    const resolved = resolveOptions(given, {
      kind: LossKind.wasserstein,
      adds: ['distances', 'backgroundIndex', 'weighting', 'measuredFrom'],
      removes: ['denominator', 'overlap', 'absent', 'background'],
      activations: ['none', 'softmax'],
      absent: ['formula'],
    });
    super(given, resolved);
  }
}
