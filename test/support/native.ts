// What a loss tells the addon.
import type { NativeLossOptions } from '../../binding.js';

/** Dice, squared, of a softmax, its mean over samples and classes, without smoothing. */
export const plainOptions: NativeLossOptions = {
  kind: 0,
  reduction: 1,
  activation: 2,
  pooled: false,
  background: true,
  squared: true,
  channelsLast: false,
  smoothNumerator: 0,
  smoothDenominator: 0,
  ignoreIndex: undefined,
  classWeights: undefined,
};
