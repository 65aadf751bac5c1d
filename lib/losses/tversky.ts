import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { TverskyOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * The Tversky loss (Salehi et al. 2017, arXiv 1706.05721), per sample and class:
 *
 *     r = (I + s_n) / (I + alpha*(P - I) + beta*(T - I) + s_d)        L = 1 - r
 *     I = sum p*t    P = sum p    T = sum t                            over the voxels
 *
 * alpha is the weight of false positives, beta that of false negatives. alpha = beta = 1/2 is Dice with half the smoothing;
 * alpha = beta = 1 is Jaccard. The option `gamma` makes it the focal Tversky loss L = (1 - r)^(1/gamma) (Abraham & Khan 2018,
 * arXiv 1810.07842, who use gamma = 4/3; their alpha is our beta). `denominator: 'squared'` sets P = sum p^2, T = sum t^2.
 *
 * @example
 * const loss = new TverskyLoss({ alpha: 0.3, beta: 0.7 });
 * const p = Tensor.from(Float64Array.of(0.9, 0.8, 0.2, 0.7, 0.1), [5]);
 * const t = Tensor.from(Uint8Array.of(1, 1, 0, 1, 0), [5]);
 * loss.value(p, t).value.itemSync(); // 1 - 2.4 / (2.4 + 0.3*0.3 + 0.7*0.6 + 1e-7) = 0.1752577603...
 */
export class TverskyLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: TverskyOptions = {}) {
    super(
      options,
      resolveOptions(options, {
        kind: LossKind.tversky,
        adds: ['alpha', 'beta'],
        defaults: { denominator: 'linear' },
      }),
    );
  }
}
