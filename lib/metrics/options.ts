// The options of the metrics, and their checks.
import {
  cannotCombine,
  checkFlag,
  checkInteger,
  checkKeys,
  checkList,
  checkOneOf,
  rangeError,
  typeError,
} from '../common/check.js';
import {
  checkIgnoreIndex,
  checkLayout,
  type IgnoreIndex,
  type MetricsAbsent,
  metricsAbsentPolicies,
} from '../common/shared-options.js';
import { Decision, namesOf } from '../native/codes.js';
import { checkClassNames, checkRegions, type Regions } from './regions.js';

const decisions = namesOf(Decision);
/** The addon has the same limit. */
const maxThresholds = 65_536;

const aggregates = ['global', 'samples'] as const;

/** The options of {@link SegmentationMetrics}. */
export interface MetricsOptions {
  /** The number of classes C, 1 to 65536. With tensors on a GPU at most 4095, unless `decision` is `'threshold'`. */
  classes: number;
  /**
   * How predictions become classes. `'argmax'`: the class with the largest logit or probability, and at a tie the lowest
   * class; needs two or more classes. `'threshold'`: every class whose prediction is above `threshold`, so a voxel may have
   * several classes or none. `'labels'`: the predictions are class indices. Default `'argmax'`.
   */
  decision?: 'argmax' | 'threshold' | 'labels';
  /**
   * The threshold for decision `'threshold'`, which needs it; refused for the others. It is compared with the predictions
   * directly: use 0.5 for probabilities, 0 for the logits of a sigmoid. Between 0 and 1 it is for probabilities, and floats
   * outside [0, 1] are refused; a higher threshold for logits is subtracted from them. Rounded to float32 unless the
   * predictions are float64.
   *
   * A list of thresholds counts for all of them while it reads the predictions once; {@link SegmentationMetrics.at} has the
   * scores of each. A GPU reads them once for each threshold.
   */
  threshold?: number | readonly number[];
  /**
   * `'global'`: adds the counts of all samples and computes scores from the sums. `'samples'`: computes the scores of each
   * sample, then their mean over the samples in which the class is counted; this keeps 4 numbers per sample and class.
   * Default `'global'`.
   */
  aggregate?: 'global' | 'samples';
  /** The names of the classes in reports, all different. Default their numbers. */
  classNames?: readonly string[];
  /**
   * Unions of classes that are scored in place of the single classes, by name; they may overlap, and a class may be in none.
   * Whatever is "of each class" is of each region then, in the order of this object. For BraTS: `{ whole: [1, 2, 3], core: [1,
   * 3], enhancing: [3] }`. Refused for decision `'threshold'`, whose classes may overlap already, and for `background: false`.
   * Default: none.
   */
  regions?: Regions;
  /**
   * The score of a class with no target voxels; NaN means that averages leave it out. Specificity and accuracy always follow
   * their formula. Default `'skip'`.
   *
   * | `absent` | nothing predicted | a false alarm | so do |
   * |---|---|---|---|
   * | `'skip'` | NaN | NaN | MONAI `DiceMetric(ignore_empty=True)`, its default |
   * | `'agree'` | 1 | 0 | smp `iou_score` and `f1_score` with `zero_division=1.0`, their default; MONAI `DiceMetric(ignore_empty=False)` |
   * | `'skip-agreed'` | NaN | 0 | torchmetrics `JaccardIndex`, Keras `MeanIoU`, nnU-Net's `compute_metrics` |
   * | `'perfect'` | 1 | 1 | |
   * | `'worst'` | 0 | 0 | |
   * | `'formula'` | the formula, with 0/0 = 0 | the formula | |
   *
   * The formulas give 0 for Dice, IoU, precision, recall and volume similarity without target voxels, so `'formula'` is
   * `'worst'` for them. For example, 0 1 1 2 is predicted for 0 1 1 1: the IoU of the classes 0, 1 and 2 are 1, 2/3 and
   * 0, and their mean is .5556 under `'skip-agreed'`, which counts the false alarm in class 2, and .8333 under `'skip'`.
   */
  absent?: MetricsAbsent;
  /** false: averages leave class 0 out; it can still be predicted. Needs two or more classes. Default true. */
  background?: boolean;
  /**
   * Voxels with this label, or with one of up to 16 labels, `[254, 255]`, are left out. Only for class indices and masks of one
   * class. A class with this index has no target voxels then, and `absent` says what it counts: by default nothing. Default: none.
   */
  ignoreIndex?: IgnoreIndex;
  /** `'channels-first'` [N, C, ...spatial] or `'channels-last'` [N, ...spatial, C]. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
}

/** {@link MetricsOptions} with their defaults. */
export type ResolvedMetrics = Readonly<
  Required<Omit<MetricsOptions, 'ignoreIndex' | 'threshold' | 'classNames' | 'regions'>> &
    MetricsOptions
>;

export const metricsOptionKeys: readonly (keyof MetricsOptions)[] = [
  'classes',
  'decision',
  'threshold',
  'aggregate',
  'classNames',
  'regions',
  'absent',
  'background',
  'ignoreIndex',
  'layout',
];

/** Throws for anything that is not an option. */
export function resolveMetrics(options: MetricsOptions): ResolvedMetrics {
  if (options === undefined) throw typeError('an object', 'options', options);
  checkKeys(options, 'options', metricsOptionKeys);
  const { threshold, classNames, regions } = options;
  const ignoreIndex = checkIgnoreIndex(options.ignoreIndex);
  const classes = checkInteger(options.classes, 'classes', 1, 65_536);
  const decision = checkOneOf(options.decision, 'decision', decisions, 'argmax');
  if (decision === 'argmax' && classes === 1) {
    throw new RangeError(
      "Expected 2 or more for classes, as decision is 'argmax', but received 1: use decision 'threshold'",
    );
  }
  if (threshold !== undefined || decision === 'threshold') checkThreshold(threshold, decision);
  const background = checkFlag(options.background, 'background', true);
  if (!background && classes === 1) {
    throw new RangeError('Expected 2 or more for classes, as background is false, but received 1');
  }
  if (!background && regions !== undefined) {
    throw cannotCombine('background: false', 'regions', 'leave class 0 out of the regions');
  }
  return Object.freeze({
    classes,
    decision,
    aggregate: checkOneOf(options.aggregate, 'aggregate', aggregates, 'global'),
    absent: checkOneOf(options.absent, 'absent', metricsAbsentPolicies, 'skip'),
    background,
    layout: checkLayout(options.layout),
    ...(classNames !== undefined && { classNames: checkClassNames(classNames, classes) }),
    ...(regions !== undefined && { regions: checkRegions(regions, classes, decision) }),
    ...(threshold !== undefined && {
      threshold: typeof threshold === 'number' ? threshold : Object.freeze([...threshold]),
    }),
    ...(ignoreIndex !== undefined && { ignoreIndex }),
  });
}

function checkThreshold(threshold: unknown, decision: string): void {
  if (decision !== 'threshold') {
    throw cannotCombine('threshold', `decision '${decision}'`, "use decision 'threshold'");
  }
  if (!Array.isArray(threshold)) {
    checkOneThreshold(threshold, 'threshold');
    return;
  }
  const list = checkList(threshold, 'threshold', 'a list of numbers', maxThresholds);
  if (list.length === 0 || new Set(list).size !== list.length) {
    throw rangeError('different numbers, one or more,', 'threshold', threshold);
  }
  for (const [i, one] of list.entries()) checkOneThreshold(one, `threshold[${i}]`);
}

function checkOneThreshold(threshold: unknown, name: string): void {
  if (typeof threshold !== 'number') {
    throw typeError(
      "a number (0.5 for probabilities, 0 for logits), as decision is 'threshold',",
      name,
      threshold,
    );
  }
  if (!Number.isFinite(threshold)) throw rangeError('a finite number', name, threshold);
}

/** The thresholds of a list; else none. */
export const thresholdList = ({ threshold }: MetricsOptions): readonly number[] | undefined =>
  typeof threshold === 'number' ? undefined : threshold;
