// ignoreIndex as a list: the bits of the same loss with one index, of a target in which that one stands for all.
import { describe, expect, test } from '@jest/globals';
import {
  BoundaryLoss,
  CrossEntropyLoss,
  DeepSupervision,
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  FocalLoss,
  GeneralizedWassersteinDiceLoss,
  getThreads,
  HausdorffLoss,
  type IgnoreIndex,
  JaccardLoss,
  LovaszLoss,
  linearLogits,
  setThreads,
  TopKCrossEntropyLoss,
  UnifiedFocalLoss,
} from '../../lib/index.js';
import { check } from '../support/check.js';
import { Random } from '../support/random.js';
import { type Marks, makeTargets, marks } from '../support/several-ignored.js';
import { copyOf, sizeOf, tensor } from '../support/tensors.js';

type Options = { ignoreIndex: IgnoreIndex; layout?: 'channels-last' };

const softmax = { activation: 'softmax' } as const;
const distances = [
  [0, 1, 1],
  [1, 0, 1],
  [1, 1, 0],
];
const losses = {
  DiceLoss: (o: Options) => new DiceLoss({ ...softmax, ...o }),
  'DiceLoss, pooled': (o: Options) => new DiceLoss({ ...softmax, batch: true, ...o }),
  'JaccardLoss, skip': (o: Options) => new JaccardLoss({ ...softmax, absent: 'skip', ...o }),
  DiceCELoss: (o: Options) => new DiceCELoss(o),
  DiceFocalLoss: (o: Options) => new DiceFocalLoss({ activation: 'sigmoid', ...o }),
  UnifiedFocalLoss: (o: Options) => new UnifiedFocalLoss(o),
  CrossEntropyLoss: (o: Options) => new CrossEntropyLoss(o),
  FocalLoss: (o: Options) => new FocalLoss(o),
  GeneralizedWassersteinDiceLoss: (o: Options) =>
    new GeneralizedWassersteinDiceLoss({ ...softmax, distances, ...o }),
  LovaszLoss: (o: Options) => new LovaszLoss(o),
  TopKCrossEntropyLoss: (o: Options) => new TopKCrossEntropyLoss(o),
  BoundaryLoss: (o: Options) => new BoundaryLoss(o),
  HausdorffLoss: (o: Options) => new HausdorffLoss(o),
};

const logits = (shape: readonly number[]) => {
  const random = new Random(5);
  return tensor(
    random.array(sizeOf(shape), () => 2 * random.normal()),
    shape,
  );
};

const [N, C, size] = [2, 3, [9, 37]] as const;
const x = logits([N, C, ...size]);

test('statistics, and value and gradient from them, which have no target to read', () => {
  const [of] = marks as [Marks];
  const { several, single } = makeTargets(of, [N, ...size], C);
  const [given, wanted] = [of.ignoreIndex, of.one].map((ignoreIndex, i) => {
    const loss = new DiceCELoss({ ignoreIndex });
    const y = i === 0 ? several : single;
    const sums = loss.statistics(x, y);
    const { value } = loss.fromStatistics(sums);
    return [sums.data, value.data, loss.gradient(x, y, sums).data];
  });
  expect(given).toEqual(wanted);
});

describe.each(Object.entries(losses))('%s', (_, make) => {
  test.each(marks)('$dtype, $ignoreIndex', (of) => {
    const { several, single } = makeTargets(of, [N, ...size], C);
    const before = copyOf(several);
    const given = make({ ignoreIndex: of.ignoreIndex }).valueAndGrad(x, several);
    const wanted = make({ ignoreIndex: of.one }).valueAndGrad(x, single);
    expect(given.value.data).toEqual(wanted.value.data);
    expect(given.perClass.data).toEqual(wanted.perClass.data);
    expect(given.grad.data).toEqual(wanted.grad.data);
    expect(several).toEqual(before);
  });
});

describe('other calls', () => {
  const of = marks[0] as (typeof marks)[0];
  const loss = new DiceCELoss({ ignoreIndex: Uint8Array.from(of.ignoreIndex) });
  const one = new DiceCELoss({ ignoreIndex: of.one });
  const { several, single } = makeTargets(of, [N, ...size], C);
  const wanted = one.valueAndGrad(x, single);

  test('statistics, gradient, Async, a plan with another target', async () => {
    const statistics = loss.statistics(x, several);
    expect(statistics.sums).toEqual(one.statistics(x, single).sums);
    expect(loss.gradient(x, several, statistics).data).toEqual(wanted.grad.data);
    const later = await loss.valueAndGradAsync(x, several);
    expect(later.grad.data).toEqual(wanted.grad.data);
    const plan = loss.plan(x, tensor(new Uint8Array(sizeOf(single.shape)), single.shape, 'uint8'));
    expect(plan.bind(x, several).execute().grad.data).toEqual(wanted.grad.data);
    expect(plan.value.data).toEqual(wanted.value.data);
  });

  test('linearLogits', () => {
    const features = logits([N, 4, ...size]);
    const head = linearLogits(features, logits([C, 4]), logits([C]));
    const given = loss.valueAndGrad(head, several);
    const composed = one.valueAndGrad(head, single);
    expect(given.value.data).toEqual(composed.value.data);
    expect(given.grad.features?.data).toEqual(composed.grad.features?.data);
    expect(given.grad.weight?.data).toEqual(composed.grad.weight?.data);
  });

  test('DeepSupervision', () => {
    const [full, half] = [logits([1, C, 8, 12]), logits([1, C, 4, 6])];
    const targets = makeTargets(of, [1, 8, 12], C);
    const given = new DeepSupervision(loss, [1, 0.5]).valueAndGrad([full, half], targets.several);
    const composed = new DeepSupervision(one, [1, 0.5]).valueAndGrad([full, half], targets.single);
    expect(given.value.data).toEqual(composed.value.data);
    const grads = ({ scales }: typeof given) => scales.map(({ grad }) => grad.data);
    expect(grads(given)).toEqual(grads(composed));
  });

  test('channels last, more voxels than a block, any number of threads', () => {
    const last = { layout: 'channels-last' } as const;
    const S = 20_011;
    const many = logits([1, S, C]);
    const targets = makeTargets(of, [1, S], C);
    const composed = losses.DiceLoss({ ...last, ignoreIndex: of.one });
    const before = getThreads();
    for (const threads of [1, 3]) {
      setThreads(threads);
      const given = losses.DiceLoss({ ...last, ignoreIndex: of.ignoreIndex });
      expect(given.valueAndGrad(many, targets.several).grad.data).toEqual(
        composed.valueAndGrad(many, targets.single).grad.data,
      );
    }
    setThreads(before);
  });
});

test.each(['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int16'] as const)(
  'a mask of one class, %s',
  (dtype) => {
    // 257 is no bfloat16.
    const of = { dtype, ignoreIndex: [257, -3, 5, 7], one: 7 };
    const S = 333;
    const one = tensor([...logits([S]).data].map(Number), [1, 1, S]);
    const random = new Random(3);
    const values = random.array(S, () => [0, 1, 5, 7][random.integer(4)] as number);
    const target = (v: Float64Array) => tensor(v, [1, 1, S], dtype);
    for (const type of ['float32', 'float64'] as const) {
      const z = tensor([...one.data].map(Number), one.shape, type);
      const make = (ignoreIndex: IgnoreIndex) =>
        new DiceLoss({ activation: 'sigmoid', ignoreIndex }).valueAndGrad(z, target(values));
      const given = make(of.ignoreIndex);
      const single = new DiceLoss({ activation: 'sigmoid', ignoreIndex: 7 });
      const wanted = single.valueAndGrad(z, target(values.map((v) => (v === 5 ? 7 : v))));
      expect(given.value.data).toEqual(wanted.value.data);
      expect(given.grad.data).toEqual(wanted.grad.data);
    }
  },
);

test('the reference ignores them too', () => {
  for (const [options, C] of [
    [{ activation: 'softmax', ignoreIndex: [250, 1, 251] }, 3],
    [{ activation: 'sigmoid', batch: true, ignoreIndex: [250, 251] }, 1],
  ] as const)
    check({ loss: 'dice', C, options, ignored: 0.3 });
});

describe('what is a list', () => {
  const of = marks[0] as (typeof marks)[0];
  const { several, single } = makeTargets(of, [N, ...size], C);
  const value = (ignoreIndex: unknown, target = several) =>
    new DiceCELoss({ ignoreIndex: ignoreIndex as number }).value(x, target).value.itemSync();

  test('one label, also written twice, is one index; none is no index', () => {
    expect(value([254], single)).toBe(value(254, single));
    expect(value([254, 254], single)).toBe(value(254, single));
    const labels = tensor(new Uint8Array(sizeOf(single.shape)), single.shape, 'uint8');
    expect(value([], labels)).toBe(value(undefined, labels));
    expect(value([-0, 255], labels)).toBe(value(0, labels));
  });

  test.each([Int16Array, Int32Array, Float64Array])('%p', (List) => {
    expect(value(List.from(of.ignoreIndex))).toBe(value(of.ignoreIndex));
  });

  // biome-ignore lint/suspicious/noSparseArray: what is tested
  const hole = [254, , 255];
  test.each<[string, unknown, RegExp]>([
    [
      'a text',
      '255',
      /^Expected an integer, or a list of them, for ignoreIndex but received '255'$/,
    ],
    ['a text in it', [1, '255'], /^Expected an integer for ignoreIndex\[1\] but received '255'$/],
    ['a hole', hole, /^Expected an integer for ignoreIndex\[1\] but received undefined$/],
    ['NaN', [NaN], /^Expected an integer for ignoreIndex\[0\] but received NaN$/],
    ['2^53', [0, 2 ** 53], /^Expected an integer for ignoreIndex\[1\]/],
    ['bigints', BigInt64Array.of(1n), /^Expected an integer for ignoreIndex\[0\] but received 1n$/],
    ['a DataView', new DataView(new ArrayBuffer(8)), /^Expected an integer, or a list/],
    ['null', null, /^Expected an integer, or a list of them, for ignoreIndex but received null$/],
    ['17', new Uint8Array(17), /^Expected at most 16 labels for ignoreIndex/],
    ['2^32 - 1', new Array(2 ** 32 - 1), /^Expected at most 16 labels for ignoreIndex/],
    ['an endless Proxy', new Proxy([], { get: () => 2 ** 32 }), /at most 16 labels/],
  ])('not %s', (_, list, message) => {
    expect(() => new DiceLoss({ ignoreIndex: list as number })).toThrow(message);
  });

  test('the message of a label out of range names them', () => {
    const loss = new DiceLoss({ activation: 'softmax', ignoreIndex: [254, 255] });
    const target = tensor(new Uint8Array(N * sizeOf(size)).fill(253), [N, ...size], 'uint8');
    target.data[0] = 255;
    expect(() => loss.value(x, target)).toThrow(
      'Expected class indices from 0 to 2 (or ignoreIndex 254 or 255) for target but received 665 other values, the first 253 at index 1',
    );
  });
});
