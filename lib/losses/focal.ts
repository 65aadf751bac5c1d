import { Loss } from './loss.js';
import type { FocalLossOptions } from './options.js';
import { resolveFocal } from './resolve-plain.js';

/**
 * The focal loss alone (Lin et al. 2017, arXiv 1708.02002): a cross-entropy in which a voxel that is certain and right counts
 * little. With the class weights k_c, the exponent g (the option `gamma`) and the balance `alpha`; the sums are over the voxels
 * and classes of the whole batch:
 *
 *     value = sum w*k_c*alpha_c*t_c*(1-p_c)^g*-log p_c / sum w*k_c
 *
 * With activation `'sigmoid'` it is the binary focal loss of each class, whose terms are
 * alpha*t*(1-p)^g*-log p + (1-alpha)*(1-t)*p^g*-log(1-p). Without alpha these factors are ones. The divisor counts every class
 * of a voxel, with softmax too: with gamma 0 and without class weights the value is the cross-entropy divided by C.
 *
 * Reduction `'sum'` does not divide; `'none'` gives the mean within each sample, [N]. Ignored voxels count in no sum. The
 * value and the gradient have the bits of `new DiceLoss({ activation, focal: {}, overlapWeight: 0 })`; as there,
 * {@link LossValue.perClass} holds the Dice loss of each class, to be watched while the focal loss trains. There are no
 * {@link LossValue.parts}. To train with both, use {@link DiceFocalLoss}.
 *
 * @example
 * const z = Tensor.from(Float64Array.of(0, 0, 0, Math.log(3)), [1, 2, 2]); // p = (1/2, 1/2), (1/4, 3/4)
 * const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
 * new FocalLoss().value(z, labels).value.itemSync(); // (Math.log(2) / 4 + Math.log(4/3) / 16) / 4 = 0.0478168...
 * new FocalLoss({ gamma: 0 }).value(z, labels).value.itemSync(); // (Math.log(2) + Math.log(4/3)) / 4 = 0.2452073...
 * const binary = new FocalLoss({ activation: 'sigmoid', alpha: 0.25 }); // that of RetinaNet
 * const x = Tensor.from(Float64Array.of(0, Math.log(3)), [2]); // p = 1/2, 3/4
 * const mask = Tensor.from(Uint8Array.of(0, 1), [2]);
 * binary.value(x, mask).value.itemSync(); // (0.75 * Math.log(2) / 4 + 0.25 * Math.log(4/3) / 16) / 2 = 0.0672300...
 */
export class FocalLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: FocalLossOptions = {}) {
    super(options, resolveFocal(options));
  }
}
