/**
 * ignoreIndex as a list on the emulated device: the bits of one index, of a target in which that one stands for all.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceCELoss,
  DiceLoss,
  type IgnoreIndex,
  SegmentationMetrics,
  type Tensor,
} from '../../lib/index.js';
import { gpu, onDevice } from '../support/device.js';
import { Random } from '../support/random.js';
import { type Marks, makeTargets, marks } from '../support/several-ignored.js';
import { type FloatDType, sizeOf, type Typed, tensor } from '../support/tensors.js';

const softmax = { activation: 'softmax' } as const;
const first = marks[0] as Marks;
const random = new Random(7);
const logits = (shape: readonly number[], dtype: FloatDType = 'float32') =>
  onDevice(
    gpu,
    tensor(
      random.array(sizeOf(shape), () => 2 * random.normal()),
      shape,
      dtype,
    ),
  );
const both = ({ several, single }: { several: Typed; single: Typed }) =>
  [onDevice(gpu, several), onDevice(gpu, single)] as const;

const read = ({ value, grad }: { value: Tensor; grad: Tensor }) => [
  value.readSync(),
  grad.readSync(),
];

describe.each(marks)('$dtype, $ignoreIndex', (of) => {
  test('losses', () => {
    for (const [C, S] of [
      [3, 301],
      [40, 67],
      [2, 1],
    ] as const) {
      const x = logits([2, C, S]);
      const [several, single] = both(makeTargets(of, [2, S], C));
      for (const make of [
        (ignoreIndex: IgnoreIndex) => new DiceLoss({ ...softmax, ignoreIndex }),
        (ignoreIndex: IgnoreIndex) => new DiceCELoss({ batch: true, ignoreIndex }),
      ])
        expect(read(make(of.ignoreIndex).valueAndGrad(x, several))).toEqual(
          read(make(of.one).valueAndGrad(x, single)),
        );
    }
  });

  test.each(['argmax', 'threshold', 'labels'] as const)('metrics, %s', (decision) => {
    const [C, S] = [3, 130];
    const targets = makeTargets(of, [2, S], C);
    const [several, single] = both(targets);
    const classes = tensor(
      random.array(2 * S, () => random.integer(C)),
      [2, S],
      'int16',
    );
    const x = decision === 'labels' ? onDevice(gpu, classes) : logits([2, C, S]);
    const options = { classes: C, decision, ...(decision === 'threshold' && { threshold: 0 }) };
    const count = (ignoreIndex: IgnoreIndex, target: Tensor) =>
      new SegmentationMetrics({ ...options, ignoreIndex }).update(x, target).toJSON().counts;
    expect(count(of.ignoreIndex, several)).toEqual(count(of.one, single));
  });
});

test.each(['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int16'] as const)(
  'a mask of one class, %s',
  (dtype) => {
    const S = 333;
    const values = random.array(S, () => [0, 1, 5, 7][random.integer(4)] as number);
    const target = (v: Float64Array) => onDevice(gpu, tensor(v, [1, 1, S], dtype));
    const sevens = values.map((v) => (v === 5 ? 7 : v));
    for (const type of ['float32', 'float64', 'float16', 'bfloat16'] as const) {
      const x = logits([1, 1, S], type);
      const make = (ignoreIndex: IgnoreIndex) =>
        new DiceLoss({ activation: 'sigmoid', ignoreIndex });
      const given = make([257, -3, 5, 7]).valueAndGrad(x, target(values));
      const wanted = make(7).valueAndGrad(x, target(sevens));
      expect(read(given)).toEqual(read(wanted));
    }
  },
);

test('a plan with another target, Async, DeepSupervision; the target stays as it is', async () => {
  const [C, S] = [3, 1031];
  const x = logits([1, C, S]);
  const targets = makeTargets(first, [1, S], C);
  const [several, single] = both(targets);
  const loss = new DiceCELoss({ ignoreIndex: first.ignoreIndex });
  const one = new DiceCELoss({ ignoreIndex: first.one });
  const wanted = read(one.valueAndGrad(x, single));
  const plan = loss.plan(x, onDevice(gpu, tensor(new Uint8Array(S), [1, S], 'uint8')));
  plan.execute();
  expect(read(plan.bind(x, several).execute())).toEqual(wanted);
  expect(read(await loss.valueAndGradAsync(x, several))).toEqual(wanted);
  expect(several.readSync()).toEqual(targets.several.data);

  const sums = loss.statistics(x, several);
  expect(loss.fromStatistics(sums).value.readSync()).toEqual(wanted[0]);
  expect(loss.gradient(x, several, sums).readSync()).toEqual(wanted[1]);

  const scales = [logits([1, C, 8, 12]), logits([1, C, 4, 6])];
  const [full, of] = both(makeTargets(first, [1, 8, 12], C));
  const deep = (of: DiceCELoss, y: Tensor) =>
    new DeepSupervision(of, [1, 0.5]).valueAndGrad(scales, y).value.itemSync();
  expect(deep(loss, full)).toBe(deep(one, of));
});

test('a label out of range is where it is in the target', async () => {
  const labels = new Uint8Array(301).fill(255);
  labels.fill(9, 77, 80);
  const y = onDevice(gpu, tensor(labels, [1, 301], 'uint8'));
  const loss = new DiceLoss({ ...softmax, ignoreIndex: [254, 255] });
  await expect(loss.valueAsync(logits([1, 3, 301]), y)).rejects.toThrow(
    'Expected class indices from 0 to 2 (or ignoreIndex 254 or 255) for target but received 3 other values, the first 9 at index 77',
  );
});
