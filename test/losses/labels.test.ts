// Targets that name classes that do not exist: how many, where the first is, and its value; nothing is written.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, WarpDiceError } from '../../lib/index.js';
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
