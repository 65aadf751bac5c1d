// Floats that should be from 0 to 1 and are not, in a dense target or in predictions without an activation: an error, never
// a plausible number.
import { beforeAll, describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  GeneralizedWassersteinDiceLoss,
  JaccardLoss,
  type Loss,
  type LossOptions,
  Tensor,
  WarpDiceError,
} from '../../lib/index.js';
import { tfLoss } from '../../lib/tfjs.js';
import { Random } from '../support/random.js';
import * as tf from '../support/tensorflow.js';
import { type FloatDType, full, numbers, type Typed, tensor } from '../support/tensors.js';

beforeAll(() => {
  tf.env().set('IS_TEST', true); // no advice to install tfjs-node
});

/** What `call` throws. */
function errorOf(call: () => unknown): WarpDiceError {
  try {
    call();
  } catch (error) {
    return error as WarpDiceError;
  }
  throw new Error('Nothing was thrown');
}

const logits = tensor([5, 0.5, -3], [3], 'float32');
const mask = full([3], 1, 'uint8');
const white = tensor([0, 255, 255], [3], 'float32');
const half = full([3], 0.5);

describe('the message', () => {
  test('a float mask of 0 and 255', () => {
    const error = errorOf(() => new DiceLoss().value(half, white));
    expect(error).toBeInstanceOf(WarpDiceError);
    expect(error).toMatchObject({ code: 'ERR_LABEL_RANGE', count: 2, index: 1, value: 255 });
    expect(error.message).toBe(
      'Expected values from 0 to 1 for target but received 2 other values, the first 255 at index 1: divide a mask of 0 and 255 by 255',
    );
  });

  test('another value of a target', () => {
    const error = errorOf(() => new DiceLoss().value(half, tensor([0, 1, -1], [3], 'float64')));
    expect(error.message).toBe(
      'Expected values from 0 to 1 for target but received 1 other value, the first -1 at index 2',
    );
  });

  test('logits without an activation', () => {
    const error = errorOf(() => new DiceLoss().value(logits, mask));
    expect(error).toMatchObject({ code: 'ERR_LABEL_RANGE', count: 2, index: 0, value: 5 });
    expect(error.message).toBe(
      "Expected probabilities from 0 to 1 for predictions but received 2 other values, the first 5 at index 0: for logits use activation 'softmax' or 'sigmoid'",
    );
  });

  test('both: the target first', () => {
    const error = errorOf(() => new DiceLoss().value(logits, white));
    expect(error).toMatchObject({ count: 2, value: 255 });
  });
});

describe('in every call that begins with step 1', () => {
  type Call = (loss: Loss, x: Typed, y: Typed) => unknown;
  const calls: [string, Call][] = [
    ['value', (loss, x, y) => loss.value(x, y)],
    ['valueAndGrad', (loss, x, y) => loss.valueAndGrad(x, y)],
    ['statistics', (loss, x, y) => loss.statistics(x, y)],
    ['valueAsync', (loss, x, y) => loss.valueAsync(x, y)],
    ['valueAndGradAsync', (loss, x, y) => loss.valueAndGradAsync(x, y)],
    ['statisticsAsync', (loss, x, y) => loss.statisticsAsync(x, y)],
    ['a plan', (loss, x, y) => loss.plan(x, y).execute()],
    ['a hook', (_, x, y) => new DiceLoss({ allReduce: (own) => own }).value(x, y)],
    [
      'a hook of an Async call',
      (_, x, y) => new DiceLoss({ allReduce: async (own) => own }).valueAsync(x, y),
    ],
    [
      'deep supervision',
      (loss, x, y) => {
        const rank3 = (a: Typed) => tensor(numbers(a), [1, 1, 3], a.dtype);
        return new DeepSupervision(loss, [1]).value([rank3(x)], rank3(y));
      },
    ],
    [
      'TensorFlow.js',
      (_, x, y) => tfLoss(tf, DiceLoss)(tf.tensor1d([...numbers(y)]), tf.tensor1d([...numbers(x)])),
    ],
  ];
  test.each(calls)('%s', async (name, call) => {
    const loss = new DiceLoss();
    const async_ = async (x: Typed, y: Typed) => call(loss, x, y);
    const [predictions, target] =
      name === 'TensorFlow.js' ? ['yPred', 'yTrue'] : ['predictions', 'target'];
    await expect(async_(logits, half)).rejects.toMatchObject({
      code: 'ERR_LABEL_RANGE',
      message: expect.stringMatching(`for ${predictions}(\\[0\\])? .*use activation 'softmax'`),
    });
    await expect(async_(half, white)).rejects.toMatchObject({
      code: 'ERR_LABEL_RANGE',
      message: expect.stringContaining(`from 0 to 1 for ${target}`),
    });
  });
});

const distances = [
  [0, 1, 0.5],
  [1, 0, 0.5],
  [1, 0.5, 0],
];
const losses: [string, (options: LossOptions) => Loss][] = [
  ['DiceLoss', (options) => new DiceLoss(options)],
  ['linear', (options) => new DiceLoss({ ...options, denominator: 'linear' })],
  ['overlap minimum', (options) => new JaccardLoss({ ...options, overlap: 'minimum' })],
  [
    'GeneralizedDiceLoss',
    ({ layout = 'channels-first', activation = 'none' }) =>
      new GeneralizedDiceLoss({ layout, activation }),
  ],
  ['focal', ({ layout }) => new DiceFocalLoss({ ...(layout && { layout }) })],
  [
    'Wasserstein',
    ({ layout }) =>
      new GeneralizedWassersteinDiceLoss({
        distances,
        activation: 'softmax',
        ...(layout && { layout }),
      }),
  ],
];

describe.each(losses)('wherever it is: %s', (name, make) => {
  const [N, C] = [2, 3];
  test.each(['float32', 'float64', 'float16', 'bfloat16'] as const satisfies FloatDType[])(
    '%s',
    (dtype) => {
      const random = new Random(7);
      const takesProbabilities = name !== 'focal' && name !== 'Wasserstein';
      for (const S of [1, 130, 5000])
        for (const layout of ['channels-first', 'channels-last'] as const)
          for (const activation of ['none', 'sigmoid', 'softmax'] as const) {
            if (!takesProbabilities && activation !== 'softmax') continue;
            const shape = layout === 'channels-first' ? [N, C, S] : [N, S, C];
            const loss = make({ layout, activation });
            const values = random.array(N * C * S, () => random.uniform());
            const index = random.integer(values.length);
            const bad = Array.from(values, (x, i) => (i === index ? -2 : x));
            const [good, wrong] = [tensor(values, shape, dtype), tensor(bad, shape, dtype)];
            const call = (x: Typed, y: Typed) => () => loss.valueAndGrad(x, y);
            expect(errorOf(call(good, wrong))).toMatchObject({ count: 1, index, value: -2 });
            const labels = full([N, S], 1, 'uint8');
            if (activation === 'none') {
              expect(errorOf(call(wrong, good))).toMatchObject({ count: 1, index, value: -2 });
              expect(errorOf(call(wrong, labels))).toMatchObject({ count: 1, index, value: -2 });
            } else {
              call(wrong, labels)();
            }
          }
    },
  );
});

describe('no error', () => {
  const value = (p: number[], t: number[], options = {}, call = {}) =>
    new DiceLoss(options)
      .value(tensor(p, [p.length], 'float32'), tensor(t, [t.length], 'float32'), call)
      .value.itemSync();

  test('what rounding to bfloat16 puts outside; more is an error', () => {
    expect(value([1.0078125, -0.0078125], [1.0078125, -0.0078125])).toBeCloseTo(0, 6);
    for (const bad of [1.02, -0.02]) {
      expect(() => value([bad], [1])).toThrow("use activation 'softmax'");
      expect(() => value([1], [bad])).toThrow('values from 0 to 1 for target');
    }
  });

  test('NaN gives NaN; Infinity is no probability', () => {
    expect(value([Number.NaN, 0.5], [1, 0])).toBeNaN();
    expect(value([0.5, 0.5], [1, Number.NaN])).toBeNaN();
    expect(() => value([Number.POSITIVE_INFINITY, 0.5], [1, 0])).toThrow('the first Infinity');
  });

  test('where the weight is 0, or the value is ignored', () => {
    const weight = { data: Uint8Array.of(0, 1), shape: [2] };
    expect(value([7, 1], [255, 1], {}, { weight })).toBeCloseTo(0, 6);
    expect(value([7, 1], [255, 1], { ignoreIndex: 255 })).toBeCloseTo(0, 6);
    const labels = { data: Uint8Array.of(9, 1), shape: [2] };
    const ignoring = new DiceLoss({ ignoreIndex: 9 });
    expect(ignoring.value(tensor([7, 1], [2], 'float32'), labels).value.itemSync()).toBeCloseTo(0);
    expect(() => value([0.5, 1], [1, 255], {}, { weight })).toThrow('the first 255 at index 1');
  });

  test.each(['channels-first', 'channels-last'] as const)(
    'where each class has weights of its own, that of its class decides: %s',
    (layout) => {
      for (const dtype of ['float32', 'float64'] as const)
        for (const S of [1, 64, 131]) {
          const shape = layout === 'channels-first' ? [1, 2, S] : [1, S, 2];
          const at = (c: number, s: number) =>
            layout === 'channels-first' ? c * S + s : s * 2 + c;
          for (const weighted of [0, 1])
            for (const c of [0, 1]) {
              const loss = new DiceLoss({ activation: 'none', layout });
              const good = full(shape, 0.5, dtype);
              const wrong = full(shape, 0.5, dtype);
              wrong.data[at(c, S - 1)] = 1.5;
              const weight = full(shape, 0, dtype);
              for (let s = 0; s < S; s++) weight.data[at(weighted, s)] = 1;
              for (const [x, y] of [
                [wrong, good],
                [good, wrong],
              ] as const) {
                const call = () => loss.value(x, y, { weight });
                if (c !== weighted) expect(call).not.toThrow();
                else expect(call).toThrow(`the first 1.5 at index ${at(c, S - 1)}`);
              }
            }
        }
    },
  );
});

// Their bits are large, as those of faults are: they make step 1 look at each value.
describe.each(['float32', 'float64', 'float16', 'bfloat16'] as const)(
  'beside -0, values just below 0 and NaN: %s',
  (dtype) => {
    const small = dtype === 'bfloat16' ? -0.0078125 : -0.00999;
    const most = dtype === 'bfloat16' ? 1.0078125 : 1.009;
    for (const S of [1, 33, 4099])
      for (const C of [1, 3])
        for (const weighted of [false, true])
          test(`${S} voxels of ${C} classes, ${weighted ? 'with' : 'without'} weights`, () => {
            const random = new Random(3);
            const allowed = [-0, small, 0, 0.25, 1, most];
            const values = random.array(
              C * S,
              () => allowed[random.integer(allowed.length)] as number,
            );
            const array = (own: ArrayLike<number>) => tensor(own, [1, C, S], dtype);
            const without = random.integer(S);
            const weight = full([1, S], 1, 'uint8');
            if (weighted) weight.data[without] = 0;
            const loss = new DiceLoss();
            const call = (x: Typed, y: Typed) => loss.value(x, y, weighted ? { weight } : {}).value;
            const good = array(values);
            expect(call(good, good).itemSync()).not.toBeNaN();

            // A NaN beside it, in any lane of a vector, hides no fault; the voxel of weight 0 has none.
            const index = random.integer(values.length);
            const faults = [-0.02, 1.02, 255, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
            const fault = faults[random.integer(faults.length)] as number;
            const bad = array(
              Array.from(values, (x, i) => (i === index ? fault : i % 16 === 5 ? Number.NaN : x)),
            );
            if (weighted && index % S === without) {
              call(bad, good);
              call(good, bad);
              return;
            }
            const found = { count: 1, index };
            expect(errorOf(() => call(bad, good))).toMatchObject({
              ...found,
              message: expect.stringContaining('for predictions'),
            });
            expect(errorOf(() => call(good, bad))).toMatchObject({
              ...found,
              message: expect.stringContaining('for target'),
            });
          });
  },
);

test('float64 just beyond the tolerance', () => {
  const call = (p: number, t: number) => () =>
    new DiceLoss().value(tensor([p], [1], 'float64'), tensor([t], [1], 'float64'));
  call(1.01, -0.01)();
  call(-0.01, 1.01)();
  for (const bad of [1.01 + 2e-16, -0.01 - 2e-18]) {
    expect(call(bad, 1)).toThrow('for predictions');
    expect(call(1, bad)).toThrow('for target');
  }
});

test('the value and the statistics are not written; the next call works', () => {
  const loss = new DiceLoss();
  const out = { value: Tensor.empty([], 'float64') };
  expect(() => loss.value(half, white, { out })).toThrow('divide a mask');
  expect(out.value.itemSync()).toBe(0);
  expect(loss.value(half, mask, { out }).value.itemSync()).toBeCloseTo(0.2, 6);
});

test('a gradient that replaces the probabilities leaves a faulty sample as it is', () => {
  const p = tensor([0.5, 5], [2, 1, 1], 'float32');
  const call = () => new DiceLoss().valueAndGrad(p, full([2, 1], 1, 'uint8'), { out: { grad: p } });
  expect(errorOf(call)).toMatchObject({ index: 1, value: 5 });
  expect(numbers(p)[1]).toBe(5);
});
