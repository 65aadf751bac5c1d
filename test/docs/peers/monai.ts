// MONAI 1.5, losses/dice.py (DiceLoss) with losses/utils.py (compute_tp_fp_fn), written out in float64. Arrays are [N][C][S], the
// target one-hot. From the source of an older version and notes on 1.5. Not run.
import type { Nested } from './nested.js';

export interface MonaiDice {
  include_background?: boolean;
  sigmoid?: boolean;
  softmax?: boolean;
  squared_pred?: boolean;
  soft_label?: boolean;
  jaccard?: boolean;
  smooth_nr?: number;
  smooth_dr?: number;
  batch?: boolean;
  weight?: number[];
  reduction?: 'mean' | 'sum';
}

export function monaiDiceLoss(input: Nested, target: Nested, o: MonaiDice): number {
  const { smooth_nr = 1e-5, smooth_dr = 1e-5 } = o;
  const first = o.include_background === false ? 1 : 0;
  const p = input.map((sample) => activate(sample, o).slice(first));
  const t = target.map((sample) => sample.slice(first));

  // Reduced over the voxels, and over the batch when `batch`.
  const groups = o.batch ? [p.map((_, n) => n)] : p.map((_, n) => [n]);
  const f: number[] = [];
  for (const samples of groups) {
    for (let c = 0; c < (p[0] as number[][]).length; c++) {
      const pc = samples.flatMap((n) => p[n]?.[c] as number[]);
      const tc = samples.flatMap((n) => t[n]?.[c] as number[]);
      let tp = 0;
      let fp = 0;
      let fn = 0;
      if (o.squared_pred) {
        // Norms: the overlap is what the squared distance leaves of the squared lengths.
        const ground = tc.reduce((sum, y) => sum + y ** 2, 0);
        const pred = pc.reduce((sum, x) => sum + x ** 2, 0);
        const distance = pc.reduce((sum, x, s) => sum + (x - (tc[s] as number)) ** 2, 0);
        tp = (pred + ground - distance) / 2;
        fp = pred - tp;
        fn = ground - tp;
      } else if (o.soft_label) {
        const ground = tc.reduce((sum, y) => sum + Math.abs(y), 0);
        const pred = pc.reduce((sum, x) => sum + Math.abs(x), 0);
        const distance = pc.reduce((sum, x, s) => sum + Math.abs(x - (tc[s] as number)), 0);
        tp = (pred + ground - distance) / 2;
        fp = pred - tp;
        fn = ground - tp;
      } else {
        pc.forEach((x, s) => {
          const y = tc[s] as number;
          tp += x * y;
          fp += x * (1 - y);
          fn += (1 - x) * y;
        });
      }
      const share = o.jaccard ? 1 : 0.5;
      const numerator = 2 * tp + smooth_nr;
      const denominator = 2 * (tp + share * fp + share * fn) + smooth_dr;
      f.push((1 - numerator / denominator) * (o.weight?.[c] ?? 1));
    }
  }
  const total = f.reduce((a, b) => a + b, 0);
  return o.reduction === 'sum' ? total : total / f.length;
}

export function activate(
  sample: number[][],
  o: Pick<MonaiDice, 'sigmoid' | 'softmax'>,
): number[][] {
  if (o.sigmoid) return sample.map((row) => row.map((z) => 1 / (1 + Math.exp(-z))));
  if (!o.softmax) return sample;
  const voxels = (sample[0] as number[]).map((_, s) =>
    sample.reduce((sum, row) => sum + Math.exp(row[s] as number), 0),
  );
  return sample.map((row) => row.map((z, s) => Math.exp(z) / (voxels[s] as number)));
}
