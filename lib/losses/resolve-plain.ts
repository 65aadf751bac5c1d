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
import { checkFocalGamma, checkSmoothing, resolveOptions } from './resolve.js';

const common = [
  'classWeights',
  'ignoreIndex',
  'reduction',
  'layout',
  'allReduce',
  'reproducible',
] as const;

export function resolveCrossEntropy(options: CrossEntropyLossOptions): ResolvedOptions {
  checkKeys(options, 'options', ['activation', 'labelSmoothing', ...common]);
  const labelSmoothing = checkSmoothing(options.labelSmoothing, 'labelSmoothing');
  return resolvePlain(options, { crossEntropy: { labelSmoothing } });
}

export function resolveFocal(options: FocalLossOptions): ResolvedOptions {
  checkKeys(options, 'options', ['activation', 'gamma', ...common]);
  const gamma = checkFocalGamma(options.gamma, 'gamma');
  return resolvePlain(options, { focal: { gamma } });
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
