import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { LossOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * The soft Jaccard (IoU) loss, per sample and class:
 *
 *     L = 1 - (I + s_n) / (P + T - I + s_d)
 *     I = sum p*t    P = sum p^2    T = sum t^2        over the voxels; `denominator: 'linear'`: sum p, sum t
 *
 * The gradient follows from dL/dI = -(1 + A/B)/B and dL/dP = dL/dT = A/B^2, where A is the numerator and B the denominator.
 * With s_n = s_d = 0 the index of each class is J = D/(2-D), with D its Dice; this does not hold for averages.
 *
 * @example
 * const loss = new JaccardLoss();
 * const p = Tensor.from(Float64Array.of(0.9, 0.8, 0.2, 0.7, 0.1), [5]);
 * const t = Tensor.from(Uint8Array.of(1, 1, 0, 1, 0), [5]);
 * loss.value(p, t).value.itemSync(); // 1 - 2.4 / (1.99 + 3 - 2.4 + 1e-7) = 0.0733591...
 */
export class JaccardLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: LossOptions = {}) {
    super(options, resolveOptions(options, { kind: LossKind.jaccard }));
  }
}
