import { checkFlag, checkNonNegative, checkShare, rangeError } from '../common/check.js';
import { LossKind, Transform, Unified } from '../native/codes.js';
import { Loss } from './loss.js';
import type { UnifiedFocalOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * The Unified Focal loss (Yeung et al. 2022, arXiv 2102.04525): a focal Tversky loss and a focal cross-entropy that share their
 * parameters lambda, delta and gamma, computed in one pass over the logits of a softmax:
 *
 *     value = lambda * F + (1 - lambda) * T
 *     r_c = (I + s_n) / (I + delta*(T - I) + (1 - delta)*(P - I) + s_d)          per sample and class, as in {@link TverskyLoss}
 *
 * a is the factor of a class: a_0 = 1 - delta for the background, class 0, and a_c = delta for every other. The asymmetric loss,
 * which is the default, enhances the foreground in T and suppresses the background in F:
 *
 *     T = mean of L_c over samples and classes        L_0 = 1 - r_0        L_c = (1 - r_c)^(1 - gamma)
 *     F = sum w*(a_0*t_0*(1 - p_0)^gamma*-log p_0 + sum_{c > 0} a_c*t_c*-log p_c) / sum w
 *
 * The symmetric one does so for all classes:
 *
 *     L_c = (1 - r_c)^(1 - gamma)        F = sum w*sum_c a_c*t_c*(1 - p_c)^gamma*-log p_c / sum w
 *
 * F is summed over the classes and averaged over the voxels of the batch, as in the authors' program. Class weights multiply the
 * terms of a class in both parts; the divisors do not have them. {@link LossValue.parts} has T, the cross-entropy and the focal
 * loss of which F is the sum (the asymmetric loss has both). Reduction `'sum'` divides neither part; `'none'` gives
 * one loss per sample or, with lambda 0, per sample and class.
 *
 * One channel of a sigmoid, z, is the softmax of the two channels (0, z).
 *
 * @example
 * const loss = new UnifiedFocalLoss({ smoothDenominator: 0 });
 * const z = Tensor.from(Float64Array.of(0, 0, 0, Math.log(3)), [1, 2, 2]); // p = (1/2, 1/2), (1/4, 3/4)
 * const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
 * // r_0 = .5 / (.5 + .6*.5 + .4*.25), r_1 = .75 / (.75 + .6*.25 + .4*.5); T = (1 - r_0 + (1 - r_1)^.5) / 2
 * // F = (.4 * .5^.5 * log 2 + .6 * log 4/3) / 2
 * loss.value(z, labels).value.itemSync(); // (T + F) / 2 = 0.3442953478...
 */
export class UnifiedFocalLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: UnifiedFocalOptions = {}) {
    super(options, resolveUnified(options));
  }
}

function resolveUnified(options: UnifiedFocalOptions) {
  const resolved = resolveOptions(options, {
    kind: LossKind.tversky,
    adds: ['lambda', 'delta', 'gamma', 'asymmetric'],
    removes: ['denominator', 'transform', 'background', 'crossEntropy', 'focal', 'overlapWeight'],
    defaults: { activation: 'softmax', denominator: 'linear' },
    activations: ['softmax'],
  });
  const lambda = checkShare(options.lambda, 'lambda', 0.5);
  const delta = checkShare(options.delta, 'delta', 0.6);
  const gamma = checkNonNegative(options.gamma, 'gamma', 0.5);
  if (gamma >= 1) throw rangeError('a number from 0 to below 1', 'gamma', gamma);
  const asymmetric = checkFlag(options.asymmetric, 'asymmetric', true);
  return {
    ...resolved,
    alpha: 1 - delta,
    beta: delta,
    delta,
    unified: asymmetric ? Unified.asymmetric : Unified.symmetric,
    transform: gamma === 0 ? Transform.none : Transform.power,
    gamma: 1 / (1 - gamma),
    overlapFactor: 1 - lambda,
    crossEntropyFactor: asymmetric ? lambda : 0,
    focalFactor: lambda,
    focalGamma: gamma,
    hasParts: lambda !== 0,
  };
}
