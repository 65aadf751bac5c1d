import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { LossOptions } from './options.js';

/**
 * Dice plus cross-entropy, both from one pass over the logits:
 *
 *     value = overlapWeight * Dice + crossEntropy.weight * CE
 *
 * with the options of DiceLoss for the first part and {@link CrossEntropyOptions} for the second. The class weights go
 * to both; `background: false` drops class 0 from the Dice part alone. {@link LossValue.parts} has the two without their
 * weights. The activation is `'softmax'` unless `'sigmoid'` is asked for. Every loss has the option `crossEntropy`: this class
 * only sets it. The sum is that of Isensee et al. 2018, arXiv 1809.10486 (nnU-Net).
 *
 * @example
 * const loss = new DiceCELoss({ smoothDenominator: 0 });
 * const z = Tensor.from(Float64Array.of(0, 0, 0, Math.log(3)), [1, 2, 2]); // p = (1/2, 1/2), (1/4, 3/4)
 * const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
 * const { value, parts } = loss.value(z, labels);
 * parts.data; // [1 - (1/(5/16 + 1) + (3/2)/(13/16 + 1))/2, (Math.log(2) + Math.log(4/3))/2, 0]
 * value.itemSync(); // 0.6956691...
 */
export class DiceCELoss extends Loss {
  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: LossOptions = {}) {
    super(options, { kind: LossKind.dice, defaults: { activation: 'softmax', crossEntropy: {} } });
  }
}
