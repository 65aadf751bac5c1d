// DeepSupervision off the event loop, and with a value for every class.
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceCELoss,
  DiceLoss,
  type Loss,
  Tensor,
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

// Scales that cannot belong together are refused: each of these gave another loss than the caller meant.
describe('scales that cannot belong together', () => {
  const loss = new DiceCELoss();
  const sized = (...shapes: number[][]) => shapes.map((shape) => full(shape, 0));
  const labels = (...shape: number[]) => full(shape, 1, 'uint8');

  describe('refused', () => {
    const cases: [string, number[][], number[], string, { weight?: number[]; last?: boolean }?][] =
      [
        [
          'another number of classes',
          [[2, 3, 8, 8], [2, 4, 4, 4]], // biome-ignore format: a line
          [2, 8, 8],
          'Expected shape [2, 3, any, any], as predictions[0] have [2, 3, 8, 8], for predictions[1] but received [2, 4, 4, 4]',
        ],
        [
          'another number of samples',
          [[2, 3, 8, 8], [1, 3, 4, 4]], // biome-ignore format: a line
          [2, 8, 8],
          'Expected shape [2, 3, any, any], as predictions[0] have [2, 3, 8, 8], for predictions[1] but received [1, 3, 4, 4]',
        ],
        [
          'another rank',
          [[2, 3, 8, 8], [2, 3, 4]], // biome-ignore format: a line
          [2, 8, 8],
          'for predictions[1] but received [2, 3, 4]',
        ],
        [
          'height and width exchanged',
          [[2, 3, 8, 12], [2, 3, 6, 4]], // biome-ignore format: a line
          [2, 8, 12],
          "Expected the target's size, [8, 12], scaled by one factor on every axis, for the size of predictions[1] but received [6, 4]: set sameRatio: false if the network scales its axes differently",
        ],
        [
          'channels-last scales under channels-first',
          [[2, 8, 8, 3], [2, 4, 4, 3]], // biome-ignore format: a line
          [2, 8, 8],
          "for predictions[1] but received [2, 4, 4, 3]: set layout: 'channels-last' if axis 3 of the predictions holds the classes",
        ],
        [
          'one channels-last scale under channels-first',
          [[2, 8, 8, 3]],
          [2, 8, 8],
          "for the size of predictions[0] but received [8, 3]: set layout: 'channels-last'",
        ],
        [
          'channels-first scales under channels-last',
          [[2, 3, 8, 8], [2, 3, 4, 4]], // biome-ignore format: a line
          [2, 8, 8],
          "set layout: 'channels-first' if axis 1 of the predictions holds the classes",
          { last: true },
        ],
        [
          'a smaller target',
          [[2, 3, 16, 16], [2, 3, 8, 8]], // biome-ignore format: a line
          [2, 8, 8],
          "Expected at most [8, 8], the target's size, for the size of predictions[0] but received [16, 16]",
        ],
        [
          'a target of 1 x 1',
          [[2, 3, 8, 8], [2, 3, 4, 4]], // biome-ignore format: a line
          [2, 1, 1],
          "Expected at most [1, 1], the target's size, for the size of predictions[0] but received [8, 8]",
        ],
        [
          'a larger target',
          [[2, 3, 8, 8], [2, 3, 4, 4]], // biome-ignore format: a line
          [2, 16, 16],
          "Expected the target's size, [16, 16], for the size of one of predictions but received [8, 8], [4, 4]: set fullSize: false if the network's largest output is smaller than the target",
        ],
        [
          'a target with a class axis of 1',
          [[2, 3, 8, 8], [2, 3, 4, 4]], // biome-ignore format: a line
          [2, 1, 8, 8],
          'Expected shape [2, 3, any, any] (dense) or [2, any, any] (class indices) for target, with predictions[0] of shape [2, 3, 8, 8], but received [2, 1, 8, 8]: drop its class axis, { data: target.data, shape: [2, 8, 8] }',
        ],
        ['a target of too few axes', [[2, 3, 8, 8]], [2, 8], 'but received [2, 8]'],
        ['a target of other samples', [[2, 3, 8, 8]], [4, 8, 8], 'but received [4, 8, 8]'],
        [
          'a weight of the wrong size',
          [[2, 3, 8, 8], [2, 3, 4, 4]], // biome-ignore format: a line
          [2, 8, 8],
          'Expected shape [2, 8, 8] or [2, 3, 8, 8] for weight, with a target of shape [2, 8, 8], but received [2, 4, 4]',
          { weight: [2, 4, 4] },
        ],
        [
          'a weight with a class axis',
          [[2, 3, 8, 8]],
          [2, 8, 8],
          'but received [2, 1, 8, 8]',
          { weight: [2, 1, 8, 8] },
        ],
      ];
    test.each(cases)('%s', (_, shapes, target, message, { weight, last } = {}) => {
      const own = last ? new DiceCELoss({ layout: 'channels-last' }) : loss;
      const supervision = new DeepSupervision(own, Array(shapes.length).fill(1));
      const options = weight ? { weight: full(weight, 1) } : {};
      for (const call of ['value', 'valueAndGrad', 'valueAsync', 'valueAndGradAsync'] as const) {
        const attempt = () => supervision[call](sized(...shapes), labels(...target), options);
        expect(attempt).toThrow(RangeError);
        expect(attempt).toThrow(message);
      }
    });
  });

  describe('allowed', () => {
    const cases: [string, number[][], number[], object?][] = [
      ['halves rounded up', [[1, 2, 9, 13], [1, 2, 5, 7], [1, 2, 3, 4]], [9, 13]], // biome-ignore format: a line
      ['halves rounded down', [[1, 2, 9, 13], [1, 2, 4, 6], [1, 2, 2, 3]], [9, 13]], // biome-ignore format: a line
      ['one voxel on an axis', [[1, 2, 8, 1], [1, 2, 4, 1]], [8, 1]], // biome-ignore format: a line
      ['smaller scales alone, if asked', [[1, 2, 4, 4], [1, 2, 2, 2]], [8, 8], { fullSize: false }], // biome-ignore format: a line
      ['anisotropic scales, if asked', [[1, 2, 8, 8], [1, 2, 8, 4]], [8, 8], { sameRatio: false }], // biome-ignore format: a line
      ['one prediction of 1 x 1', [[1, 2, 1, 1]], [1, 1]],
    ];
    test.each(cases)('%s', (...[, shapes, size, options]) => {
      const supervision = new DeepSupervision(loss, Array(shapes.length).fill(1), options);
      const { scales } = supervision.value(sized(...shapes), labels(1, ...size));
      expect(scales.every(({ value }) => Number.isFinite(value.itemSync()))).toBe(true);
    });

    test('with one class, target and weight with the class axis', () => {
      const supervision = new DeepSupervision(new DiceLoss({ activation: 'sigmoid' }), [1, 1]);
      const x = sized([2, 1, 8, 8], [2, 1, 4, 4]);
      const without = supervision.value(x, labels(2, 8, 8), { weight: full([2, 8, 8], 2) });
      const withAxis = supervision.value(x, labels(2, 1, 8, 8), { weight: full([2, 1, 8, 8], 2) });
      expect(withAxis.value.data).toEqual(without.value.data);
    });
  });

  test('options', () => {
    const make = (options: object) => () => new DeepSupervision(loss, [1], options);
    expect(make({ fullsize: false })).toThrow("Unknown option 'fullsize': did you mean fullSize?");
    expect(make({ fullSize: 0 })).toThrow('Expected true or false for fullSize but received 0');
    expect(make({ sameRatio: 'no' })).toThrow(
      "Expected true or false for sameRatio but received 'no'",
    );
  });

  test('a hole among the predictions', () => {
    const supervision = new DeepSupervision(loss, [1, 1]);
    const predictions = sized([2, 3, 8, 8]);
    predictions.length = 2;
    expect(() => supervision.value(predictions, labels(2, 8, 8))).toThrow(
      'Expected a Tensor or { data, shape } for predictions[1] but received undefined',
    );
  });

  test('a label out of range names the scale whose target has the index', () => {
    const supervision = new DeepSupervision(loss, [1, 1], { fullSize: false });
    const target = labels(2, 8, 8);
    target.data[64 + 3 * 8 + 3] = 9 as never; // voxel (1, 1) of 4 x 4, (3, 3) of 8 x 8
    const message = (name: string, index: number) =>
      `Expected class indices from 0 to 2 for ${name} but received 1 other value, the first 9 at index ${index}`;
    expect(() => supervision.value(sized([2, 3, 8, 8], [2, 3, 4, 4]), target)).toThrow(
      message('target', 91),
    );
    expect(() => supervision.value(sized([2, 3, 4, 4], [2, 3, 2, 2]), target)).toThrow(
      message('target at the size of predictions[0]', 21),
    );
  });

  test('a result of a scale has the name that the caller gave it', () => {
    const supervision = new DeepSupervision(loss, [1, 1]);
    const x = sized([2, 3, 8, 8], [2, 3, 4, 4]);
    const attempt = (out: object) => () => supervision.valueAndGrad(x, labels(2, 8, 8), { out });
    const scales = (second: object) => ({ scales: [undefined, second] });
    expect(attempt(scales({ grad: full([2, 3, 8, 8], 0) }))).toThrow(
      'Expected shape [2, 3, 4, 4] for out.scales[1].grad but received [2, 3, 8, 8]',
    );
    expect(attempt(scales({ value: full([1], 0, 'float64') }))).toThrow('for out.scales[1].value');
    expect(attempt(scales({ gard: full([1], 0) }))).toThrow("Unknown key 'gard' of out.scales[1]");
    expect(() =>
      supervision.valueAndGrad([x[0], { ...x[1], dtype: 'int32' }] as never, labels(2, 8, 8)),
    ).toThrow('predictions[1]');
  });

  test('an overlap through a second SharedArrayBuffer object of the same memory', () => {
    const supervision = new DeepSupervision(loss, [1, 1]);
    const predictions = [Tensor.empty([1, 2, 8]), Tensor.empty([1, 2, 4])] as [Tensor, Tensor];
    const { buffer } = predictions[1].data;
    const second = structuredClone(buffer) as unknown as ArrayBuffer;
    expect(second).not.toBe(buffer);
    const grad = Tensor.from(new Float32Array(second, 0, 8), [1, 2, 4]);
    const out = { scales: [{}, { grad }] };
    const target = labels(1, 8);
    // In place is allowed, as through the first object.
    expect(() => supervision.valueAndGrad(predictions, target, { out })).not.toThrow();
    expect(() =>
      supervision.valueAndGrad(predictions, target, {
        accumulate: true,
        out: { scales: [{ grad: Tensor.empty([1, 2, 8]) }, { grad }] },
      }),
    ).toThrow(
      'Expected memory of its own for out.scales[1].grad but received an array that overlaps predictions[1]',
    );
    const wide = Tensor.empty([1, 2, 8]);
    const alias = structuredClone(wide.data.buffer) as unknown as ArrayBuffer;
    const value = Tensor.from(new Float64Array(alias, 0, 1), []);
    expect(() => supervision.value([wide, predictions[1]], target, { out: { value } })).toThrow(
      'Expected memory of its own for out.value but received an array that overlaps predictions[0]',
    );
  });
});
