// The counts of the addon (native/math/counts.h) as objects, and as JSON gives them.
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

/** cells: [rows, 4], TN, FP, FN, TP of each row. */
export function countsAt(cells: Float64Array, row: number): ClassCounts {
  const at = (i: number) => cells[4 * row + i] as number;
  return { tn: at(0), fp: at(1), fn: at(2), tp: at(3) };
}

/** cells: [C, 4]. */
export const toClassCounts = (cells: Float64Array, classes: number): ClassCounts[] =>
  Array.from({ length: classes }, (_, c) => countsAt(cells, c));

export function checkCounts(counts: unknown, name: string, length: number): Float64Array {
  if (!Array.isArray(counts)) throw typeError('an array of counts', name, counts);
  if (counts.length !== length) throw rangeError(`${length} counts`, name, counts);
  return Float64Array.from(counts, (count, i) =>
    checkInteger(count, `${name}[${i}]`, 0, Number.MAX_SAFE_INTEGER),
  );
}
