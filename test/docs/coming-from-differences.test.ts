// Where a loss differs on purpose from that of another library: what each gives, as docs/coming-from.md says.
import { describe, expect, test } from '@jest/globals';
import {
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  type GeneralizedDiceOptions,
  GeneralizedWassersteinDiceLoss,
} from '../../lib/index.js';
import { numbers, tensor } from '../support/tensors.js';
import { monaiDiceLoss } from './peers/monai.js';
import {
  monaiDiceFocalLoss,
  monaiGeneralizedDiceLoss,
  monaiWassersteinDiceLoss,
} from './peers/monai-family.js';
import { labels, logits, mask, N, onehot, S, softmax, without2 } from './peers/problem.js';
import { smpDiceLoss } from './peers/smp.js';

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

  test('MONAI, GeneralizedWassersteinDiceLoss: ours for one sample, of a batch the samples are mixed', () => {
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
    const theirs = (n: number[]) =>
      monaiWassersteinDiceLoss(
        n.map((i) => logits[i] as number[][]),
        n.map((i) => labels[i] as number[]),
        distances,
      );
    for (const n of [0, 1]) expect(theirs([n])).toBeCloseTo(each.data[n] as number, 12);
    const mean = ((each.data[0] as number) + (each.data[1] as number)) / 2;
    expect(Math.abs(theirs([0, 1]) - mean)).toBeGreaterThan(0.05);
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
