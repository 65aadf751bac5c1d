// Logits under activation 'none' are noticed, once for each class of losses, and probabilities never are.
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Loss, LossOptions } from '../../lib/index.js';
import { type Cell, cells, entryOf, makeLoss } from '../support/losses.js';
import { named } from '../support/named.js';
import { Random } from '../support/random.js';
import * as tf from '../support/tensorflow.js';
import { type DType, full, tensor } from '../support/tensors.js';

beforeAll(() => {
  tf.env().set('IS_TEST', true); // no advice to install tfjs-node
});

let warnings: jest.SpiedFunction<typeof process.emitWarning>;
beforeEach(() => {
  warnings = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
});
afterEach(() => warnings.mockRestore());

/** Warnings are given once: each test has a library of its own. */
async function fresh() {
  jest.resetModules();
  return { ...(await import('../../lib/index.js')), ...(await import('../../lib/tfjs.js')) };
}
const messages = () => warnings.mock.calls.map(([message]) => message);

const logits = tensor([5, -3], [2], 'float32');
const mask = full([2], 1, 'uint8');

test('the warning: what it says, its code, and that the value comes all the same', async () => {
  const { DiceLoss } = await fresh();
  const { value } = new DiceLoss().value(logits, tensor([1, 0], [2], 'uint8'));
  expect(value.itemSync()).toBeCloseTo(1 - 10 / 35, 7);
  expect(warnings.mock.calls).toEqual([
    [
      "Expected probabilities from 0 to 1 for predictions of DiceLoss, as activation is 'none', but received others: for logits use activation 'softmax' or 'sigmoid'",
      { type: 'WarpDiceWarning', code: 'WARPDICE_LOGITS' },
    ],
  ]);
});

test('once for each class of losses', async () => {
  const { DiceLoss, JaccardLoss } = await fresh();
  class Mine extends DiceLoss {}
  const early = new DiceLoss();
  for (const loss of [new DiceLoss(), new DiceLoss(), early, new JaccardLoss(), new Mine()]) {
    for (let i = 0; i < 3; i++) loss.value(logits, mask);
  }
  expect(messages().map((text) => String(text).match(/of (\w+),/)?.[1])).toEqual([
    'DiceLoss',
    'JaccardLoss',
    'Mine',
  ]);
});

test('only the first 16 calls are looked at', async () => {
  const { DiceLoss } = await fresh();
  const loss = new DiceLoss();
  for (let i = 0; i < 16; i++) loss.value(full([2], 0.5), mask);
  loss.value(logits, mask);
  expect(warnings).not.toHaveBeenCalled();
  const another = new DiceLoss();
  for (let i = 0; i < 15; i++) another.value(full([2], 0.5), mask);
  another.value(logits, mask);
  expect(warnings).toHaveBeenCalledTimes(1);
});

type Library = Awaited<ReturnType<typeof fresh>>;
describe('in every call that begins with step 1', () => {
  test.each<[string, (library: Library, loss: Loss) => unknown]>([
    ['value', (_, loss) => loss.value(logits, mask)],
    ['valueAndGrad', (_, loss) => loss.valueAndGrad(logits, mask)],
    [
      'valueAndGrad in place',
      (_, loss) => {
        const own = tensor([5, -3], [2], 'float32');
        return loss.valueAndGrad(own, mask, { out: { grad: own } });
      },
    ],
    ['statistics', (_, loss) => loss.statistics(logits, mask)],
    ['valueAsync', (_, loss) => loss.valueAsync(logits, mask)],
    ['valueAndGradAsync', (_, loss) => loss.valueAndGradAsync(logits, mask)],
    ['statisticsAsync', (_, loss) => loss.statisticsAsync(logits, mask)],
    ['a plan', (_, loss) => loss.plan(logits, mask).execute()],
    [
      'an allReduce hook',
      ({ DiceLoss }) => new DiceLoss({ allReduce: (own) => own }).value(logits, mask),
    ],
    [
      'an allReduce hook of an Async call',
      ({ DiceLoss }) => new DiceLoss({ allReduce: async (own) => own }).valueAsync(logits, mask),
    ],
    [
      'deep supervision',
      ({ DeepSupervision }, loss) =>
        new DeepSupervision(loss, [1]).value([full([1, 1, 2], -3)], full([1, 2], 1, 'uint8')),
    ],
    [
      'TensorFlow.js',
      ({ DiceLoss, tfLoss }) => tfLoss(tf, DiceLoss)(tf.tensor1d([1, 0]), tf.tensor1d([5, -3])),
    ],
  ])('%s', async (name, call) => {
    const library = await fresh();
    await call(library, new library.DiceLoss());
    const predictions = { 'TensorFlow.js': 'yPred', 'deep supervision': 'predictions[0]' }[name];
    expect(messages()).toEqual([
      expect.stringContaining(`for ${predictions ?? 'predictions'} of DiceLoss`),
    ]);
  });
});

describe('what gives them away', () => {
  const binary = (values: number[]) => tensor(values, [values.length], 'float64');
  test.each<[string, LossOptions, number[], DType, number[]]>([
    ['more than the voxels: squares', {}, [1.1, 1.1], 'uint8', [1, 1]],
    [
      'more than the voxels: a linear sum',
      { denominator: 'linear' },
      [1.1, 1.1],
      'float32',
      [1, 1],
    ],
    ['a negative linear sum', { denominator: 'linear' }, [-0.1, 0.05], 'float32', [0, 1]],
    ['a negative overlap with a mask', {}, [-0.1, 0.5], 'uint8', [1, 0]],
    ['a negative overlap with a mask of floats', {}, [-0.1, 0.5], 'float32', [1, 0]],
    ['a negative minimum', { overlap: 'minimum' }, [-0.5, 0.3], 'uint8', [0, 1]],
    ['one class of many', { batch: true }, [0.5, 2], 'uint8', [0, 1]],
  ])('%s', async (_, options, p, dtype, t) => {
    const { DiceLoss } = await fresh();
    const [x, y] = [binary(p), tensor(t, [t.length], dtype)];
    new DiceLoss({ ...options }).value(x, y);
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  test('distances between classes', async () => {
    const { GeneralizedWassersteinDiceLoss } = await fresh();
    const distances = [
      [0, 1],
      [1, 0],
    ];
    const x = tensor([-1, 0.5, 2, 0.5], [1, 2, 2], 'float32');
    const wrong = tensor([1, 1], [1, 2], 'uint8');
    new GeneralizedWassersteinDiceLoss({ distances }).value(x, wrong);
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  test('weights of uint8 count; others may be negative, and say nothing', async () => {
    const { DiceLoss } = await fresh();
    new DiceLoss().value(logits, mask, { weight: full([2], 1, 'float32') });
    expect(warnings).not.toHaveBeenCalled();
    new DiceLoss().value(logits, mask, { weight: full([2], 3, 'uint8') });
    expect(warnings).toHaveBeenCalledTimes(1);
  });
});

describe('no warning', () => {
  test.each<[string, LossOptions, number[], number[]]>([
    ["under 'sigmoid'", { activation: 'sigmoid' }, [5, -3], [1, 0]],
    ['for NaN', {}, [Number.NaN, 0.5], [1, 0]],
    ['for certain probabilities', {}, [1, 1], [1, 1]],
    ['for all 0', {}, [0, 0], [0, 0]],
    ['for what rounding puts outside', {}, [1.0001, -0.0001], [1, 1]],
    ['for a target outside [0, 1]', {}, [0.5, 0.5], [-1, 0.5]],
  ])('%s', async (_, options, p, t) => {
    const { DiceLoss } = await fresh();
    new DiceLoss(options).value(tensor(p, [p.length], 'float64'), tensor(t, [t.length], 'float64'));
    expect(warnings).not.toHaveBeenCalled();
  });

  const plain = cells.filter(({ key, variant }: Cell) => {
    const { activation, crossEntropy, focal } = { ...entryOf(key).defaults, ...variant };
    return activation === undefined && crossEntropy === undefined && focal === undefined;
  });
  test('there are losses without an activation', () => {
    expect(new Set(plain.map(({ key }) => key)).size).toBe(5);
  });

  test.each(named(plain))('for random probabilities: %s', (_, { key, variant }) => {
    const random = new Random(JSON.stringify(variant).length);
    for (const batch of [false, true]) {
      for (const dtype of ['float32', 'float64', 'float16', 'bfloat16'] as const) {
        for (const S of [1, 7, 300]) {
          const [N, C] = [2, 3];
          // Of every voxel: shares that add up to 1, many of them 0 or 1.
          const p = new Float64Array(N * C * S);
          const t = new Float64Array(N * C * S);
          for (const values of [p, t]) {
            for (let n = 0; n < N; n++) {
              for (let v = 0; v < S; v++) {
                const odds = Array.from({ length: C }, () => random.uniform() ** 8);
                const sure = random.uniform() < 0.3 ? random.integer(C) : -1;
                const total = odds.reduce((a, b) => a + b, 0);
                odds.forEach((odd, c) => {
                  values[(n * C + c) * S + v] = sure < 0 ? odd / total : c === sure ? 1 : 0;
                });
              }
            }
          }
          const loss = makeLoss(key, { ...variant, batch });
          const x = tensor(p, [N, C, S], dtype);
          const weight = tensor(
            Float64Array.from({ length: N * S }, () => random.integer(4)),
            [N, S],
            'uint8',
          );
          const labels = tensor(
            Float64Array.from({ length: N * S }, () => random.integer(C)),
            [N, S],
            'uint8',
          );
          for (const target of [tensor(t, [N, C, S], dtype), labels]) {
            loss.value(x, target);
            loss.valueAndGrad(x, target, { weight });
          }
        }
      }
    }
    expect(warnings).not.toHaveBeenCalled();
  });
});
