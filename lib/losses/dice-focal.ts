import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { LossOptions } from './options.js';

/**
 * Dice plus focal loss, both from one pass over the logits:
 *
 *     value = overlapWeight * Dice + focal.weight * focal
 *
 * with the options of DiceLoss for the first part and {@link FocalOptions} for the second. With `'softmax'`, the default, it is the
 * focal loss of the softmax probabilities; with `'sigmoid'` the binary one of every class. The class weights go to both;
 * `background: false` drops class 0 from the Dice part alone. {@link LossValue.parts} has the two without their weights. Every
 * loss has the option `focal`: this class only sets it. The focal loss is that of Lin et al. 2017, arXiv 1708.02002.
 *
 * @example
 * const loss = new DiceFocalLoss({ smoothDenominator: 0 });
 * const z = Tensor.from(Float64Array.of(0, 0, 0, Math.log(3)), [1, 2, 2]); // p = (1/2, 1/2), (1/4, 3/4)
 * const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
 * // Dice .2052545 (as in DiceCELoss); focal: ((1/2)^2 * log 2 + (1/4)^2 * log 4/3) / 4 = .0478168
 * loss.value(z, labels).value.itemSync(); // 0.2530713...
 */
export class DiceFocalLoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: LossOptions = {}) {
    super(options, { kind: LossKind.dice, defaults: { activation: 'softmax', focal: {} } });
  }
}
