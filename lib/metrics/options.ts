// What metrics count and how scores are made of it: the options and their checks.
import {
  cannotCombine,
  checkFlag,
  checkInteger,
  checkKeys,
  checkOneOf,
  rangeError,
  typeError,
} from '../common/check.js';
import { checkIgnoreIndex, checkLayout } from '../losses/resolve.js';
import { type Absent, absentPolicies } from './scores.js';

/** In the order of the codes of binding.d.ts. */
export const decisions = ['argmax', 'threshold', 'labels'] as const;
const aggregates = ['global', 'samples'] as const;

/** What {@link SegmentationMetrics} count, and how scores are made of it. */
export interface MetricsOptions {
  /** C. */
  classes: number;
  /**
   * How predictions become classes. `'argmax'`: the class of the largest logit or probability, the lowest class at a
   * tie; needs two or more classes. `'threshold'`: each class by itself where its prediction is above `threshold`, so
   * that a voxel may be of several classes or none. `'labels'`: predictions are class indices. Default `'argmax'`.
   */
  decision?: 'argmax' | 'threshold' | 'labels';
  /**
   * Needed for decision `'threshold'`, and compared with the predictions as they are: 0.5 for probabilities, 0 for the
   * logits of a sigmoid. Rounded to float32 unless the predictions are float64.
   */
  threshold?: number;
  /**
   * `'global'`: scores of the counts of all samples together. `'samples'`: scores of each sample, then the mean over the
   * samples in which they are counted; keeps 4 numbers per sample and class. Default `'global'`.
   */
  aggregate?: 'global' | 'samples';
  /**
   * The score of a class with no target voxel, whatever is predicted, with the meaning that it has in the losses:
   * `'skip'` NaN and left out of means, `'perfect'` 1, `'worst'` 0, `'formula'` what the formula gives, with 0/0 = 0: 0
   * for Dice, IoU, precision, recall and volume similarity. Specificity and accuracy are those of the formula always.
   * Default `'skip'`.
   */
  absent?: Absent;
  /** false: class 0 is left out of averages (it can still be predicted). Default true. */
  background?: boolean;
  /** Voxels with this label are left out. For labels, and for masks of one class. */
  ignoreIndex?: number;
  /** `'channels-first'` [N, C, ...spatial] or `'channels-last'` [N, ...spatial, C]. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
}

/** {@link MetricsOptions} with their defaults. */
export type ResolvedMetrics = Readonly<
  Required<Omit<MetricsOptions, 'ignoreIndex' | 'threshold'>> & MetricsOptions
>;

const optionKeys: readonly (keyof MetricsOptions)[] = [
  'classes',
  'decision',
  'threshold',
  'aggregate',
  'absent',
  'background',
  'ignoreIndex',
  'layout',
];

/** Throws for anything that is not an option. */
export function resolveMetrics(options: MetricsOptions): ResolvedMetrics {
  if (options === undefined) throw typeError('an object', 'options', options);
  checkKeys(options, 'options', optionKeys);
  const { threshold } = options;
  const ignoreIndex = checkIgnoreIndex(options.ignoreIndex);
  const classes = checkInteger(options.classes, 'classes', 1, 65_536);
  const decision = checkOneOf(options.decision, 'decision', decisions, 'argmax');
  if (decision === 'argmax' && classes === 1) {
    throw new RangeError(
      "Expected 2 or more for classes, as decision is 'argmax', but received 1: use decision 'threshold'",
    );
  }
  checkThreshold(threshold, decision);
  const background = checkFlag(options.background, 'background', true);
  if (!background && classes === 1) {
    throw new RangeError('Expected 2 or more for classes, as background is false, but received 1');
  }
  return Object.freeze({
    classes,
    decision,
    aggregate: checkOneOf(options.aggregate, 'aggregate', aggregates, 'global'),
    absent: checkOneOf(options.absent, 'absent', absentPolicies, 'skip'),
    background,
    layout: checkLayout(options.layout),
    ...(threshold !== undefined && { threshold }),
    ...(ignoreIndex !== undefined && { ignoreIndex }),
  });
}

function checkThreshold(threshold: unknown, decision: string): void {
  if (decision !== 'threshold') {
    if (threshold === undefined) return;
    throw cannotCombine('threshold', `decision '${decision}'`, "use decision 'threshold'");
  }
  if (typeof threshold !== 'number') {
    throw typeError(
      "a number (0.5 for probabilities, 0 for logits), as decision is 'threshold',",
      'threshold',
      threshold,
    );
  }
  if (!Number.isFinite(threshold)) throw rangeError('a finite number', 'threshold', threshold);
}
