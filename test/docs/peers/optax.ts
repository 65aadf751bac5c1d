// optax, losses/_segmentation.py (dice_loss with alpha = beta = 0.5), written out in float64. Logits and one-hot targets [N][S][C]; the
// result is one loss per sample. Read, not run.
import { mean, type Nested } from './nested.js';

export interface Optax {
  smooth?: number;
  class_weights?: number[];
  ignore_background?: boolean;
}

export function optaxDiceLoss(predictions: Nested, targets: Nested, o: Optax): number[] {
  const { smooth = 1, class_weights, ignore_background = false } = o;
  return predictions.map((sample, n) => {
    const C = (sample[0] as number[]).length;
    const probs = sample.map((logits) => {
      const e = logits.map(Math.exp);
      const sum = e.reduce((a, b) => a + b, 0);
      return C === 1 ? [1 / (1 + Math.exp(-(logits[0] as number)))] : e.map((x) => x / sum);
    });
    const loss: number[] = [];
    for (let c = 0; c < C; c++) {
      let [intersection, pred_sum, target_sum] = [0, 0, 0];
      probs.forEach((voxel, s) => {
        const [p, t] = [voxel[c] as number, targets[n]?.[s]?.[c] as number];
        intersection += p * t;
        pred_sum += p;
        target_sum += t;
      });
      const denominator =
        intersection + 0.5 * (pred_sum - intersection) + 0.5 * (target_sum - intersection) + smooth;
      loss.push((1 - (intersection + smooth) / denominator) * (class_weights?.[c] ?? 1));
    }
    return mean(ignore_background && C > 1 ? loss.slice(1) : loss);
  });
}
