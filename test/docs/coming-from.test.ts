// docs/coming-from.md: each row's options are read from the page, and give the numbers and gradients of the transcription in peers/.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Loss } from '../../lib/index.js';
import * as library from '../../lib/index.js';
import { expectClose } from '../support/compare.js';
import { numbers, tensor } from '../support/tensors.js';
import { kerasDice, kerasDicePerClass, kerasTversky } from './peers/keras.js';
import { type MonaiDice, monaiDiceLoss } from './peers/monai.js';
import {
  type MonaiDiceCE,
  type MonaiDiceFocal,
  type MonaiGeneralized,
  type MonaiTversky,
  monaiDiceCELoss,
  monaiDiceFocalLoss,
  monaiGeneralizedDiceLoss,
  monaiTverskyLoss,
} from './peers/monai-family.js';
import { mean, type Nested, transposed } from './peers/nested.js';
import { nnUNetDiceCELoss, nnUNetDiceLoss } from './peers/nnunet.js';
import { type Optax, optaxDiceLoss } from './peers/optax.js';
import {
  ignoring,
  labels,
  labels1,
  logits,
  logits1,
  mask,
  N,
  onehot,
  probabilities,
  S,
  soft,
  softmax,
  without2,
} from './peers/problem.js';
import { type SmpTversky, smpDiceLoss, smpJaccardLoss, smpTverskyLoss } from './peers/smp.js';

interface Theirs {
  /** The predictions, in the library's own layout. */
  x: Nested;
  /** Class indices [N][S]. */
  y: number[][];
  loss: (x: Nested) => number;
  weight?: number[][];
  flattened?: boolean;
  /** A target of the predictions' shape in place of the labels. */
  dense?: Nested;
}

const monai = (o: MonaiDice): Theirs => ({
  x: o.softmax || o.sigmoid ? logits : probabilities,
  y: labels,
  loss: (x) => monaiDiceLoss(x, onehot, o),
});
const monaiTversky = (o: MonaiTversky): Theirs => ({
  x: logits,
  y: labels,
  loss: (x) => monaiTverskyLoss(x, onehot, o),
});
const monaiGeneralized = (o: MonaiGeneralized): Theirs => ({
  x: logits,
  y: labels,
  loss: (x) => monaiGeneralizedDiceLoss(x, onehot, o),
});
const monaiDiceCE = (o: MonaiDiceCE): Theirs => ({
  x: logits,
  y: labels,
  loss: (x) => monaiDiceCELoss(x, labels, onehot, o),
});
const monaiDiceFocal = (o: MonaiDiceFocal): Theirs => ({
  x: logits,
  y: labels,
  loss: (x) => monaiDiceFocalLoss(x, onehot, o),
});
const smpTversky = (o: SmpTversky): Theirs => ({
  x: logits,
  y: labels,
  loss: (x) => smpTverskyLoss(x, labels, o),
});
const optax = (o: Optax): Theirs => ({
  x: transposed(logits),
  y: labels,
  loss: (x) => mean(optaxDiceLoss(x, transposed(onehot), o)),
});
const keras = (loss: typeof kerasDice): Theirs => ({
  x: transposed(probabilities),
  y: labels,
  loss: (x) => loss(transposed(onehot), x),
});

const transcriptions: Record<string, Theirs> = {
  'DiceLoss()': monai({}),
  'DiceLoss(sigmoid=True, squared_pred=True)': monai({ sigmoid: true, squared_pred: true }),
  'DiceLoss(softmax=True, include_background=False, batch=True)': monai({
    softmax: true,
    include_background: false,
    batch: true,
  }),
  'DiceLoss(softmax=True, weight=[1, 2, 3], reduction="sum")': monai({
    softmax: true,
    weight: [1, 2, 3],
    reduction: 'sum',
  }),
  'DiceLoss(softmax=True, smooth_nr=0, smooth_dr=0.5)': monai({
    softmax: true,
    smooth_nr: 0,
    smooth_dr: 0.5,
  }),
  'DiceLoss(softmax=True, jaccard=True, smooth_nr=0.5, smooth_dr=0.25)': monai({
    softmax: true,
    jaccard: true,
    smooth_nr: 0.5,
    smooth_dr: 0.25,
  }),
  'DiceLoss(softmax=True, jaccard=True, squared_pred=True)': monai({
    softmax: true,
    jaccard: true,
    squared_pred: true,
  }),
  'DiceLoss(sigmoid=True, soft_label=True), a soft target': {
    x: logits,
    y: labels,
    dense: soft,
    loss: (x) => monaiDiceLoss(x, soft, { sigmoid: true, soft_label: true }),
  },
  'DiceFocalLoss(to_onehot_y=True, sigmoid=True)': monaiDiceFocal({ sigmoid: true }),
  'DiceFocalLoss(to_onehot_y=True, sigmoid=True, gamma=0.5, lambda_dice=0.5, lambda_focal=3)':
    monaiDiceFocal({ sigmoid: true, gamma: 0.5, lambda_dice: 0.5, lambda_focal: 3 }),
  'TverskyLoss(softmax=True, alpha=0.3, beta=0.7)': monaiTversky({
    softmax: true,
    alpha: 0.3,
    beta: 0.7,
  }),
  'TverskyLoss(sigmoid=True, batch=True, include_background=False, smooth_nr=1, smooth_dr=2)':
    monaiTversky({
      sigmoid: true,
      batch: true,
      include_background: false,
      smooth_nr: 1,
      smooth_dr: 2,
    }),
  'GeneralizedDiceLoss(softmax=True)': monaiGeneralized({ softmax: true }),
  'GeneralizedDiceLoss(softmax=True, w_type="simple", include_background=False)': monaiGeneralized({
    softmax: true,
    w_type: 'simple',
    include_background: false,
  }),
  'GeneralizedDiceLoss(sigmoid=True, w_type="uniform", batch=True)': monaiGeneralized({
    sigmoid: true,
    w_type: 'uniform',
    batch: true,
  }),
  'DiceCELoss(to_onehot_y=True, softmax=True)': monaiDiceCE({ softmax: true }),
  'DiceCELoss(to_onehot_y=True, softmax=True, weight=[1, 2, 3])': monaiDiceCE({
    softmax: true,
    weight: [1, 2, 3],
  }),
  'DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, lambda_dice=0.5, lambda_ce=2, label_smoothing=0.1)':
    monaiDiceCE({
      softmax: true,
      include_background: false,
      lambda_dice: 0.5,
      lambda_ce: 2,
      label_smoothing: 0.1,
    }),
  'MemoryEfficientSoftDiceLoss(softmax, batch_dice=True, do_bg=False, smooth=1e-5)': {
    x: logits,
    y: labels,
    loss: (x) =>
      nnUNetDiceLoss(softmax(x), labels, { batch_dice: true, do_bg: false, smooth: 1e-5 }),
  },
  'MemoryEfficientSoftDiceLoss(softmax)': {
    x: logits,
    y: labels,
    loss: (x) => nnUNetDiceLoss(softmax(x), labels, {}),
  },
  'MemoryEfficientSoftDiceLoss(softmax)(x, y, loss_mask)': {
    x: logits,
    y: labels,
    weight: mask,
    loss: (x) => nnUNetDiceLoss(softmax(x), labels, {}, mask),
  },
  'DC_and_CE_loss({"batch_dice": True, "do_bg": False, "smooth": 1e-5}, {}, ignore_label=255)': {
    x: logits,
    y: ignoring,
    loss: (x) =>
      nnUNetDiceCELoss(
        x,
        ignoring,
        softmax,
        { batch_dice: true, do_bg: false, smooth: 1e-5 },
        { ignore_label: 255 },
      ),
  },
  'DC_and_CE_loss({"smooth": 0.5}, {}, weight_ce=2, weight_dice=0.5)': {
    x: logits,
    y: labels,
    loss: (x) =>
      nnUNetDiceCELoss(x, labels, softmax, { smooth: 0.5 }, { weight_ce: 2, weight_dice: 0.5 }),
  },
  'DiceLoss("multiclass")': { x: logits, y: labels, loss: (x) => smpDiceLoss(x, labels, {}) },
  'DiceLoss("multiclass", smooth=1, ignore_index=255)': {
    x: logits,
    y: ignoring,
    loss: (x) => smpDiceLoss(x, ignoring, { smooth: 1, ignore_index: 255 }),
  },
  'DiceLoss("binary")': { x: logits1, y: labels1, loss: (x) => smpDiceLoss(x, labels1, {}) },
  'JaccardLoss("multiclass", smooth=1)': {
    x: logits,
    y: labels,
    loss: (x) => smpJaccardLoss(x, labels, { smooth: 1 }),
  },
  'DiceLoss("multiclass", log_loss=True)': {
    x: logits,
    y: labels,
    loss: (x) => smpDiceLoss(x, labels, { log_loss: true }),
  },
  'DiceLoss("multiclass"), a class without target': {
    x: logits,
    y: without2,
    loss: (x) => smpDiceLoss(x, without2, {}),
  },
  'TverskyLoss("multiclass", alpha=0.3, beta=0.7)': smpTversky({ alpha: 0.3, beta: 0.7 }),
  'TverskyLoss("binary", alpha=0.3, beta=0.7, gamma=0.75)': {
    x: logits1,
    y: labels1,
    loss: (x) => smpTverskyLoss(x, labels1, { alpha: 0.3, beta: 0.7, gamma: 0.75 }),
  },
  'Tversky(alpha=0.3, beta=0.7)': {
    ...keras((y_true, y_pred) => kerasTversky(y_true, y_pred, 0.3, 0.7)),
    flattened: true,
  },
  'Dice()': { ...keras(kerasDice), flattened: true },
  'Dice(axis=(1, 2))': keras(kerasDicePerClass),
  'dice_loss(logits, targets).mean()': optax({}),
  'dice_loss(logits, targets, smooth=0.25, class_weights=[1, 2, 3], ignore_background=True).mean()':
    optax({ smooth: 0.25, class_weights: [1, 2, 3], ignore_background: true }),
  'binary_dice_loss(logits, targets).mean()': {
    x: transposed(logits1),
    y: labels1,
    loss: (x) => mean(optaxDiceLoss(x, transposed(labels1.map((row) => [row])), {})),
  },
};

const page = readFileSync(path.join(__dirname, '../../docs/coming-from.md'), 'utf8');
const rows = [...page.matchAll(/^\| `(.+?)` \| `(new .+?)` \| `(.+?)` \|$/gm)].map(
  ([, theirs, ours, number]) => ({ theirs, ours, number }) as Record<string, string>,
);

/** The expression of a table's cell, with these names. */
const evaluate = (text: string, names: Record<string, unknown>): unknown =>
  new Function(...Object.keys(names), `return ${text}`)(...Object.values(names));

test('the page and the transcriptions have the same rows', () => {
  expect(rows.map(({ theirs }) => theirs).sort()).toEqual(Object.keys(transcriptions).sort());
  expect(page.match(/^\| `/gm)).toHaveLength(rows.length); // no row that is written another way
});

describe.each(rows)('$theirs', (row) => {
  const {
    x,
    y,
    loss: theirs,
    weight,
    flattened,
    dense,
  } = transcriptions[row.theirs as string] as Theirs;
  const ours = evaluate(row.ours as string, { ...library }) as Loss;
  const toTheirs = (value: number) => evaluate(row.number as string, { value }) as number;
  const shape = flattened
    ? [x.flat(2).length]
    : [N, x[0]?.length as number, x[0]?.[0]?.length as number];
  const { value, grad } = ours.valueAndGrad(
    tensor(x.flat(2), shape, 'float64'),
    dense
      ? tensor(dense.flat(2), shape, 'float64')
      : flattened
        ? tensor(transposed(onehot).flat(2), shape, 'float64')
        : tensor(y.flat(), [N, S], 'uint8'),
    weight ? { weight: tensor(weight.flat(), [N, S], 'uint8') } : {},
  );

  test('value', () => {
    expectClose('value', [toTheirs(value.itemSync())], [theirs(x)], 1e-12);
  });

  test('gradient', () => {
    const scale = toTheirs(1) - toTheirs(0);
    const h = 1e-5;
    const slopes: number[] = [];
    const moved = structuredClone(x);
    for (const voxels of moved.flat()) {
      for (const [i, before] of voxels.entries()) {
        const at = (step: number) => {
          voxels[i] = before + step;
          return theirs(moved);
        };
        slopes.push((at(h) - at(-h)) / (2 * h));
        voxels[i] = before;
      }
    }
    expect(Math.max(...slopes.map(Math.abs))).toBeGreaterThan(1e-4);
    expectClose(
      'gradient',
      numbers(grad).map((g) => scale * g),
      slopes,
      1e-9,
    );
  });
});
