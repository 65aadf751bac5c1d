import type { ResolvedOptions } from '../../calls/shapes.js';
import { checkKeys, checkPositive, rangeError } from '../../common/check.js';
import { DirectKind, LossKind } from '../../native/codes.js';
import type { CrossEntropyOptions, LossOptions } from '../options.js';
import { resolveOptions } from '../resolve.js';
import { checkSmoothing } from '../resolve-likelihood.js';
import { DirectLoss } from './direct-loss.js';

/** The options of {@link TopKCrossEntropyLoss}. */
export interface TopKOptions
  extends Pick<LossOptions, 'reduction' | 'batch' | 'classWeights' | 'ignoreIndex' | 'layout'>,
    Pick<CrossEntropyOptions, 'labelSmoothing'> {
  /** The percentage k of the voxels, above 0 and at most 100. Default 10. */
  k?: number;
  /** `'softmax'`, of two or more classes. */
  activation?: 'softmax';
}

/**
 * The mean of the largest cross-entropies: of the voxels with the k percent largest ones. With the class weights k_c, ones by
 * default, and the label smoothing s a voxel has the cross-entropy
 *
 *     E = sum_c k_c*t'_c*-log p_c        t' = (1 - s)*t + s/C        p = softmax(z)
 *
 * The voxels of a sample (with `batch`, of all samples) that are not ignored are S; the loss is the mean of the largest
 * floor(k*S/100) of their E, at least of one. Equal ones at the end are taken in the order of the voxels, so results have the same bits on
 * every run. The gradient is exact: that of the mean of the voxels that were taken, 0 for the others. Where no voxel counts the
 * loss is 0. NaN counts as larger than all numbers.
 *
 * Reduction `'mean'` is the mean over the samples, `'sum'` adds their losses, `'none'` gives [N]. {@link LossValue.perClass} has what
 * each class adds to the loss of its sample.
 *
 * With `batch: true` it is the `TopKLoss` of nnU-Net, but for ignored voxels, which that loss counts in S, with a cross-entropy of 0.
 * Source: Wu, Shen, van den Hengel 2016, arXiv 1605.06885 (online bootstrapping); Isensee's nnU-Net.
 *
 * @example
 * const loss = new TopKCrossEntropyLoss({ k: 50 });
 * const z = Tensor.from(Float64Array.of(0, 0, Math.log(3), 0, 0, 0, 0, Math.log(3)), [1, 2, 4]);
 * const labels = Tensor.from(Uint8Array.of(0, 1, 1, 1), [1, 4]);
 * const { value, grad } = loss.valueAndGrad(z, labels);
 * // Cross-entropies log 2, log 2, log 4, log 4/3: the third and, of equal ones, the first voxel
 * value.itemSync(); // (log 4 + log 2) / 2 = 1.0397207708...
 * grad.data; // [-1/4, 0, 3/8, 0, 1/4, 0, -3/8, 0]
 */
export class TopKCrossEntropyLoss extends DirectLoss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: TopKOptions = {}) {
    super(resolveTopK(options));
  }
}

const keys = [
  'k',
  'activation',
  'labelSmoothing',
  'reduction',
  'batch',
  'classWeights',
  'ignoreIndex',
  'layout',
];

function resolveTopK(options: TopKOptions): ResolvedOptions {
  checkKeys(options, 'options', keys);
  const { k: _, labelSmoothing, ...others } = options;
  const k = checkPositive(options.k, 'k', 10);
  if (k > 100) throw rangeError('a number above 0 and at most 100', 'k', k);
  const smoothing = checkSmoothing(labelSmoothing, 'labelSmoothing');
  const resolved = resolveOptions(
    { ...others, overlapWeight: 0, crossEntropy: { labelSmoothing: smoothing } },
    { kind: LossKind.dice, activations: ['softmax'], defaults: { activation: 'softmax' } },
  );
  return { ...resolved, alpha: k, direct: DirectKind['top-k'], hasParts: false };
}
