import { LossKind } from '../native/codes.js';
import { Loss } from './loss.js';
import type { LossOptions } from './options.js';
import { resolveOptions } from './resolve.js';

/**
 * Dice plus cross-entropy, computed together in one pass over the logits (Isensee et al. 2018, arXiv 1809.10486, nnU-Net):
 *
 *     value = overlapWeight * Dice + crossEntropy.weight * CE
 *
 * The options of DiceLoss define the Dice part, {@link CrossEntropyOptions} the cross-entropy. `classWeights` apply to both
 * parts; `background: false` leaves class 0 out of the Dice part only. {@link LossValue.parts} holds both parts without their
 * weights. The default activation is `'softmax'`; `'sigmoid'` is the other choice. This class only sets the option
 * `crossEntropy`, one of {@link LossOptions}.
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
    super(
      options,
      resolveOptions(options, {
        kind: LossKind.dice,
        defaults: { activation: 'softmax', crossEntropy: {} },
      }),
    );
  }
}
