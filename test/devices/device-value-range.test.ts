/**
 * On the emulated device: floats outside [0, 1] in a dense target, or in predictions without an activation, are an error
 * when a result is read.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { expect, test } from '@jest/globals';
import { DiceLoss, type LossOptions, SegmentationMetrics, Tensor } from '../../lib/index.js';
import { gpu } from '../support/device.js';
import { everyNth } from '../support/in-this-run.js';
import { Random } from '../support/random.js';
import { full, type Typed, tensor } from '../support/tensors.js';

const on = ({ data, shape, dtype }: Typed) =>
  Tensor.copyOf(data as never, shape, { dtype } as never).to(gpu);

async function solved(options: LossOptions, x: Typed, y: Typed, w?: Typed): Promise<number> {
  const loss = new DiceLoss(options);
  const { value } = loss.valueAndGrad(on(x), on(y), w ? { weight: on(w) } : {});
  return value.item();
}

const some = everyNth(5);

// 3 classes in registers; 20, and channels last, in tiles.
test.each([3, 20])('wherever it is: %d classes', async (C) => {
  const [N, random] = [2, new Random(C)];
  for (const dtype of ['float32', 'float64', 'float16', 'bfloat16'] as const)
    for (const S of [1, 130])
      for (const layout of ['channels-first', 'channels-last'] as const)
        for (const activation of ['none', 'softmax'] as const) {
          if (!some()) continue;
          const shape = layout === 'channels-first' ? [N, C, S] : [N, S, C];
          const values = random.array(N * C * S, () => random.uniform());
          const index = random.integer(values.length);
          const bad = Array.from(values, (x, i) => (i === index ? -2 : x));
          const [good, wrong] = [tensor(values, shape, dtype), tensor(bad, shape, dtype)];
          const labels = full([N, S], 1, 'uint8');
          const options = { activation, layout };
          const fault = { code: 'ERR_LABEL_RANGE', count: 1, index, value: -2 };
          await expect(solved(options, good, wrong)).rejects.toMatchObject({
            ...fault,
            message: expect.stringContaining('values from 0 to 1 for target'),
          });
          if (activation === 'softmax') {
            await solved(options, wrong, labels);
            continue;
          }
          for (const target of [good, labels]) {
            await expect(solved(options, wrong, target)).rejects.toMatchObject({
              ...fault,
              message: expect.stringContaining("use activation 'softmax'"),
            });
          }
        }
});

test('rounding, NaN, a weight of 0 and ignored values are no fault', async () => {
  const [p, t] = [
    tensor([1.0078125, 0.5], [2], 'float32'),
    tensor([1, -0.0078125], [2], 'float32'),
  ];
  expect(await solved({}, p, t)).toBeLessThan(0.2);
  expect(await solved({}, tensor([Number.NaN, 1], [2], 'float32'), t)).toBeNaN();
  const [far, white] = [tensor([7, 1], [2], 'float32'), tensor([255, 1], [2], 'float32')];
  const weight = tensor([0, 1], [2], 'uint8');
  expect(await solved({}, far, white, weight)).toBeCloseTo(0, 6);
  expect(await solved({ ignoreIndex: 255 }, far, white)).toBeCloseTo(0, 6);
  const labels = tensor([9, 1], [2], 'uint8');
  expect(await solved({ ignoreIndex: 9 }, far, labels)).toBeCloseTo(0, 6);
});

test('a voxel of weight 0 is not read: its label and mask may be anything', async () => {
  const bad = { uint8: 255, int16: -3, uint16: 65535, int32: -1, int64: 2 ** 33 } as const;
  const hidden = (i: number) => i % 7 < 3;
  for (const C of [1, 3, 20])
    for (const [labels, value] of Object.entries(bad) as [keyof typeof bad, number][]) {
      const S = 131;
      const x = tensor(
        Array.from({ length: C * S }, (_, i) => Math.sin(i * i)),
        [1, C, S],
        'float32',
      );
      const good = Array.from({ length: S }, (_, i) => (i * 5) % Math.max(2, C));
      const wrong = good.map((label, i) => (hidden(i) ? value : label));
      const weight = tensor(
        good.map((_, i) => (hidden(i) ? 0 : 1)),
        [1, S],
        'float32',
      );
      const target = (of: number[]) => tensor(of, [1, S], labels);
      const options = { activation: 'sigmoid', crossEntropy: {} } as const;
      const value0 = await solved(options, x, target(good), weight);
      expect(await solved(options, x, target(wrong), weight)).toBe(value0);
      wrong[130] = labels === 'uint8' ? 254 : value; // one that counts
      await expect(solved(options, x, target(wrong), weight)).rejects.toMatchObject({
        count: 1,
        index: 130,
      });
      if (C === 1) continue;
      const bits = Array.from({ length: C * S }, (_, i) => (hidden(i % S) ? 2 : i % 2));
      const mask = (of: number[]) => tensor(of, [1, C, S], 'uint8');
      const counted = await solved(options, x, mask(bits.map((bit) => bit % 2)), weight);
      expect(await solved(options, x, mask(bits), weight)).toBe(counted);
      for (const decision of ['argmax', 'threshold', 'labels'] as const) {
        const metrics = new SegmentationMetrics({
          classes: C,
          decision,
          ...(decision === 'threshold' && { threshold: 0 }),
        });
        wrong[130] = 0;
        const predictions = decision === 'labels' ? target(wrong) : x;
        metrics.update(on(predictions), on(target(wrong)), { weight: on(weight) });
        wrong[130] = labels === 'uint8' ? 254 : value;
        const update = () =>
          metrics.update(on(predictions), on(target(wrong)), { weight: on(weight) });
        expect(update).toThrow('at index 130');
      }
    }
});

test('both: the target first', async () => {
  const far = tensor([7, 1], [2], 'float32');
  await expect(solved({}, far, tensor([1, 255], [2], 'float64'))).rejects.toMatchObject({
    index: 1,
    value: 255,
  });
});

test('where each class has weights of its own, that of its class decides', async () => {
  const S = 131;
  for (const layout of ['channels-first', 'channels-last'] as const) {
    const shape = layout === 'channels-first' ? [1, 2, S] : [1, S, 2];
    const at = (c: number, s: number) => (layout === 'channels-first' ? c * S + s : s * 2 + c);
    for (const weighted of [0, 1])
      for (const c of [0, 1]) {
        const [good, wrong] = [full(shape, 0.5), full(shape, 0.5)];
        wrong.data[at(c, S - 1)] = 1.5;
        const weight = full(shape, 0);
        for (let s = 0; s < S; s++) weight.data[at(weighted, s)] = 1;
        for (const [x, y] of [
          [wrong, good],
          [good, wrong],
        ] as const) {
          const call = solved({ activation: 'none', layout }, x, y, weight);
          if (c !== weighted) await call;
          else await expect(call).rejects.toMatchObject({ index: at(c, S - 1), value: 1.5 });
        }
      }
  }
});
