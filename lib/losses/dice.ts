import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { LossOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * The soft Dice loss of V-Net (Milletari et al. 2016, arXiv 1606.04797), per sample and class:
 *
 *     L = 1 - (2I + s_n) / (P + T + s_d)
 *     I = sum p*t    P = sum p^2    T = sum t^2        over the voxels; `denominator: 'linear'`: sum p, sum t
 *
 * The gradient follows from dL/dI = -2/(P+T+s_d) and dL/dP = dL/dT = (2I+s_n)/(P+T+s_d)^2. With s_n = 0, a class with no
 * target voxels has loss 1 and gradient 0. Dice D = 2TP/(2TP+FP+FN) is not IoU J: D = 2J/(1+J).
 *
 * @example
 * const loss = new DiceLoss();
 * const p = Tensor.from(Float64Array.of(0.9, 0.8, 0.2, 0.7, 0.1), [5]);
 * const t = Tensor.from(Uint8Array.of(1, 1, 0, 1, 0), [5]);
 * loss.value(p, t).value.itemSync(); // 1 - 2*2.4 / (1.99 + 3 + 1e-7) = 0.0380761715816...
 */
export class DiceLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: LossOptions = {}) {
    super(options, resolveOptions(options, { kind: LossKind.dice }));
  }
}
