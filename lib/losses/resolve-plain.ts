// The options of a loss that is only a cross-entropy or only a focal loss, for the addon: those of Dice with the overlap weight 0.
import type { ResolvedOptions } from '../calls/shapes.js';
import { checkKeys } from '../common/check.js';
import { LossKind } from '../native/codes.js';
import type {
  CrossEntropyLossOptions,
  FocalLossOptions,
  LossOptions,
  PlainLossOptions,
} from './options.js';
import { resolveOptions } from './resolve.js';
import {
  checkFocalAlpha,
  checkFocalGamma,
  checkPositiveWeight,
  checkSmoothing,
} from './resolve-likelihood.js';

const common = [
  'classWeights',
  'ignoreIndex',
  'reduction',
  'layout',
  'allReduce',
  'reproducible',
] as const;

export function resolveCrossEntropy(options: CrossEntropyLossOptions): ResolvedOptions {
  checkKeys(options, 'options', ['activation', 'labelSmoothing', 'positiveWeight', ...common]);
  const { activation = 'softmax', positiveWeight } = options;
  const labelSmoothing = checkSmoothing(options.labelSmoothing, 'labelSmoothing');
  checkPositiveWeight(positiveWeight, 'positiveWeight', activation);
  const crossEntropy = { labelSmoothing, ...(positiveWeight !== undefined && { positiveWeight }) };
  return resolvePlain(options, { crossEntropy });
}

export function resolveFocal(options: FocalLossOptions): ResolvedOptions {
  checkKeys(options, 'options', ['activation', 'gamma', 'alpha', ...common]);
  const { activation = 'softmax', alpha } = options;
  const gamma = checkFocalGamma(options.gamma, 'gamma');
  checkFocalAlpha(alpha, 'alpha', activation);
  return resolvePlain(options, { focal: { gamma, ...(alpha !== undefined && { alpha }) } });
}

/** part: the loss, as a part of a compound one. */
function resolvePlain(
  { activation, classWeights, ignoreIndex, reduction, layout, reproducible }: PlainLossOptions,
  part: Pick<LossOptions, 'crossEntropy' | 'focal'>,
): ResolvedOptions {
  const resolved = resolveOptions(
    {
      activation,
      classWeights,
      ignoreIndex,
      reduction,
      layout,
      reproducible,
      overlapWeight: 0,
      ...part,
    },
    {
      kind: LossKind.dice,
      activations: ['softmax', 'sigmoid'],
      defaults: { activation: 'softmax' },
    },
  );
  return { ...resolved, hasParts: false }; // the value is the one part
}
