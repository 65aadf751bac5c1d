// segmentation_models.pytorch, losses/dice.py, losses/jaccard.py, losses/tversky.py and losses/_functional.py (mode multiclass, or binary with one
// class), written out in float64. Logits [N][C][S], labels [N][S]. Read, not run.
import { mean, type Nested } from './nested.js';

export interface Smp {
  smooth?: number;
  eps?: number;
  ignore_index?: number;
  log_loss?: boolean;
}

export const smpDiceLoss = (y_pred: Nested, y_true: number[][], o: Smp) =>
  smpLoss(
    y_pred,
    y_true,
    o,
    (I, cardinality, smooth, eps) => (2 * I + smooth) / Math.max(cardinality + smooth, eps),
  );

export const smpJaccardLoss = (y_pred: Nested, y_true: number[][], o: Smp) =>
  smpLoss(
    y_pred,
    y_true,
    o,
    (I, cardinality, smooth, eps) => (I + smooth) / Math.max(cardinality - I + smooth, eps),
  );

export interface SmpTversky extends Smp {
  alpha?: number;
  beta?: number;
  gamma?: number;
}

/** Its gamma is a power of the mean. */
export const smpTverskyLoss = (y_pred: Nested, y_true: number[][], o: SmpTversky) => {
  const { alpha = 0.5, beta = 0.5, gamma = 1 } = o;
  const loss = smpLoss(y_pred, y_true, o, (I, cardinality, smooth, eps, target) => {
    const [fp, fn] = [cardinality - target - I, target - I];
    return (I + smooth) / Math.max(I + alpha * fp + beta * fn + smooth, eps);
  });
  return loss ** gamma;
};

function smpLoss(
  y_pred: Nested,
  y_true: number[][],
  { smooth = 0, eps = 1e-7, ignore_index, log_loss = false }: Smp,
  score: (I: number, cardinality: number, smooth: number, eps: number, target: number) => number,
): number {
  const C = (y_pred[0] as number[][]).length;
  const loss: number[] = [];
  for (let c = 0; c < C; c++) {
    let [intersection, cardinality, target] = [0, 0, 0]; // over the batch and the voxels
    y_pred.forEach((sample, n) => {
      (sample[c] as number[]).forEach((z, s) => {
        const label = y_true[n]?.[s] as number;
        const mask = label === ignore_index ? 0 : 1;
        const exponentials = sample.map((row) => Math.exp(row[s] as number));
        const sum = exponentials.reduce((a, b) => a + b, 0);
        const output =
          (C === 1 ? 1 / (1 + Math.exp(-z)) : (exponentials[c] as number) / sum) * mask;
        const truth = (label === (C === 1 ? 1 : c) ? 1 : 0) * mask;
        intersection += output * truth;
        cardinality += output + truth;
        target += truth;
      });
    });
    // A class without a target voxel costs nothing, but is counted in the mean.
    const scores = score(intersection, cardinality, smooth, eps, target);
    const each = log_loss ? -Math.log(Math.max(scores, eps)) : 1 - scores;
    loss.push(target > 0 ? each : 0);
  }
  return mean(loss);
}
