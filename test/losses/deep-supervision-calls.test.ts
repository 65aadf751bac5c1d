// DeepSupervision off the event loop, and with a value for every class.
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceCELoss,
  DiceLoss,
  type Loss,
  WarpDiceError,
} from '../../lib/index.js';
import { makeCase } from '../support/cases.js';
import { full, numbers, type Typed, tensor } from '../support/tensors.js';

const sizes = [[16, 10], [8, 5], [4, 2]]; // biome-ignore format: a line
const weights = [0.5, 0, 0.25];
const softmax = { activation: 'softmax' } as const;
const cases = sizes.map((spatial, i) => makeCase({ spatial, seed: 70 + i, options: softmax }));
const predictions = cases.map((c) => c.predictions);
const { target } = cases[0] as (typeof cases)[0];
const other = makeCase({ spatial: sizes[0] as number[], seed: 80 }).target;

describe('off the event loop', () => {
  const supervision = new DeepSupervision(new DiceCELoss(), weights);

  test('what the plain calls give, to the bit', async () => {
    const options = { gradScale: 3 };
    const plain = supervision.valueAndGrad(predictions, target, options);
    expect(await supervision.valueAndGradAsync(predictions, target, options)).toEqual(plain);
    const { value } = await supervision.valueAsync(predictions, target);
    expect(value).toEqual(plain.value);
  });

  test('many under way together, each with the target of its call', async () => {
    const changing: Typed = { ...target, data: target.data.slice() as Typed['data'] };
    const expected = [target, other].map((y) => supervision.valueAndGrad(predictions, y));
    const pending = [];
    for (let i = 0; i < 8; i++) {
      changing.data.set((i % 2 ? other : target).data as never);
      pending.push(supervision.valueAndGradAsync(predictions, changing));
    }
    changing.data.fill(0 as never);
    supervision.value(predictions, changing);
    const results = await Promise.all(pending);
    for (const [i, result] of results.entries()) expect(result).toEqual(expected[i % 2]);
  });

  test('the allReduce hook may be asynchronous', async () => {
    const hooked = new DiceCELoss({ allReduce: async (local) => local.add(local) });
    const doubled = new DeepSupervision(hooked, weights);
    const { value } = await doubled.valueAsync(predictions, target);
    const each = await Promise.all(
      supervision
        .value(predictions, target)
        .scales.map((_, i) =>
          new DeepSupervision(hooked, [1], { fullSize: false }).valueAsync(
            [predictions[i] as Typed],
            target,
          ),
        ),
    );
    const sum = each.reduce((s, one, i) => s + (weights[i] as number) * one.value.itemSync(), 0);
    expect(value.itemSync()).toBeCloseTo(sum, 14);
    expect(() => doubled.value(predictions, target)).toThrow(TypeError);
  });

  test('wrong arguments throw at the call; labels out of range reject, and the next call works', async () => {
    expect(() => supervision.valueAsync([full([1], 0)], target)).toThrow(RangeError);
    expect(() =>
      supervision.valueAndGradAsync(predictions, target, { weight: full([1], 0) }),
    ).toThrow(RangeError);
    const wrong = { ...target, data: target.data.slice() as Typed['data'] };
    wrong.data[21] = 7 as never; // of the largest scale alone
    const rejected = supervision.valueAndGradAsync(predictions, wrong);
    await expect(rejected).rejects.toThrow(WarpDiceError);
    await expect(rejected).rejects.toThrow('the first 7 at index 21');
    const { value } = await supervision.valueAsync(predictions, target);
    expect(value).toEqual(supervision.value(predictions, target).value);
  });
});

describe("reduction 'none'", () => {
  const make = (options: object): [Loss, DeepSupervision] => {
    const loss = new DiceLoss({ ...softmax, reduction: 'none', ...options });
    return [loss, new DeepSupervision(loss, weights)];
  };
  const small = (size: readonly number[]) => {
    const [H, W] = sizes[0] as [number, number];
    const [h, w] = size as [number, number];
    const labels = Array.from({ length: 2 * h * w }, (_, i) => {
      const [n, y, x] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
      const row = n * H + Math.floor(((y + 0.5) * H) / h); // exact: the sizes are small
      return target.data[row * W + Math.floor(((x + 0.5) * W) / w)] as number;
    });
    return tensor(labels, [2, h, w], 'uint8');
  };

  test.each([{}, { batch: true }])('a value for each class: %j', async (options) => {
    const [loss, supervision] = make(options);
    const shape = 'batch' in options ? [3] : [2, 3];
    const upstream = tensor([1, -2, 0.5, 3, 0, 1].slice(0, shape.length * 3), shape, 'float64');
    const { value, scales } = supervision.valueAndGrad(predictions, target, {
      upstream,
      gradScale: 2,
    });
    expect(value.shape).toEqual(shape);
    const each = sizes.map((size, i) =>
      loss.valueAndGrad(predictions[i] as Typed, small(size), {
        upstream,
        gradScale: 2 * (weights[i] as number),
      }),
    );
    numbers(value).forEach((sum, j) => {
      const terms = each.map((one, i) => (weights[i] as number) * (one.value.data[j] as number));
      expect(sum).toBeCloseTo(
        terms.reduce((a, b) => a + b),
        14,
      );
    });
    expect(scales).toEqual(each);
    expect(
      await supervision.valueAndGradAsync(predictions, target, { upstream, gradScale: 2 }),
    ).toEqual({
      value,
      scales,
    });
  });

  test('into a buffer of that shape; without upstream there is no gradient', () => {
    const [, supervision] = make({});
    const value = full([2, 3], 9, 'float64');
    const expected = supervision.value(predictions, target).value.data;
    expect(supervision.value(predictions, target, { out: { value } }).value.data).toBe(value.data);
    expect(value.data).toEqual(expected);
    const wrong = { out: { value: full([], 9, 'float64') } };
    expect(() => supervision.value(predictions, target, wrong)).toThrow(
      'Expected shape [2, 3] for out.value',
    );
    expect(() => supervision.valueAndGrad(predictions, target)).toThrow(
      "reduction 'none' needs upstream",
    );
  });

  test('scales of different classes cannot be added', () => {
    const [, supervision] = make({});
    const four = full([2, 4, 8, 5], 0);
    expect(() => supervision.value([predictions[0] as Typed, four, four], target)).toThrow(
      'Expected shape [2, 3, any, any], as predictions[0] have [2, 3, 16, 10], for predictions[1] but received [2, 4, 8, 5]',
    );
  });
});
