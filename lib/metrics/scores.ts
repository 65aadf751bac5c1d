// Computes scores from counts: the formulas, absent classes and averages.
import type { MetricsAbsent } from '../common/shared-options.js';
import type { ClassCounts } from './counts.js';

/** The scores of a class, computed from its counts. 0/0 is 0. */
export type ScoreName =
  /** 2TP / (2TP + FP + FN), also called F1 */
  | 'dice'
  /** TP / (TP + FP + FN), also called the Jaccard index: dice / (2 - dice) */
  | 'iou'
  /** TP / (TP + FP) */
  | 'precision'
  /** TP / (TP + FN), also called sensitivity */
  | 'recall'
  /** TN / (TN + FP) */
  | 'specificity'
  /** 1 - |FP - FN| / (2TP + FP + FN): compares the volumes of prediction and target, not their positions */
  | 'volumeSimilarity'
  /** (TP + TN) / (TP + FP + FN + TN) */
  | 'accuracy';

/** How {@link SegmentationMetrics.average} combines the classes into one number. */
export type Average =
  /** The mean of the counted classes' scores. */
  | 'macro'
  /** The score of the sum of all classes' counts. */
  | 'micro'
  /** The mean of the counted classes' scores, weighted by their target voxels. */
  | 'weighted';

export const averages: readonly Average[] = ['macro', 'micro', 'weighted'];

const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b);

const formulas: Record<ScoreName, (counts: ClassCounts) => number> = {
  dice: ({ tp, fp, fn }) => ratio(2 * tp, 2 * tp + fp + fn),
  iou: ({ tp, fp, fn }) => ratio(tp, tp + fp + fn),
  precision: ({ tp, fp }) => ratio(tp, tp + fp),
  recall: ({ tp, fn }) => ratio(tp, tp + fn),
  specificity: ({ tn, fp }) => ratio(tn, tn + fp),
  volumeSimilarity: ({ tp, fp, fn }) => ratio(2 * tp + 2 * Math.min(fp, fn), 2 * tp + fp + fn),
  accuracy: ({ tp, fp, fn, tn }) => ratio(tp + tn, tp + fp + fn + tn),
};

export const scoreNames = Object.freeze(Object.keys(formulas)) as readonly ScoreName[];

/** Scores with TN in the numerator: they have a meaning for an absent class too. */
const definedForAbsent: readonly ScoreName[] = ['specificity', 'accuracy'];

/** The score of one class; NaN when it is not counted. */
export function score(name: ScoreName, counts: ClassCounts, absent: MetricsAbsent): number {
  const isAbsent = counts.tp + counts.fn === 0 && !definedForAbsent.includes(name);
  if (!isAbsent || absent === 'formula') return formulas[name](counts);
  const agreed = counts.fp === 0; // nothing is predicted either
  switch (absent) {
    case 'skip':
      return Number.NaN;
    case 'perfect':
      return 1;
    case 'worst':
      return 0;
    case 'agree':
      return agreed ? 1 : 0;
    case 'skip-agreed':
      return agreed ? Number.NaN : 0;
  }
}

/** The average over classes; NaN when none is counted. */
export function average(
  name: ScoreName,
  classes: readonly ClassCounts[],
  absent: MetricsAbsent,
  how: Average,
): number {
  if (how === 'micro') return score(name, pool(classes), absent);
  const scores = classes.map((counts) => score(name, counts, absent));
  return mean(scores, how === 'weighted' ? classes.map(({ tp, fn }) => tp + fn) : undefined);
}

/** The counts of several classes as if they were one. */
function pool(classes: readonly ClassCounts[]): ClassCounts {
  const total = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (const { tp, fp, fn, tn } of classes) {
    total.tp += tp;
    total.fp += fp;
    total.fn += fn;
    total.tn += tn;
  }
  return total;
}

/** The mean of the numbers that are not NaN; NaN when there are none, or when their weights are 0. */
export function mean(values: ArrayLike<number>, weights?: readonly number[]): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isNaN(value)) continue;
    const weight = weights === undefined ? 1 : (weights[i] as number);
    sum += weight * value;
    total += weight;
  }
  return sum / total; // 0/0 is NaN
}
