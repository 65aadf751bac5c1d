// Targets that name classes that do not exist: how many, where the first is, and its value; nothing is written.
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceLoss,
  SegmentationMetrics,
  Tensor,
  TverskyLoss,
  WarpDiceError,
} from '../../lib/index.js';
import { expectSameBits } from '../support/compare.js';
import { type DType, full, numbers, type Typed, tensor } from '../support/tensors.js';

const layouts = ['channels-first', 'channels-last'] as const;

/** Expects ERR_LABEL_RANGE from every call that reads the target, and outputs that stay as they were. */
async function expectFault(
  loss: DiceLoss,
  x: Typed,
  y: Typed,
  fault: { count: number; index: number; value: number },
): Promise<void> {
  const grad = full(x.shape, 7, x.dtype);
  const value = full([], 7, 'float64');
  const out = { grad, value };
  const error = expect.objectContaining({ code: 'ERR_LABEL_RANGE', ...fault });
  const call = () => loss.valueAndGrad(x, y, { out });
  expect(call).toThrow(WarpDiceError);
  expect(call).toThrow(error);
  const values = fault.count === 1 ? '1 other value' : `${fault.count} other values`;
  expect(call).toThrow(
    new RegExp(
      `^Expected .* target .*${values}, the first ${fault.value} at index ${fault.index}(: .* 255.*)?$`,
    ),
  );
  expect(() => loss.value(x, y)).toThrow(error);
  expect(() => loss.statistics(x, y)).toThrow(error);
  await expect(loss.valueAndGradAsync(x, y, { out })).rejects.toThrow(error);
  await expect(loss.valueAndGradAsync(x, y, { out })).rejects.toThrow(WarpDiceError);
  await expect(loss.statisticsAsync(x, y)).rejects.toThrow(error);
  expect(numbers(grad).every((g) => g === 7)).toBe(true);
  expect(numbers(value)[0]).toBe(7);
}

const N = 2;
const C = 4;
const S = 1003;
const first = full([N, C, S], 0.25);
const last = full([N, S, C], 0.25);

describe.each(['uint8', 'int32', 'int64'] as const)('%s labels', (dtype) => {
  test.each([0, 1, 63, S - 1, S, 2 * S - 1])('one, at %d', async (index) => {
    for (const layout of layouts)
      for (const bad of dtype === 'uint8' ? [C, 255] : [C, -1, 2 ** 31 - 1, -(2 ** 31)]) {
        const y = full([N, S], 1, dtype);
        y.data[index] = (dtype === 'int64' ? BigInt(bad) : bad) as never;
        const loss = new DiceLoss({ activation: 'softmax', layout });
        await expectFault(loss, layout === 'channels-first' ? first : last, y, {
          count: 1,
          index,
          value: bad,
        });
      }
  });

  test('many: all are counted, and the first is the first whatever the threads do', async () => {
    const big = 100_003;
    const x = full([N, 2, big], 0.5);
    for (let repeat = 0; repeat < 5; repeat++) {
      const y = full([N, big], 1, dtype);
      let count = 0;
      for (let i = 50_001; i < 2 * big; i += 7) {
        y.data[i] = (dtype === 'int64' ? BigInt(2 + (i % 100)) : 2 + (i % 100)) as never;
        count++;
      }
      await expectFault(new DiceLoss(), x, y, { count, index: 50_001, value: 3 });
    }
  });

  test('ignoreIndex is no fault, others are', async () => {
    const y = full([N, S], 1, dtype);
    y.data[5] = (dtype === 'int64' ? 9n : 9) as never;
    y.data[6] = (dtype === 'int64' ? 8n : 8) as never;
    await expectFault(new DiceLoss({ ignoreIndex: 9 }), first, y, { count: 1, index: 6, value: 8 });
    y.data[6] = (dtype === 'int64' ? 1n : 1) as never;
    new DiceLoss({ ignoreIndex: 9 }).value(first, y);
  });
});

test('int64 labels that are a class only in their lower half', async () => {
  const y = full([N, S], 1, 'int64');
  y.data[7] = (2n ** 32n + 1n) as never;
  await expectFault(new DiceLoss(), first, y, { count: 1, index: 7, value: 2 ** 32 + 1 });
  const ignoring = new DiceLoss({ ignoreIndex: 3 });
  y.data[7] = (2n ** 32n + 3n) as never;
  await expectFault(ignoring, first, y, { count: 1, index: 7, value: 2 ** 32 + 3 });
});

test('ignoreIndex beyond the dtype of the labels matches nothing', () => {
  const y = full([N, S], 0, 'uint8');
  const plain = new DiceLoss().value(first, y).value.itemSync();
  for (const ignoreIndex of [256, -256, 2 ** 32, -1]) {
    expect(new DiceLoss({ ignoreIndex }).value(first, y).value.itemSync()).toBe(plain);
  }
});

describe('masks of one class', () => {
  test.each(['uint8', 'int32', 'int64'] as const)('%s other than 0 and 1', async (dtype) => {
    const x = full([S], 0.5);
    const y = full([S], 1, dtype);
    y.data[900] = (dtype === 'int64' ? 2n : 2) as never;
    await expectFault(new DiceLoss(), x, y, { count: 1, index: 900, value: 2 });
    new DiceLoss({ ignoreIndex: 2 }).value(x, y);
  });

  test('with a class axis', async () => {
    const x = full([2, 1, 4], 0.5);
    const y = tensor([0, 1, 1, 0, 1, 255, 0, 254], [2, 1, 4], 'uint8');
    await expectFault(new DiceLoss(), x, y, { count: 2, index: 5, value: 255 });
    await expectFault(new DiceLoss({ ignoreIndex: 255 }), x, y, { count: 1, index: 7, value: 254 });
  });
});

describe('dense targets of integers are 0 and 1', () => {
  test.each(layouts)('%s', async (layout) => {
    const x = layout === 'channels-first' ? first : last;
    for (const [index, bad] of [
      [0, 2],
      [N * C * S - 1, 255],
      [4567, 3],
    ] as const) {
      const y = full(x.shape, 1, 'uint8');
      y.data[index] = bad as never;
      await expectFault(new DiceLoss({ layout }), x, y, { count: 1, index, value: bad });
    }
  });
});

describe('gradient alone treats such a voxel as no class', () => {
  test.each(['uint8', 'int32', 'int64'] as DType[])('%s', (dtype) => {
    const loss = new DiceLoss({ activation: 'softmax' });
    const good = full([N, S], 1, dtype);
    const statistics = loss.statistics(first, good);
    const expected = numbers(loss.gradient(first, good, statistics));
    const bad = full([N, S], 1, dtype);
    bad.data[9] = (dtype === 'int64' ? 77n : 77) as never;
    const grad = numbers(loss.gradient(first, bad, statistics));
    for (let c = 0; c < C; c++)
      for (let s = 0; s < S; s++) {
        if (s !== 9 && grad[c * S + s] !== expected[c * S + s])
          throw new Error(`grad of ${c}, ${s}`);
      }
    // With no class, all classes are alike here, and so their gradients: 0.
    for (let c = 0; c < C; c++) expect(Number.isFinite(grad[c * S + 9])).toBe(true);
    expect(grad[S + 9]).not.toBe(expected[S + 9]);
  });
});

// Label maps of 16 bits, which are common on disk: the same results as int32, in place, without a dtype where it is a target.
describe('labels of 16 bits', () => {
  const [N, C, H, W] = [2, 40, 9, 13];
  const shape = [N, C, H, W];
  const size = N * H * W;
  const x = tensor(
    Array.from({ length: N * C * H * W }, (_, i) => 3 * Math.sin(i * i)),
    shape,
  );
  const values = Array.from({ length: size }, (_, i) => (i * 31) % C);
  const ignored = values.map((value, i) => (i % 5 === 0 ? 300 : value));
  const negative = values.map((value, i) => (i % 5 === 0 ? -7 : value));

  const arrays = [
    ['Int16Array', Int16Array],
    ['Uint16Array', Uint16Array],
  ] as const;

  describe.each(arrays)('%s', (_, Labels) => {
    const target = (of: number[]) => ({ data: Labels.from(of), shape: [N, H, W] });
    const wide = (of: number[]) => ({ data: Int32Array.from(of), shape: [N, H, W] });

    test.each([
      ['softmax', { activation: 'softmax' }, values],
      ['few classes', { activation: 'sigmoid', batch: true }, values],
      ['absent classes are skipped', { activation: 'softmax', absent: 'skip' }, values],
      ['cross-entropy', { activation: 'softmax', crossEntropy: {} }, values],
      ['channels of 300 are ignored', { activation: 'softmax', ignoreIndex: 300 }, ignored],
    ] as const)('%s', async (_name, options, of) => {
      const loss = new DiceLoss(options);
      const expected = loss.valueAndGrad(x, wide([...of]));
      for (const result of [
        loss.valueAndGrad(x, target([...of])),
        await loss.valueAndGradAsync(x, target([...of])),
        loss.plan(x, target([...of])).execute(),
      ]) {
        expectSameBits(
          'value',
          result.value.data as Typed['data'],
          expected.value.data as Typed['data'],
        );
        expectSameBits(
          'grad',
          result.grad.data as Typed['data'],
          expected.grad.data as Typed['data'],
        );
      }
    });

    test('a plan reads what the labels are now', () => {
      const labels = target(values);
      const loss = new DiceLoss({ activation: 'softmax' });
      const plan = loss.plan(x, labels);
      labels.data.fill(3);
      const expected = loss.value(x, wide(values.map(() => 3)));
      expect(plan.execute().value.itemSync()).toBe(expected.value.itemSync());
    });

    test('a mask of one class', () => {
      const mask = values.map((value) => value % 2);
      const predictions = { data: x.data.slice(0, size) as Float32Array, shape: [N, 1, H, W] };
      for (const at of [
        [N, H, W],
        [N, 1, H, W],
      ]) {
        const loss = new TverskyLoss({ activation: 'sigmoid' });
        const given = loss.value(predictions, { data: Labels.from(mask), shape: at });
        const expected = loss.value(predictions, { data: Int32Array.from(mask), shape: at });
        expect(given.value.itemSync()).toBe(expected.value.itemSync());
      }
    });

    test('labels out of range', () => {
      const wrong = values.with(17, C).with(100, 32_767);
      expect(() => new DiceLoss({ activation: 'softmax' }).value(x, target(wrong))).toThrow(
        expect.objectContaining({ code: 'ERR_LABEL_RANGE', count: 2, index: 17, value: C }),
      );
    });

    test('scales of deep supervision', () => {
      const coarse = tensor(
        Array.from({ length: N * C * 4 * 6 }, (_, i) => Math.cos(i)),
        [N, C, 4, 6],
      );
      const supervision = new DeepSupervision(new DiceLoss({ activation: 'softmax' }), [1, 0.5]);
      expect(supervision.value([x, coarse], target(values)).value.itemSync()).toBe(
        supervision.value([x, coarse], wide(values)).value.itemSync(),
      );
    });

    test('metrics: a target, and label maps', () => {
      const [argmax, maps] = [
        new SegmentationMetrics({ classes: C, ignoreIndex: 300 }).update(x, target(ignored)),
        new SegmentationMetrics({ classes: C, decision: 'labels' }).update(
          target(values),
          target(values),
        ),
      ];
      const expected = new SegmentationMetrics({ classes: C, ignoreIndex: 300 }).update(
        x,
        wide(ignored),
      );
      expect([...argmax.confusion()]).toEqual([...expected.confusion()]);
      expect(maps.average('dice')).toBe(1);
    });
  });

  test('negative int16 labels are out of range, or ignored', () => {
    const target = { data: Int16Array.from(negative), shape: [N, H, W] };
    const wide = { data: Int32Array.from(negative), shape: [N, H, W] };
    const loss = new DiceLoss({ activation: 'softmax', ignoreIndex: -7 });
    expect(loss.value(x, target).value.itemSync()).toBe(loss.value(x, wide).value.itemSync());
    expect(() => new DiceLoss({ activation: 'softmax' }).value(x, target)).toThrow(
      /the first -7 at index 0$/,
    );
  });

  test('more classes than the labels can name', () => {
    for (const classes of [32_768, 40_000, 65_535, 65_536, 70_000]) {
      const predictions = { data: new Float32Array(classes * 2), shape: [1, classes, 2] };
      const loss = new DiceLoss({ activation: 'softmax' });
      const signed = { data: Int16Array.of(5, -1), shape: [1, 2] };
      expect(() => loss.value(predictions, signed)).toThrow(
        /1 other value, the first -1 at index 1$/,
      );
      const labels = { data: Uint16Array.of(5, Math.min(classes - 1, 65_535)), shape: [1, 2] };
      const wide = { data: Int32Array.from(labels.data), shape: [1, 2] };
      expect(loss.value(predictions, labels).value.itemSync()).toBe(
        loss.value(predictions, wide).value.itemSync(),
      );
    }
  });

  describe('a Uint16Array without a dtype', () => {
    const loss = new DiceLoss();
    const one = { data: Float32Array.of(0.5, 0.25), shape: [2] };

    test('is labels as a target, and half precision only with its dtype', () => {
      expect(() => loss.value(one, { data: Uint16Array.of(0x3c00, 0), shape: [2] })).toThrow(
        /^Expected 0 or 1 for target but received 1 other value, the first 15360/,
      );
      const bits = { data: Uint16Array.of(0x3c00, 0), shape: [2], dtype: 'float16' } as const;
      const labels = { data: Uint16Array.of(1, 0), shape: [2] };
      expect(loss.value(one, bits).value.itemSync()).toBe(loss.value(one, labels).value.itemSync());
    });

    test('dense, it is an error that says what is allowed', () => {
      const dense = { data: new Uint16Array(4), shape: [1, 2, 2] };
      expect(() => loss.value({ data: new Float32Array(4), shape: [1, 2, 2] }, dense)).toThrow(
        /^Expected dtype uint8 or a float dtype for target, which is dense .* received uint16: use Uint8Array/,
      );
    });

    test('elsewhere it is refused: Tensor.from, predictions, weights', () => {
      const data = new Uint16Array(2);
      expect(() => Tensor.from(data, [2])).toThrow(
        /^Expected a dtype \('uint16' or 'float16' or 'bfloat16'\) for tensor/,
      );
      expect(Tensor.from(data, [2], { dtype: 'uint16' }).dtype).toBe('uint16');
      for (const call of [
        () => loss.value({ data, shape: [2] }, one),
        () => loss.value(one, one, { weight: { data, shape: [2] } }),
      ]) {
        expect(call).toThrow(
          /^Expected a dtype \('float16' or 'bfloat16'\) for (predictions|weight)/,
        );
      }
    });

    test('int16 predictions: the error names what predictions can be', () => {
      expect(() => loss.value({ data: new Int16Array(2), shape: [2] }, one)).toThrow(
        /^Expected dtype float32, float64, float16 or bfloat16 for predictions but received int16$/,
      );
      expect(() => loss.value({ data: new Int8Array(2) as never, shape: [2] }, one)).toThrow(
        /^Expected one of Float32Array, Float64Array, Float16Array, Uint16Array for predictions\.data but received an Int8Array of 2: use Float32Array\.from\(data\)$/,
      );
    });
  });
});
