// Keras 3, losses.dice and losses.tversky. Dice: 1 - 2 sum(t p) / (sum t + sum p + epsilon), epsilon 1e-7, summed over `axis`: everything by default, or the
// voxels of each sample and class; then the mean. Arrays are [N][S][C]. Dice from the documented formula, Tversky from the
// source. Not run.
import { mean, type Nested } from './nested.js';

const epsilon = 1e-7;

function dice(y_true: number[], y_pred: number[]): number {
  const intersection = y_true.reduce((sum, t, i) => sum + t * (y_pred[i] as number), 0);
  const total = [...y_true, ...y_pred].reduce((a, b) => a + b, 0);
  return 1 - (2 * intersection) / (total + epsilon);
}

/** axis=None */
export const kerasDice = (y_true: Nested, y_pred: Nested): number =>
  dice(y_true.flat(2), y_pred.flat(2));

/** axis=(1, 2) of [N, H, W, C] */
export const kerasDicePerClass = (y_true: Nested, y_pred: Nested): number =>
  mean(
    y_true.flatMap((truth, n) =>
      (truth[0] as number[]).map((_, c) =>
        dice(
          truth.map((voxel) => voxel[c] as number),
          (y_pred[n] as number[][]).map((voxel) => voxel[c] as number),
        ),
      ),
    ),
  );

/** losses.tversky, axis=None: what its source calls fp is sum (1 - p) t, the false negatives, and what it calls fn the false positives. */
export function kerasTversky(y_true: Nested, y_pred: Nested, alpha = 0.5, beta = 0.5): number {
  const inputs = y_true.flat(2);
  const targets = y_pred.flat(2);
  const sum = (f: (t: number, p: number) => number) =>
    inputs.reduce((total, t, i) => total + f(t, targets[i] as number), 0);
  const intersection = sum((t, p) => t * p);
  const fp = sum((t, p) => (1 - p) * t);
  const fn = sum((t, p) => p * (1 - t));
  return 1 - intersection / (intersection + fp * alpha + fn * beta + epsilon);
}
