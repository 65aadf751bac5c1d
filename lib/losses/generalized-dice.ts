import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { GeneralizedDiceOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * The generalized Dice loss (Sudre et al. 2017, arXiv 1707.03237), one per sample:
 *
 *     r = (2 sum_c k_c*w_c*I_c + s_n) / (sum_c k_c*w_c*(P_c + T_c) + s_d)        L = 1 - r
 *     I = sum p*t    P = sum p    T = sum t    V = sum t                          over the voxels
 *
 * The option `weighting` chooses w_c = 1/V_c^2, 1/V_c or 1; the class weights k_c are ones by default. V is limited to at
 * least one voxel, so that a trace of a class in a soft target does not outweigh all other classes. An absent class gets
 * the largest w_c of the present classes (see `absent`). `denominator: 'squared'` sets P = sum p^2 and T = sum t^2; V stays.
 *
 * @example
 * const loss = new GeneralizedDiceLoss({ smoothDenominator: 0 });
 * const p = Tensor.from(Float64Array.of(0.75, 0.5, 1, 0.25, 0.5, 0), [1, 2, 3]); // N = 1, C = 2, 3 voxels
 * const labels = Tensor.from(Uint8Array.of(0, 1, 0), [1, 3]);
 * // class 0: I = 1.75, P = 2.25, V = 2, w = 1/4; class 1: I = .5, P = .75, V = 1, w = 1
 * loss.value(p, labels).value.itemSync(); // 1 - 2*(1.75/4 + .5) / (4.25/4 + 1.75) = 1/3
 */
export class GeneralizedDiceLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: GeneralizedDiceOptions = {}) {
    super(
      options,
      resolveOptions(options, {
        kind: LossKind.generalized,
        adds: ['weighting'],
        absent: ['formula', 'skip'],
        defaults: { denominator: 'linear' },
      }),
    );
  }
}
