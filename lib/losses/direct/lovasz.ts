import type { ResolvedOptions } from '../../calls/shapes.js';
import { cannotCombine, checkFlag, checkKeys } from '../../common/check.js';
import { DirectKind, LossKind } from '../../native/codes.js';
import type { LossOptions } from '../options.js';
import { resolveOptions } from '../resolve.js';
import { DirectLoss } from './direct-loss.js';

/** The options of {@link LovaszLoss}. */
export interface LovaszOptions
  extends Pick<LossOptions, 'reduction' | 'batch' | 'background' | 'ignoreIndex' | 'layout'> {
  /**
   * How predictions become probabilities, see {@link LossOptions.activation}. Default `'softmax'`. Cannot be combined with
   * `hinge`, which takes logits as they are.
   */
  activation?: 'none' | 'sigmoid' | 'softmax';
  /** true: the errors are those of the hinge loss, max(0, 1 - z) in the mask and max(0, 1 + z) outside. Default false. */
  hinge?: boolean;
  /**
   * A class without target voxels: `'skip'` it is not counted, as the authors' `classes='present'`; `'formula'` it is, as their
   * `'all'`: its loss is the largest of its errors. Default `'skip'`; `'formula'` for the hinge.
   */
  absent?: 'skip' | 'formula';
}

const keys = [
  'activation',
  'hinge',
  'absent',
  'reduction',
  'batch',
  'background',
  'ignoreIndex',
  'layout',
];

/**
 * The Lovász extension of the Jaccard loss. With hard decisions it is the Jaccard loss of each class, 1 - I/(P + T - I); between
 * them it is convex in the errors e = |t - p|. The voxels are sorted by their errors, largest first; J_i is the Jaccard loss if
 * just the first i of them were wrong:
 *
 *     L = sum_i e_i * (J_i - J_(i-1))
 *
 * Reduction `'mean'` is, as the authors', the mean over the samples of the mean over the sample's counted classes (0 where none is
 * counted); with `batch` all samples are sorted together. `'sum'` adds all, `'none'` gives [N, C]. {@link LossValue.perClass} has
 * the loss of every class. The gradient is exact; voxels with the same error count in their order, and at an error of 0 it is 0.
 *
 * Source: Berman, Rannen Triki, Blaschko 2018, arXiv 1705.08790; the hinge: Yu and Blaschko 2015, 1512.07797.
 *
 * @example
 * const p = Tensor.from(Float64Array.of(0.5, 0.25, 0.75), [1, 1, 3]);
 * const t = Tensor.from(Uint8Array.of(1, 0, 1), [1, 3]);
 * const { value, grad } = new LovaszLoss({ activation: 'none' }).valueAndGrad(p, t);
 * // Errors 0.5, 0.25, 0.25, in this order; J is 1/2, then 2/3 with the false alarm, then 1.
 * value.itemSync(); // 0.5 * 1/2 + 0.25 * (2/3 - 1/2) + 0.25 * (1 - 2/3) = 0.375
 * grad.data; // [-1/2, 1/6, -1/3]
 */
export class LovaszLoss extends DirectLoss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: LovaszOptions = {}) {
    super(resolveLovasz(options));
  }
}

function resolveLovasz(options: LovaszOptions): ResolvedOptions {
  checkKeys(options, 'options', keys);
  const { hinge: _, ...others } = options;
  const hinge = checkFlag(options.hinge, 'hinge', false);
  if (hinge && options.activation !== undefined) {
    throw cannotCombine('activation', 'hinge: true', 'the hinge takes logits');
  }
  const absent = hinge ? 'formula' : 'skip';
  const resolved = resolveOptions(
    {
      ...others,
      activation: hinge ? 'none' : options.activation,
      absent: options.absent ?? absent,
    },
    { kind: LossKind.dice, defaults: { activation: 'softmax' }, absent: ['skip', 'formula'] },
  );
  return { ...resolved, direct: DirectKind[hinge ? 'lovasz-hinge' : 'lovasz'] };
}
