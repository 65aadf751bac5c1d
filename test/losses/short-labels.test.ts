// Label maps of 16 bits, which are common on disk: the same results as int32, in place, without a dtype where it is a target.
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceLoss,
  SegmentationMetrics,
  Tensor,
  TverskyLoss,
} from '../../lib/index.js';
import { expectSameBits } from '../support/compare.js';
import { type Typed, tensor } from '../support/tensors.js';

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
