// A loss at several scales against the loss of each scale with a target that is resampled here, index by index.
import { describe, expect, test } from '@jest/globals';
import { DeepSupervision, DiceCELoss, DiceLoss } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { named } from '../support/named.js';
import { full, numbers, type Typed, tensor } from '../support/tensors.js';

const weights = [0.5, 0.3, 0.2];
const last = { layout: 'channels-last' } as const;

/** shape without and with the class axis. */
const shapeOf = (N: number, C: number, spatial: readonly number[], channelsLast: boolean) =>
  channelsLast ? [N, ...spatial, C] : [N, C, ...spatial];

/** The number of voxels of the target that end at or before the middle of voxel i of the prediction. */
const middle = (i: number, from: number, to: number): number =>
  Array.from({ length: from }, (_, j) => j + 1).filter((end) => end * 2 * to <= (2 * i + 1) * from)
    .length;

/** The voxel in the middle, on two spatial axes; `units` stay together behind them, `outer` before. */
function nearest(
  from: Typed,
  outer: number,
  [H, W]: number[],
  [h, w]: number[],
  units: number,
  shape: number[],
): Typed {
  const all = numbers(from);
  const values: number[] = [];
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < (h as number); i++)
      for (let j = 0; j < (w as number); j++)
        for (let u = 0; u < units; u++) {
          const y = middle(i, H as number, h as number);
          const x = middle(j, W as number, w as number);
          values.push(all[((o * (H as number) + y) * (W as number) + x) * units + u] as number);
        }
  return tensor(values, shape, from.dtype);
}

const specs: Spec[] = [
  { options: { activation: 'softmax' } },
  { options: { activation: 'softmax', ...last }, targetDtype: 'int64', weight: 'float32' },
  { target: 'dense', targetDtype: 'float64', options: { activation: 'sigmoid' }, dtype: 'float64' },
  {
    target: 'dense',
    targetDtype: 'float16',
    options: { activation: 'sigmoid', ...last },
    weight: 'uint8',
  },
  { C: 1, options: { activation: 'sigmoid', ignoreIndex: 9 }, ignored: 0.3, dtype: 'bfloat16' },
  { loss: 'diceCE', options: { reduction: 'sum', batch: true }, dtype: 'float16' },
];

describe.each(named(specs))('%s', (_, spec) => {
  const sizes = [
    [14, 9],
    [7, 4],
    [5, 3],
  ];
  const cases = sizes.map((spatial, i) => makeCase({ ...spec, spatial, seed: 50 + i }));
  const [first] = cases as [(typeof cases)[0]];
  const { N, C } = first.problem;
  const channelsLast = spec.options?.layout === 'channels-last';
  const dense = spec.target === 'dense';
  const small = (from: Typed, isTarget: boolean, size: number[]) => {
    const withClasses = isTarget && dense;
    const outer = withClasses && !channelsLast ? N * C : N;
    const shape = withClasses ? shapeOf(N, C, size, channelsLast) : [N, ...size];
    return nearest(
      from,
      outer,
      sizes[0] as number[],
      size,
      withClasses && channelsLast ? C : 1,
      shape,
    );
  };
  const predictions = cases.map((c) => c.predictions);
  const supervision = new DeepSupervision(first.loss, weights);
  const given = first.weight ? { weight: first.weight } : {};
  const expected = sizes.map((size, i) =>
    first.loss.valueAndGrad(predictions[i] as Typed, small(first.target, true, size), {
      ...(first.weight && { weight: small(first.weight, false, size) }),
      gradScale: 2 * (weights[i] as number),
    }),
  );
  const sum = expected.reduce(
    (total, { value }, i) => total + (weights[i] as number) * value.itemSync(),
    0,
  );

  test('value, values of the scales and gradients', () => {
    const { value, scales } = supervision.valueAndGrad(predictions, first.target, {
      ...given,
      gradScale: 2,
    });
    expect(value.itemSync()).toBeCloseTo(sum, 14);
    expect(value.shape).toEqual([]);
    scales.forEach((scale, i) => {
      const own = expected[i] as (typeof expected)[0];
      expect(scale.value.data).toEqual(own.value.data);
      expect(scale.perClass.data).toEqual(own.perClass.data);
      expect(scale.parts?.data).toEqual(own.parts?.data);
      expect(scale.grad.data).toEqual(own.grad.data);
    });
    const alone = supervision.value(predictions, first.target, given);
    expect(alone.value.data).toEqual(value.data);
    expect(alone.scales.map((scale) => scale.value.data)).toEqual(
      scales.map((scale) => scale.value.data),
    );
  });

  test("into the caller's buffers, each time with what the tensors hold", () => {
    const value = full([], 7, 'float64');
    const scales = expected.map(({ grad, value, perClass, parts }) => ({
      grad: full(grad.shape, 7, grad.dtype),
      value: full(value.shape, 7, 'float64'),
      perClass: full(perClass.shape, 7, 'float64'),
      ...(parts && { parts: full(parts.shape, 7, 'float64') }),
    }));
    const other = makeCase({ ...spec, spatial: sizes[0] as number[], seed: 99 }).target;
    supervision.valueAndGrad(predictions, other, { out: { value, scales } });
    const outcome = supervision.valueAndGrad(predictions, first.target, {
      ...given,
      gradScale: 2,
      out: { value, scales },
    });
    expect(outcome.value.data).toBe(value.data);
    outcome.scales.forEach(({ grad }, i) => {
      expect(grad.data).toBe(scales[i]?.grad.data);
      expect(numbers(grad)).toEqual(numbers(expected[i]?.grad as Typed)); // Node 24 gives half precision an array of its own
    });
    supervision.valueAndGrad(predictions, first.target, {
      ...given,
      gradScale: 2,
      accumulate: true,
      out: { scales },
    });
    const again = numbers(scales[1]?.grad as Typed);
    const twice = numbers(expected[1]?.grad as Typed).map((g) => 2 * g);
    const largest = Math.max(...twice.map(Math.abs));
    expectClose('accumulated', again, twice, 0.01 * largest);
  });
});

test('volumes, and a target of the same size at every scale', () => {
  const c = makeCase({ C: 2, spatial: [3, 4, 5], options: { activation: 'softmax' } });
  const small = makeCase({ C: 2, spatial: [1, 2, 2], seed: 5, options: { activation: 'softmax' } });
  const supervision = new DeepSupervision(c.loss, [1, 1, 1]);
  const { scales } = supervision.value([c.predictions, small.predictions, c.predictions], c.target);
  const labels = numbers(c.target);
  const picked = [0, 1].flatMap((n) =>
    [1, 3].flatMap((y) => [1, 3].map((x) => labels[((n * 3 + 1) * 4 + y) * 5 + x] as number)),
  );
  const own = c.loss.value(small.predictions, tensor(picked, [2, 1, 2, 2], 'uint8'));
  expect(scales[1]?.value.data).toEqual(own.value.data);
  expect(scales[0]?.value.data).toEqual(c.loss.value(c.predictions, c.target).value.data);
  expect(scales[2]?.value.data).toEqual(scales[0]?.value.data);
});

test('a target at 1/8 keeps its place', () => {
  // A centred square of 12 x 12 in 32 x 32. At 4 x 4 the four middle voxels are 1, and .5625 of each is covered.
  const square = Array.from({ length: 32 * 32 }, (_, i) => {
    const [y, x] = [Math.floor(i / 32), i % 32];
    return y >= 10 && y < 22 && x >= 10 && x < 22 ? 1 : 0;
  });
  const area = Array.from({ length: 16 }, (_, i) => {
    const inside = [1, 2].includes(Math.floor(i / 4)) && [1, 2].includes(i % 4);
    return inside ? 0.5625 : 0;
  });
  const loss = new DiceLoss({ denominator: 'linear', smoothDenominator: 0 });
  const { scales } = new DeepSupervision(loss, [1, 1]).value(
    [tensor(square, [1, 1, 32, 32], 'float64'), tensor(area, [1, 1, 4, 4], 'float64')],
    tensor(square, [1, 32, 32], 'uint8'),
  );
  expect(scales[0]?.value.itemSync()).toBe(0);
  expect(scales[1]?.value.itemSync()).toBeCloseTo(0.28, 12); // 1 - 2 * 2.25 / (2.25 + 4)
});

test('a scale of weight 0 adds nothing, even if it is NaN', () => {
  const x = full([1, 1, 4], 0.5);
  const mask = full([1, 4], 1, 'uint8');
  const supervision = new DeepSupervision(new DiceLoss(), [1, 0]);
  const { value } = supervision.value([x, full([1, 1, 2], NaN)], mask);
  expect(value.itemSync()).toBe(new DiceLoss().value(x, mask).value.itemSync());
});

describe('errors', () => {
  const [fine, coarse] = [full([2, 3, 8, 8], 0), full([2, 3, 4, 4], 0)];
  const labels = full([2, 8, 8], 1, 'uint8');
  const supervision = new DeepSupervision(new DiceCELoss(), [1, 1]);
  const grads = [full([2, 3, 8, 8], 7), full([2, 3, 4, 4], 7)] as const;
  const out = { scales: grads.map((grad) => ({ grad })) };
  const refuse = (x: unknown, y: unknown, options: object, message: string | RegExp) => {
    expect(() => supervision.valueAndGrad(x as never, y as never, { out, ...options })).toThrow(
      message,
    );
    expect(numbers(grads[0]).every((g) => g === 7)).toBe(true);
    expect(numbers(grads[1]).every((g) => g === 7)).toBe(true);
  };

  test('of the constructor', () => {
    const make =
      (...args: unknown[]) =>
      () =>
        new (DeepSupervision as never as new (...a: unknown[]) => object)(...args);
    expect(make(DiceLoss, [1])).toThrow(
      'Expected a loss for loss but received the function DiceLoss: make one, new DiceLoss()',
    );
    expect(make(new DiceLoss(), 1)).toThrow(
      'Expected an array of numbers for weights but received 1',
    );
    expect(make(new DiceLoss(), [])).toThrow('Expected one number per scale for weights');
    expect(make(new DiceLoss(), [1, -1])).toThrow(
      'Expected a finite number >= 0 for weights[1] but received -1',
    );
    expect(make(new DiceLoss(), [1, undefined])).toThrow(TypeError);
  });

  test('of a call: nothing is written', () => {
    refuse(fine, labels, {}, 'Expected an array of tensors for predictions');
    refuse(
      [fine],
      labels,
      {},
      'Expected 2 tensors, one for each of the weights, for predictions but received 1',
    );
    refuse(
      [fine, full([2, 3], 0)],
      labels,
      {},
      'Expected rank 3 or more for the shape of predictions[1]',
    );
    refuse(
      [fine, coarse],
      labels,
      { gradScale: '1' },
      "Expected a number for gradScale but received '1'",
    );
    refuse([fine, coarse], labels, { sampleOffset: 1 }, "Unknown option 'sampleOffset': ");
    refuse(
      [fine, coarse],
      labels,
      { upstream: fine },
      "upstream cannot be combined with reduction 'mean': scale its gradient by gradScale",
    );
    refuse(
      [fine, coarse],
      labels,
      { out: { grad: fine } },
      "Unknown key 'grad' of out: the keys are value, scales",
    );
    refuse(
      [fine, coarse],
      labels,
      { out: { scales: [out.scales[0], { grad: fine }] } },
      'Expected shape [2, 3, 4, 4] for out.scales[1].grad',
    );
    refuse(
      [fine, coarse],
      labels,
      { out: { scales: [{}, {}, {}] } },
      'Expected at most 2 for out.scales but received 3',
    );
    refuse(
      [fine, coarse],
      labels,
      { out: { ...out, value: full([1], 0, 'float64') } },
      'Expected shape [] for out.value',
    );
    refuse(
      [fine, coarse],
      labels,
      { accumulate: true, out: { scales: [out.scales[0], { grad: coarse }] } },
      /own.*out\.scales\[1\]\.grad.*predictions\[1\]/,
    );
    const wrong = full([2, 8, 8], 1, 'uint8');
    wrong.data[74] = 3 as never; // no voxel of the coarse one
    refuse([fine, coarse], wrong, {}, 'but received 1 other value, the first 3 at index 74');
    const order = new DeepSupervision(new DiceCELoss(), [1, 1]);
    const reversed = { scales: [...out.scales].reverse() };
    expect(() => order.valueAndGrad([coarse, fine], wrong, { out: reversed })).toThrow(
      'at index 74',
    );
    expect(numbers(grads[1]).every((g) => g === 7)).toBe(true);
  });
});

test('the kept buffers follow another shape and dtype', () => {
  const sigmoid = new DiceLoss({ activation: 'sigmoid' });
  const supervision = new DeepSupervision(sigmoid, [1], { fullSize: false });
  const loss = new DiceLoss({ activation: 'sigmoid' });
  for (const [size, dtype] of [
    [4, 'uint8'],
    [4, 'int32'],
    [2, 'int32'],
    [4, 'uint8'],
  ] as const) {
    const x = full([1, 2, size], 0.5);
    const labels = tensor(
      Array.from({ length: 8 }, (_, i) => i % 2),
      [1, 8],
      dtype,
    );
    const picked = tensor(
      Array.from({ length: size }, (_, i) => middle(i, 8, size) % 2),
      [1, size],
      dtype,
    );
    expect(supervision.value([x], labels).value.data).toEqual(loss.value(x, picked).value.data);
  }
});
