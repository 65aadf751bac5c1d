// The counts of the addon (native/math/counts.h) as TP, FP, FN and TN of each class.
import { checkInteger, rangeError, typeError } from '../common/check.js';

/** How many voxels are true and false positives, false and true negatives of one class. */
export interface ClassCounts {
  /** True positives: the target and the prediction are the class. */
  readonly tp: number;
  /** False positives: the prediction is the class, the target is not. */
  readonly fp: number;
  /** False negatives: the target is the class, the prediction is not. */
  readonly fn: number;
  /** True negatives: neither is the class. */
  readonly tn: number;
}

/** cells: the confusion matrix [C+1, C+1], targets in rows; the last row and column are voxels of no class. */
export function confusionCounts(cells: Float64Array, classes: number): ClassCounts[] {
  const K = classes + 1;
  const rows = new Float64Array(K);
  const columns = new Float64Array(K);
  let total = 0;
  cells.forEach((count, i) => {
    const [t, p] = [Math.floor(i / K), i % K];
    rows[t] = (rows[t] as number) + count;
    columns[p] = (columns[p] as number) + count;
    total += count;
  });
  return Array.from({ length: classes }, (_, c) => {
    const tp = cells[c * K + c] as number;
    const fp = (columns[c] as number) - tp;
    const fn = (rows[c] as number) - tp;
    return { tp, fp, fn, tn: total - tp - fp - fn };
  });
}

/** cells: [C, 2, 2], TN, FP, FN, TP of each class. */
export function binaryCounts(cells: Float64Array, classes: number): ClassCounts[] {
  return Array.from({ length: classes }, (_, c) => {
    const [tn, fp, fn, tp] = cells.subarray(4 * c, 4 * c + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    return { tp, fp, fn, tn };
  });
}

export function checkCounts(counts: unknown, name: string, length: number): Float64Array {
  if (!Array.isArray(counts)) throw typeError('an array of counts', name, counts);
  if (counts.length !== length) throw rangeError(`${length} counts`, name, counts);
  return Float64Array.from(counts, (count, i) =>
    checkInteger(count, `${name}[${i}]`, 0, Number.MAX_SAFE_INTEGER),
  );
}
