// Keras 3, losses.dice: 1 - 2 sum(t p) / (sum t + sum p + epsilon), epsilon 1e-7, summed over `axis`: everything by default, or the
// voxels of each sample and class; then the mean. Arrays are [N][S][C]. From the documented formula. Not run.
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
