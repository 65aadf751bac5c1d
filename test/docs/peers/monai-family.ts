// MONAI, losses/tversky.py and losses/dice.py (GeneralizedDiceLoss, DiceCELoss, DiceFocalLoss, GeneralizedWassersteinDiceLoss), written
// out in float64.
// Arrays are [N][C][S], labels [N][S]. From the source (tversky.py of 2026, dice.py of 2022 for the rest). Not run.
import { activate, type MonaiDice, monaiDiceLoss } from './monai.js';
import { mean, type Nested } from './nested.js';
import { crossEntropyLoss } from './pytorch.js';

type Common = Pick<
  MonaiDice,
  'include_background' | 'sigmoid' | 'softmax' | 'smooth_nr' | 'smooth_dr' | 'batch'
>;

/** Predictions and target of every (group, class): the samples apart, or one behind the other when `batch`. */
function flattened(input: Nested, target: Nested, o: Common) {
  const first = o.include_background === false ? 1 : 0;
  const p = input.map((sample) => activate(sample, o).slice(first));
  const t = target.map((sample) => sample.slice(first));
  const groups = o.batch ? [p.map((_, n) => n)] : p.map((_, n) => [n]);
  return groups.map((samples) =>
    (p[0] as number[][]).map((_, c) => ({
      p: samples.flatMap((n) => p[n]?.[c] as number[]),
      t: samples.flatMap((n) => t[n]?.[c] as number[]),
    })),
  );
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

export interface MonaiTversky extends Common {
  alpha?: number;
  beta?: number;
}

export function monaiTverskyLoss(input: Nested, target: Nested, o: MonaiTversky): number {
  const { alpha = 0.5, beta = 0.5, smooth_nr = 1e-5, smooth_dr = 1e-5 } = o;
  const score = flattened(input, target, o).flatMap((classes) =>
    classes.map(({ p, t }) => {
      const tp = sum(p.map((x, i) => x * (t[i] as number)));
      const fp = alpha * sum(p.map((x, i) => x * (1 - (t[i] as number))));
      const fn = beta * sum(p.map((x, i) => (1 - x) * (t[i] as number)));
      return 1 - (tp + smooth_nr) / (tp + fp + fn + smooth_dr);
    }),
  );
  return mean(score);
}

export interface MonaiGeneralized extends Common {
  w_type?: 'square' | 'simple' | 'uniform';
}

export function monaiGeneralizedDiceLoss(
  input: Nested,
  target: Nested,
  o: MonaiGeneralized,
): number {
  const { w_type = 'square', smooth_nr = 1e-5, smooth_dr = 1e-5 } = o;
  const f = flattened(input, target, o).map((classes) => {
    const ground_o = classes.map(({ t }) => sum(t));
    const pred_o = classes.map(({ p }) => sum(p));
    const intersection = classes.map(({ p, t }) => sum(p.map((x, i) => x * (t[i] as number))));
    const w = ground_o.map((volume) => {
      if (w_type === 'uniform') return 1;
      return w_type === 'simple' ? 1 / volume : 1 / (volume * volume);
    });
    // An infinite weight becomes the largest finite one of the sample; with `batch` the loop is over single numbers and makes it 0.
    const largest = o.batch ? 0 : Math.max(0, ...w.filter(Number.isFinite));
    const weights = w.map((x) => (Number.isFinite(x) ? x : largest));
    const weighted = (values: number[]) => sum(values.map((x, c) => x * (weights[c] as number)));
    const numerator = 2 * weighted(intersection) + smooth_nr;
    return 1 - numerator / (weighted(ground_o) + weighted(pred_o) + smooth_dr);
  });
  return mean(f);
}

export interface MonaiDiceCE extends MonaiDice {
  lambda_dice?: number;
  lambda_ce?: number;
  label_smoothing?: number;
}

/** to_onehot_y: the cross-entropy gets class indices, Dice the one-hot target. */
export function monaiDiceCELoss(
  input: Nested,
  labels: number[][],
  onehot: Nested,
  { lambda_dice = 1, lambda_ce = 1, label_smoothing = 0, ...dice }: MonaiDiceCE,
): number {
  const { weight } = dice;
  const ce = crossEntropyLoss(input, labels, { label_smoothing, ...(weight && { weight }) });
  return lambda_dice * monaiDiceLoss(input, onehot, dice) + lambda_ce * ce;
}

export interface MonaiDiceFocal extends MonaiDice {
  lambda_dice?: number;
  lambda_focal?: number;
  gamma?: number;
}

/** The focal loss is the binary one of the logits, whatever the activation of Dice is. */
export function monaiDiceFocalLoss(
  input: Nested,
  onehot: Nested,
  { lambda_dice = 1, lambda_focal = 1, gamma = 2, ...dice }: MonaiDiceFocal,
): number {
  const focal = input.flat(2).map((x, i) => {
    const t = onehot.flat(2)[i] as number;
    const max_val = Math.max(-x, 0);
    const bce = x - x * t + max_val + Math.log(Math.exp(-max_val) + Math.exp(-x - max_val));
    const invprobs = -Math.log(1 + Math.exp(x * (t * 2 - 1)));
    return Math.exp(invprobs * gamma) * bce;
  });
  return lambda_dice * monaiDiceLoss(input, onehot, dice) + lambda_focal * mean(focal);
}

/** weighting_mode "default". The voxels of all samples meet in true_pos: [N, 1, S] is multiplied with [N, S]. */
export function monaiWassersteinDiceLoss(
  input: Nested,
  labels: number[][],
  m: number[][],
  { smooth_nr = 1e-5, smooth_dr = 1e-5 } = {},
): number {
  const probs = input.map((sample) => activate(sample, { softmax: true }));
  const map = labels.map((row, n) =>
    row.map((y, s) => sum(m[y]?.map((d, c) => d * (probs[n]?.[c]?.[s] as number)) as number[])),
  );
  const loss = labels.map((row, n) => {
    const true_pos = sum(
      map.flatMap((distances) => distances.map((d, s) => (row[s] === 0 ? 0 : 1) * (1 - d))),
    );
    const all_error = sum(map[n] as number[]);
    return 1 - (2 * true_pos + smooth_nr) / (2 * true_pos + all_error + smooth_dr);
  });
  return mean(loss);
}
