import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { LossOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * Dice plus focal loss (Lin et al. 2017, arXiv 1708.02002), computed together in one pass over the logits:
 *
 *     value = overlapWeight * Dice + focal.weight * focal
 *
 * The options of DiceLoss define the Dice part, {@link FocalOptions} the focal loss. The default activation is `'softmax'`;
 * with `'sigmoid'` the focal loss is the binary one of each class. `classWeights` apply to both parts; `background: false`
 * leaves class 0 out of the Dice part only. {@link LossValue.parts} holds both parts without their weights. This class only
 * sets the option `focal`, one of {@link LossOptions}.
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
    super(
      options,
      resolveOptions(options, {
        kind: LossKind.dice,
        defaults: { activation: 'softmax', focal: {} },
      }),
    );
  }
}
