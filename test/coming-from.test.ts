// docs/coming-from.md: each row's options are read from the page, and give the numbers and gradients of the transcription in peers/.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as library from '../lib/index.js';
import {
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  type GeneralizedDiceOptions,
  GeneralizedWassersteinDiceLoss,
  type Loss,
} from '../lib/index.js';
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
  monaiWassersteinDiceLoss,
} from './peers/monai-family.js';
import { mean, type Nested, transposed } from './peers/nested.js';
import { nnUNetDiceCELoss, nnUNetDiceLoss } from './peers/nnunet.js';
import { type Optax, optaxDiceLoss } from './peers/optax.js';
import { type SmpTversky, smpDiceLoss, smpJaccardLoss, smpTverskyLoss } from './peers/smp.js';
import { expectClose, numbers, tensor } from './util.js';
import { Random } from './util-random.js';

const [N, S] = [2, 31];
const random = new Random(7);
const nested = (A: number, B: number, next: () => number): Nested =>
  Array.from({ length: N }, () => Array.from({ length: A }, () => Array.from({ length: B }, next)));

const logits = nested(3, S, () => 2 * random.normal());
const soft = nested(3, S, () => random.uniform());
const probabilities = nested(3, S, () => 0.02 + 0.96 * random.uniform());
const labels = nested(1, S, () => random.integer(3)).flat();
const onehot = labels.map((row) => [0, 1, 2].map((c) => row.map((label) => (label === c ? 1 : 0))));
const ignoring = labels.map((row) => row.map((label, s) => (s % 5 === 2 ? 255 : label)));
const without2 = labels.map((row) => row.map((label) => label % 2));
const mask = labels.map((row) => row.map((_, s) => (s % 4 === 1 ? 0 : 1)));
const logits1 = nested(1, S, () => 2 * random.normal());
const labels1 = nested(1, S, () => random.integer(2)).flat();

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

const softmax = (x: Nested): Nested =>
  x.map((sample) => {
    const e = sample.map((row) => row.map(Math.exp));
    return e.map((row) =>
      row.map((v, s) => v / e.reduce((sum, other) => sum + (other[s] as number), 0)),
    );
  });
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

const page = readFileSync(path.join(__dirname, '../docs/coming-from.md'), 'utf8');
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

describe('where ours differs on purpose', () => {
  const x = tensor(logits.flat(2), [N, 3, S], 'float64');
  const y = tensor(without2.flat(), [N, S], 'uint8');

  test('segmentation_models.pytorch: a class without a target voxel costs 0 there and 1 here', () => {
    const loss = new DiceLoss({
      activation: 'softmax',
      denominator: 'linear',
      batch: true,
      smoothDenominator: 0,
    });
    const { value, perClass } = loss.value(x, y);
    const [first, second, absent] = numbers(perClass) as unknown as [number, number, number];
    expect(absent).toBe(1);
    expect(value.itemSync()).toBeCloseTo((first + second + 1) / 3, 14);
    expect(smpDiceLoss(logits, without2, {})).toBeCloseTo((first + second + 0) / 3, 12);
  });

  test('MONAI, GeneralizedDiceLoss: an absent class weighs as here per sample, but 0 with batch', () => {
    const target = without2.map((row) => [0, 1, 2].map((c) => row.map((y) => (y === c ? 1 : 0))));
    const smooth = { smoothNumerator: 1e-5, smoothDenominator: 1e-5 };
    const ours = (options: GeneralizedDiceOptions) =>
      new GeneralizedDiceLoss({ activation: 'softmax', ...smooth, ...options })
        .value(x, y)
        .value.itemSync();
    const theirs = (batch: boolean) =>
      monaiGeneralizedDiceLoss(logits, target, { softmax: true, batch });
    expect(ours({})).toBeCloseTo(theirs(false), 12);
    expect(Math.abs(ours({ batch: true }) - theirs(true))).toBeGreaterThan(1e-3);
    expect(ours({ batch: true, absent: 'skip' })).toBeCloseTo(theirs(true), 12);
  });

  test('MONAI, DiceFocalLoss with softmax: its focal loss stays binary; ours is of the softmax', () => {
    const y = tensor(labels.flat(), [N, S], 'uint8');
    const { parts } = new DiceFocalLoss().value(x, y);
    const focal = parts?.data[2] as number;
    const theirs = monaiDiceFocalLoss(logits, onehot, { softmax: true, lambda_dice: 0 });
    expect(Math.abs(focal - theirs)).toBeGreaterThan(0.01);
    const p = softmax(logits);
    const ofTarget = labels.flatMap((row, n) => row.map((c, s) => p[n]?.[c]?.[s] as number));
    const sum = ofTarget.reduce((total, pt) => total - (1 - pt) ** 2 * Math.log(pt), 0);
    expect(focal).toBeCloseTo(sum / (N * 3 * S), 12);
  });

  test('MONAI, GeneralizedWassersteinDiceLoss: 2 - W where the paper has 1 - W, and samples mixed', () => {
    const distances = [
      [0, 1, 1],
      [1, 0, 0.5],
      [1, 0.5, 0],
    ];
    const ours = new GeneralizedWassersteinDiceLoss({
      distances,
      activation: 'softmax',
      reduction: 'none',
      smoothNumerator: 1e-5,
      smoothDenominator: 1e-5,
    });
    const each = ours.value(x, tensor(labels.flat(), [N, S], 'uint8')).value;
    const theirs = (n: number[], similar: number) =>
      monaiWassersteinDiceLoss(
        n.map((i) => logits[i] as number[][]),
        n.map((i) => labels[i] as number[]),
        distances,
        { similar },
      );
    for (const n of [0, 1]) {
      const loss = each.data[n] as number;
      expect(theirs([n], 1)).toBeCloseTo(loss, 12);
      expect(Math.abs(theirs([n], 2) - loss)).toBeGreaterThan(0.05);
    }
    const mean = ((each.data[0] as number) + (each.data[1] as number)) / 2;
    expect(Math.abs(theirs([0, 1], 1) - mean)).toBeGreaterThan(0.05);
  });

  test('MONAI, MaskedDiceLoss: a masked logit is a logit of 0 there and no voxel here', () => {
    const masked = logits.map((sample, n) =>
      sample.map((row) => row.map((z, s) => z * (mask[n]?.[s] as number))),
    );
    const target = onehot.map((sample, n) =>
      sample.map((row) => row.map((t, s) => t * (mask[n]?.[s] as number))),
    );
    const theirs = monaiDiceLoss(masked, target, { softmax: true });
    const options = {
      activation: 'softmax',
      denominator: 'linear',
      smoothNumerator: 1e-5,
      smoothDenominator: 1e-5,
    } as const;
    const weight = tensor(mask.flat(), [N, S], 'uint8');
    const ours = new DiceLoss(options).value(x, tensor(labels.flat(), [N, S], 'uint8'), { weight });
    expect(Math.abs(ours.value.itemSync() - theirs)).toBeGreaterThan(0.01);
    // What ours is: their loss of the probabilities, masked after the activation.
    const p = softmax(logits).map((sample, n) =>
      sample.map((row) => row.map((v, s) => v * (mask[n]?.[s] as number))),
    );
    expect(ours.value.itemSync()).toBeCloseTo(monaiDiceLoss(p, target, {}), 12);
  });
});
