import { Loss } from './loss.js';
import type { CrossEntropyLossOptions } from './options.js';
import { resolveCrossEntropy } from './resolve-plain.js';

/**
 * The cross-entropy alone, with the class weights k_c, the label smoothing s, the positive weight a_c (the option
 * `positiveWeight`, only with sigmoid), and the divisor of PyTorch's `nn.CrossEntropyLoss`. The sums are over the voxels and classes of the whole batch:
 *
 *     value = sum w*k_c*t'_c*-log p_c / sum w*k_c*t_c        t' = (1-s)*t + s/C
 *
 * With activation `'sigmoid'` it is the binary cross-entropy of each class:
 *
 *     value = sum w*k_c*-(a_c*t'*log p + (1-t')*log(1-p)) / sum w*k_c        t' = (1-s)*t + s/2
 *
 * Reduction `'sum'` does not divide; `'none'` gives the mean within each sample, [N]. Ignored voxels count in no sum. The
 * value and the gradient have the bits of `new DiceLoss({ activation, crossEntropy: {}, overlapWeight: 0 })`; as there,
 * {@link LossValue.perClass} holds the Dice loss of each class, to be watched while the cross-entropy trains. There are no
 * {@link LossValue.parts}. To train with both, use {@link DiceCELoss}.
 *
 * @example
 * const z = Tensor.from(Float64Array.of(0, 0, 0, Math.log(3)), [1, 2, 2]); // p = (1/2, 1/2), (1/4, 3/4)
 * const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
 * new CrossEntropyLoss().value(z, labels).value.itemSync(); // (Math.log(2) + Math.log(4/3)) / 2 = 0.4904146...
 * const weighted = new CrossEntropyLoss({ classWeights: [1, 3] });
 * weighted.value(z, labels).value.itemSync(); // (Math.log(2) + 3 * Math.log(4/3)) / (1 + 3) = 0.3890483...
 * const each = new CrossEntropyLoss({ reduction: 'none' }); // a value per voxel: each voxel is a sample
 * const rows = Tensor.from(Float64Array.of(0, 0, 0, Math.log(3)), [2, 2]); // the same predictions, [voxels, C]
 * each.value(rows, Tensor.from(Uint8Array.of(0, 1), [2])).value.data; // [Math.log(2), Math.log(4/3)]
 * const binary = new CrossEntropyLoss({ activation: 'sigmoid', positiveWeight: 3 });
 * const x = Tensor.from(Float64Array.of(0, Math.log(3)), [2]); // p = 1/2, 3/4
 * binary.value(x, Tensor.from(Uint8Array.of(0, 1), [2])).value.itemSync(); // (Math.log(2) + 3 * Math.log(4/3)) / 2 = 0.7780966...
 */
export class CrossEntropyLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: CrossEntropyLossOptions = {}) {
    super(options, resolveCrossEntropy(options));
  }
}
