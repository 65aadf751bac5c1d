import { checkNonNegative, checkOneOf } from '../common/check.js';
import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { MatthewsOptions } from './options.js';
import { resolveOptions } from './resolve.js';

const kinds = {
  macro: LossKind.matthews,
  micro: LossKind.microMatthews,
  multiclass: LossKind.multiclassMatthews,
} as const;

/**
 * One minus Matthews' correlation coefficient of prediction and target (Matthews 1975; as a loss Abhishek & Hamarneh 2021, arXiv
 * 2010.13454), per sample and class. It is the overlap loss that counts true negatives:
 *
 *     TP = I + s    FP = P - I + s    FN = T - I + s    TN = W - P - T + I + s
 *     A = TP*TN - FP*FN    X = (TP + FP)*(TN + FN)    Y = (TP + FN)*(TN + FP)
 *     r = A / sqrt(X*Y)    L = 1 - r                                          from 0 to 2
 *     I = sum w*p*t    P = sum w*p    T = sum w*t    W = sum w                over the voxels
 *
 * s is the option `smooth`. A loss of 1 is a prediction that says nothing of the target. Without smoothing that is also the loss,
 * with gradient 0, of a class that no voxel or every voxel has, in the target or in the prediction (`absent` may say otherwise for
 * a class without target voxels).
 *
 * The option `average` says how several classes are combined: with `'macro'` each has its own r. `'micro'` one r from the sums of I, P, T and W
 * over the classes, as `MCCLoss` of segmentation_models.pytorch has it. `'multiclass'` the coefficient R_K of Gorodkin 2004,
 *
 *     r = sum_c k_c*A_c / sqrt(sum_c k_c*X_c * sum_c k_c*Y_c)
 *
 * with the class weights k_c, ones by default. For two exclusive classes R_K is the r of each class. The last two give one loss
 * per sample.
 *
 * Value and gradient are computed from the sums, so everything works as with the other losses of sums: statistics, `allReduce`,
 * plans, GPUs and {@link linearLogits}.
 *
 * @example
 * const loss = new MatthewsLoss();
 * const p = Tensor.from(Float64Array.of(0.75, 0.5, 0.25, 0), [4]);
 * const t = Tensor.from(Uint8Array.of(1, 1, 0, 0), [4]);
 * // TP = 1.25, FP = .25, FN = .75, TN = 1.75: r = (1.25*1.75 - .25*.75) / sqrt(1.5*2 * 2.5*2)
 * loss.value(p, t).value.itemSync(); // 1 - 2/sqrt(15) = 0.4836022205...
 */
export class MatthewsLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: MatthewsOptions = {}) {
    super(options, resolveMatthews(options));
  }
}

function resolveMatthews(options: MatthewsOptions) {
  const average = checkOneOf(
    options?.average,
    'average',
    ['macro', 'micro', 'multiclass'],
    'macro',
  );
  const resolved = resolveOptions(options, {
    kind: kinds[average],
    adds: ['average', 'smooth'],
    removes: ['denominator', 'smoothNumerator', 'smoothDenominator'],
    defaults: { denominator: 'linear' },
    ...(average !== 'macro' && { absent: ['formula', 'skip'] }),
  });
  return { ...resolved, smoothDenominator: checkNonNegative(options.smooth, 'smooth', 0) };
}
