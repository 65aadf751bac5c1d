// CrossEntropyLoss and FocalLoss: what they compute, as Dice with the overlap weight 0 computes it, and by hand.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  CrossEntropyLoss,
  DeepSupervision,
  DiceLoss,
  FocalLoss,
  type Loss,
  type PlainLossOptions,
  Tensor,
} from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { gradOptions, makeCase, type Spec } from '../support/cases.js';
import { check } from '../support/check.js';
import { close } from '../support/closeness.js';
import { expectSameBits as sameBits } from '../support/compare.js';
import { termFactors } from '../support/losses.js';
import { Random } from '../support/random.js';
import { numbers, type Typed, tensor } from '../support/tensors.js';
import { expectSolution } from '../support/tolerance.js';

const { log } = Math;

const expectSameBits = (name: string, a: Tensor, b: Tensor) =>
  sameBits(name, a.data as Typed['data'], b.data as Typed['data']);

/** Each loss, and the same one as a part of DiceLoss. */
const pairs: {
  name: string;
  make: (options: PlainLossOptions) => Loss;
  part: { crossEntropy?: object; focal?: object };
}[] = [
  {
    name: 'cross-entropy',
    make: (options) => new CrossEntropyLoss(options),
    part: { crossEntropy: {} },
  },
  {
    name: 'smoothed cross-entropy',
    make: (options) => new CrossEntropyLoss({ ...options, labelSmoothing: 0.2 }),
    part: { crossEntropy: { labelSmoothing: 0.2 } },
  },
  {
    name: 'cross-entropy with own class weights',
    make: ({ classWeights: _, ...options }) =>
      new CrossEntropyLoss({ ...options, classWeights: [2, 0.5, 1] }),
    part: { crossEntropy: { classWeights: [2, 0.5, 1] } },
  },
  { name: 'focal', make: (options) => new FocalLoss(options), part: { focal: {} } },
  {
    name: 'focal, gamma 0.5',
    make: (options) => new FocalLoss({ ...options, gamma: 0.5 }),
    part: { focal: { gamma: 0.5 } },
  },
];

/** Options and targets, each with its turns of layout, weights of voxels and classes. */
function* specs(dtype: 'float64' | 'float32' | 'float16'): Generator<Spec> {
  let seed = 0;
  for (const activation of ['softmax', 'sigmoid'] as const)
    for (const reduction of ['none', 'mean', 'sum'] as const)
      for (const target of ['labels', 'dense'] as const)
        for (const layout of ['channels-first', 'channels-last'] as const) {
          seed++;
          const ignores = target === 'labels' && seed % 3 !== 0;
          yield {
            dtype,
            target,
            seed,
            ignored: 0.3,
            ...(seed % 2 && { weight: 'float32' }),
            gradDtype: dtype === 'float64' ? 'float64' : 'float32',
            options: {
              activation,
              reduction,
              layout,
              ...(ignores && { ignoreIndex: 250 }),
              ...(seed % 5 < 3 && { classWeights: [0.5, 0.75, 3] }),
            },
          };
        }
}

describe.each(pairs)('$name', ({ make, part }) => {
  test.each(['float64', 'float32', 'float16'] as const)(
    '%s: the reference, and the bits of Dice with the overlap weight 0',
    (dtype) => {
      for (const spec of specs(dtype)) {
        const options = spec.options as PlainLossOptions;
        const c = makeCase({ ...spec, options: { ...spec.options, ...part, overlapWeight: 0 } });
        const loss = make(options);
        const ours = loss.valueAndGrad(c.predictions, c.target, gradOptions(c));
        expectSolution(ours, reference(c.problem), dtype, spec.options?.classWeights);
        const compound = c.loss.valueAndGrad(c.predictions, c.target, gradOptions(c));
        for (const key of ['value', 'perClass', 'grad'] as const) {
          expect(ours[key].shape).toEqual(compound[key].shape);
          expectSameBits(key, ours[key], compound[key]);
        }
        expect(Object.keys(ours)).toEqual(['value', 'perClass', 'grad']);
      }
    },
  );

  test.each(['softmax', 'sigmoid'] as const)('%s: finite differences', (activation) => {
    const labels = tensor([0, 1, 2, 1], [1, 4], 'uint8');
    const loss = make({ activation, classWeights: [1, 0.5, 2] });
    const z = Array.from({ length: 12 }, (_, i) => 2 * Math.sin(5 * i));
    const at = (moved: number[]) =>
      loss.value(tensor(moved, [1, 3, 4], 'float64'), labels).value.itemSync();
    const grad = numbers(loss.valueAndGrad(tensor(z, [1, 3, 4], 'float64'), labels).grad);
    const h = 1e-5;
    for (let i = 0; i < z.length; i++) {
      const moved = (by: number) => z.map((x, j) => (j === i ? x + by : x));
      const difference = (at(moved(h)) - at(moved(-h))) / (2 * h);
      expect(Math.abs(difference - (grad[i] as number))).toBeLessThan(1e-9);
    }
  });

  test('every way to call it gives the same', async () => {
    const z = tensor([0, 1, -1, 0.5, 2, -2], [1, 3, 2], 'float64');
    const labels = tensor([0, 2], [1, 2], 'uint8');
    const loss = make({});
    const { value, grad } = loss.valueAndGrad(z, labels);
    const sums = loss.statistics(z, labels);
    expect(loss.fromStatistics(sums).value.itemSync()).toBe(value.itemSync());
    expectSameBits('gradient', loss.gradient(z, labels, sums), grad);
    const plan = loss.plan(z, labels);
    plan.execute();
    expect([plan.value.itemSync(), plan.parts]).toEqual([value.itemSync(), undefined]);
    const later = await loss.valueAndGradAsync(z, labels);
    expectSameBits('grad', later.grad, grad);
    const scales = new DeepSupervision(loss, [1]).valueAndGrad([z], labels);
    expect(scales.value.itemSync()).toBe(value.itemSync());
    const summed = make({ allReduce: (local) => local.add(local) }).valueAndGrad(z, labels);
    close(numbers(summed.value), value.itemSync()); // two workers with the same voxels: the same mean
    close(numbers(summed.grad), ...numbers(grad).map((g) => g / 2));
    const soft = tensor([0.5, 0.25, 0.25, 0.5, 0.25, 0.25], [1, 3, 2], 'float64');
    const compared = loss.targetGradient(z, soft, loss.statistics(z, soft));
    expect(numbers(compared).every((g) => Number.isFinite(g) && g !== 0)).toBe(true);
  });
});

describe.each(['sigmoid', 'softmax'] as const)('factors of terms, %s', (activation) => {
  const rows = termFactors[activation].map((part) => [JSON.stringify(part), part] as const);

  test.each(rows)('%s', (_, part) => {
    for (const dtype of ['float64', 'float32', 'float16'] as const)
      for (const spec of specs(dtype)) {
        if (spec.options?.activation !== activation) continue;
        check({ ...spec, options: { ...spec.options, ...part } });
        check({ ...spec, options: { ...spec.options, ...part, overlapWeight: 0, batch: true } });
      }
  });

  test.each(rows)('%s: finite differences of predictions and target', (_, part) => {
    const options = { activation, ...part, overlapWeight: 0.5 };
    const loss = new DiceLoss(options as object);
    const z = Array.from({ length: 12 }, (_, i) => 2 * Math.sin(5 * i));
    const t = Array.from({ length: 12 }, (_, i) => 0.5 + 0.4 * Math.cos(3 * i));
    const on = (numbers: number[]) => tensor(numbers, [1, 3, 4], 'float64');
    const at = (z: number[], t: number[]) => loss.value(on(z), on(t)).value.itemSync();
    const { grad } = loss.valueAndGrad(on(z), on(t));
    const ofTarget = loss.targetGradient(on(z), on(t), loss.statistics(on(z), on(t)));
    const h = 1e-5;
    for (let i = 0; i < 12; i++) {
      const moved = (x: number[], by: number) => x.map((y, j) => (j === i ? y + by : y));
      const dz = (at(moved(z, h), t) - at(moved(z, -h), t)) / (2 * h);
      const dt = (at(z, moved(t, h)) - at(z, moved(t, -h))) / (2 * h);
      expect(Math.abs(dz - (numbers(grad)[i] as number))).toBeLessThan(1e-9);
      expect(Math.abs(dt - (numbers(ofTarget)[i] as number))).toBeLessThan(1e-9);
    }
  });
});

test('a factor of 0 hides an infinite term', () => {
  const forbidden = tensor([0, -Infinity], [2], 'float64');
  const mask = tensor([1, 1], [2], 'uint8');
  const sigmoid = { activation: 'sigmoid' } as const;
  for (const loss of [
    new CrossEntropyLoss({ ...sigmoid, positiveWeight: 0 }),
    new FocalLoss({ ...sigmoid, alpha: 0 }),
  ]) {
    const { value, grad } = loss.valueAndGrad(forbidden, mask);
    expect([value.itemSync(), ...numbers(grad)]).toEqual([0, 0, 0].map(() => expect.closeTo(0)));
  }
});

test('statistics of other factors cannot be mixed', () => {
  const x = tensor([0, 1], [2], 'float64');
  const mask = tensor([0, 1], [2], 'uint8');
  const sigmoid = { activation: 'sigmoid' } as const;
  const [one, other] = [0.25, 0.5].map((alpha) => new FocalLoss({ ...sigmoid, alpha }));
  const [two, three] = [2, 3].map(
    (positiveWeight) => new CrossEntropyLoss({ ...sigmoid, positiveWeight }),
  );
  for (const [a, b] of [
    [one, other],
    [two, three],
    [two, new CrossEntropyLoss(sigmoid)],
  ] as [Loss, Loss][]) {
    const sums = a.statistics(x, mask);
    expect(() => b.fromStatistics(sums)).toThrow(/Expected statistics/);
    expect(a.fromStatistics(sums).value.itemSync()).toBe(a.value(x, mask).value.itemSync());
  }
});

describe('by hand', () => {
  // p = (1/2, 1/2), (1/4, 3/4), (1/2, 1/2); the last voxel is ignored.
  const z = tensor([0, 0, 0, 0, log(3), 0], [1, 2, 3], 'float64');
  const y = tensor([0, 1, 255], [1, 3], 'uint8');
  const of = (loss: Loss) => numbers(loss.value(z, y).value);
  const weighted = { classWeights: [1, 3], ignoreIndex: 255 };

  test("PyTorch's mean divides by the weights of the voxels that count", () => {
    const sum = log(2) + 3 * log(4 / 3);
    close(of(new CrossEntropyLoss(weighted)), sum / 4);
    close(of(new CrossEntropyLoss({ ...weighted, reduction: 'sum' })), sum);
    close(of(new CrossEntropyLoss({ ignoreIndex: 255 })), (log(2) + log(4 / 3)) / 2);
  });

  test('label smoothing: targets .9 and .1', () => {
    const loss = new CrossEntropyLoss({ labelSmoothing: 0.2, ignoreIndex: 255 });
    close(of(loss), (log(2) + 0.1 * log(4) + 0.9 * log(4 / 3)) / 2);
  });

  test('focal: the weights of all classes of the voxels that count', () => {
    close(of(new FocalLoss(weighted)), (log(2) / 4 + (3 * log(4 / 3)) / 16) / 8);
    close(of(new FocalLoss({ ...weighted, gamma: 0 })), (log(2) + 3 * log(4 / 3)) / 8);
  });

  test('sigmoid, one class: the binary losses', () => {
    const x = tensor([0, log(3)], [2], 'float64'); // p = 1/2, 3/4
    const mask = tensor([0, 1], [2], 'uint8');
    const binary = { activation: 'sigmoid' } as const;
    const value = (loss: Loss) => numbers(loss.value(x, mask).value);
    close(value(new CrossEntropyLoss(binary)), (log(2) + log(4 / 3)) / 2);
    close(value(new FocalLoss(binary)), (log(2) / 4 + log(4 / 3) / 16) / 2);
  });

  test('class weights of the cross-entropy alone leave the Dice loss as it is', () => {
    const options = { activation: 'softmax', ignoreIndex: 255 } as const;
    const loss = new DiceLoss({ ...options, crossEntropy: { classWeights: [1, 3] } });
    const { parts } = loss.value(z, y) as { parts: Tensor };
    const dice = new DiceLoss(options).value(z, y).value.itemSync();
    close(numbers(parts), dice, (log(2) + 3 * log(4 / 3)) / 4, 0);
    const both = new DiceLoss({ ...options, crossEntropy: {}, classWeights: [1, 3] });
    expect(both.value(z, y).parts?.data[0]).not.toBeCloseTo(dice, 3);
  });

  test('sigmoid: positiveWeight and alpha do not change the divisor', () => {
    const x = tensor([0, log(3)], [2], 'float64'); // p = 1/2, 3/4
    const mask = tensor([0, 1], [2], 'uint8');
    const sigmoid = { activation: 'sigmoid' } as const;
    const value = (loss: Loss) => numbers(loss.value(x, mask).value);
    close(
      value(new CrossEntropyLoss({ ...sigmoid, positiveWeight: 3 })),
      (log(2) + 3 * log(4 / 3)) / 2,
    );
    close(
      value(new FocalLoss({ ...sigmoid, alpha: 0.25 })),
      ((0.75 * log(2)) / 4 + (0.25 * log(4 / 3)) / 16) / 2,
    );
  });

  test('softmax: alpha is a number per class', () => {
    const value = of(new FocalLoss({ alpha: [0.75, 0.25], ignoreIndex: 255 }));
    close(value, ((0.75 * log(2)) / 4 + (0.25 * log(4 / 3)) / 16) / 4);
  });

  test('a value per voxel: each voxel is a sample', () => {
    const random = new Random(3);
    const [N, H, W, C] = [2, 3, 5, 3];
    const z = Tensor.from(
      Float64Array.from({ length: N * H * W * C }, () => random.normal()),
      [N, H, W, C],
    );
    const y = Tensor.from(
      Uint8Array.from({ length: N * H * W }, () => random.integer(C)),
      [N, H, W],
    );
    const voxels = N * H * W;
    for (const Plain of [CrossEntropyLoss, FocalLoss]) {
      const each = new Plain({ reduction: 'none' });
      const rows = z.view([voxels, C]);
      const upstream = Tensor.from(new Float64Array(voxels).fill(1 / voxels), [voxels]);
      const { value, grad } = each.valueAndGrad(rows, y.view([voxels]), { upstream });
      const mean = new Plain({ layout: 'channels-last' }).valueAndGrad(z, y);
      const sum = numbers(value).reduce((a, b) => a + b, 0);
      expect(sum / voxels).toBeCloseTo(mean.value.itemSync(), 14);
      numbers(grad).forEach((g, i) => {
        expect(g).toBeCloseTo(numbers(mean.grad)[i] as number, 14);
      });
      const one = each.value(rows.view([1, C], 7 * C), y.view([1], 7)).value.data[0];
      expect(value.data[7]).toBe(one);
    }
  });

  test('values per voxel as docs/options.md has them', () => {
    const page = readFileSync(path.join(__dirname, '../../docs/options.md'), 'utf8');
    const code = /### Values per voxel[^#]*```js\n(.*?)```/s.exec(page)?.[1];
    const values = new Function(
      'predictions',
      'labels',
      'CrossEntropyLoss',
      `${code}; return value`,
    );
    // -log p of the label: log 4 of the logits 0 and log 3 where it is class 0, log 4/3 where it is class 1.
    const predictions = Tensor.from(Float64Array.of(0, log(3), log(3), 0, 0, 0), [1, 1, 3, 2]);
    const labels = Tensor.from(Uint8Array.of(0, 0, 1), [1, 1, 3]);
    const found = values(predictions, labels, CrossEntropyLoss);
    expect(found.shape).toEqual([3]);
    [log(4), log(4 / 3), log(2)].forEach((expected, i) => {
      expect(found.data[i]).toBeCloseTo(expected, 14);
    });
  });

  test('perClass is the Dice loss of each class', () => {
    const { perClass } = new CrossEntropyLoss({ ignoreIndex: 255 }).value(z, y);
    const dice = new DiceLoss({ activation: 'softmax', ignoreIndex: 255 }).value(z, y);
    expectSameBits('perClass', perClass, dice.perClass);
  });
});

test('statistics are those of the same loss as a part of Dice', () => {
  const z = tensor([0, 1, 2, 3], [1, 2, 2], 'float64');
  const y = tensor([0, 1], [1, 2], 'uint8');
  const compound = new DiceLoss({ activation: 'softmax', crossEntropy: {}, overlapWeight: 0 });
  const sums = compound.statistics(z, y);
  const value = (loss: Loss): Tensor => loss.fromStatistics(sums).value;
  expect(value(new CrossEntropyLoss()).itemSync()).toBe(value(compound).itemSync());
});
