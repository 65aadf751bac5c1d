// nnU-Net v2, training/loss/dice.py (MemoryEfficientSoftDiceLoss, without ddp) and compound_losses.py (DC_and_CE_loss), written out in float64. `x` is [N][C][S] after
// apply_nonlin, `y` the labels [N][S], `loss_mask` [N][S]. Read, not run.
import { mean, type Nested } from './nested.js';
import { crossEntropyLoss } from './pytorch.js';

export interface NnUNetDice {
  batch_dice?: boolean;
  do_bg?: boolean;
  smooth?: number;
}

export function nnUNetDiceLoss(
  x: Nested,
  y: number[][],
  { batch_dice = false, do_bg = true, smooth = 1 }: NnUNetDice,
  loss_mask?: number[][],
): number {
  const intersect: number[][] = [];
  const sum_pred: number[][] = [];
  const sum_gt: number[][] = [];
  x.forEach((sample, n) => {
    const rows = [intersect, sum_pred, sum_gt].map((list) => {
      const row: number[] = [];
      list.push(row);
      return row;
    }) as [number[], number[], number[]];
    for (let c = do_bg ? 0 : 1; c < sample.length; c++) {
      let [i, p, g] = [0, 0, 0];
      (sample[c] as number[]).forEach((prediction, s) => {
        const m = loss_mask ? (loss_mask[n]?.[s] as number) : 1;
        const onehot = y[n]?.[s] === c ? 1 : 0;
        i += prediction * onehot * m;
        p += prediction * m;
        g += onehot * m;
      });
      rows[0].push(i);
      rows[1].push(p);
      rows[2].push(g);
    }
  });
  const over = (list: number[][]) =>
    batch_dice
      ? [
          (list[0] as number[]).map((_, c) =>
            list.reduce((sum, row) => sum + (row[c] as number), 0),
          ),
        ]
      : list;
  const [I, P, G] = [over(intersect), over(sum_pred), over(sum_gt)];
  const dc = I.flatMap((row, n) =>
    row.map(
      (i, c) =>
        (2 * i + smooth) / Math.max((G[n]?.[c] as number) + (P[n]?.[c] as number) + smooth, 1e-8),
    ),
  );
  return -mean(dc);
}

export interface NnUNetCompound {
  weight_ce?: number;
  weight_dice?: number;
  ignore_label?: number;
}

/** `net_output` are logits; `softmax` is apply_nonlin. */
export function nnUNetDiceCELoss(
  net_output: Nested,
  target: number[][],
  softmax: (x: Nested) => Nested,
  soft_dice_kwargs: NnUNetDice,
  { weight_ce = 1, weight_dice = 1, ignore_label }: NnUNetCompound,
): number {
  const mask = target.map((row) => row.map((y) => (y !== ignore_label ? 1 : 0)));
  const target_dice = target.map((row) => row.map((y) => (y === ignore_label ? 0 : y)));
  const ce = ignore_label === undefined ? {} : { ignore_index: ignore_label };
  return (
    weight_ce * crossEntropyLoss(net_output, target, ce) +
    weight_dice * nnUNetDiceLoss(softmax(net_output), target_dice, soft_dice_kwargs, mask)
  );
}
