// A weight per voxel, and voxels that are ignored.
import { describe, expect, test } from '@jest/globals';
import {
  DiceLoss,
  type LossValueAndGrad,
  SegmentationMetrics,
  type Tensor,
} from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { check } from '../support/check.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { everyNth } from '../support/in-this-run.js';
import { full, numbers, type Typed, tensor } from '../support/tensors.js';

const layouts = ['channels-first', 'channels-last'] as const;
const weights = ['uint8', 'float32', 'float64', 'float16', 'bfloat16'] as const;
const S = 301;
const some = everyNth(7);

describe.each(weights)('%s weight', (weight) => {
  test('counts a voxel that many times', () => {
    for (const layout of layouts)
      for (const activation of ['none', 'sigmoid', 'softmax'] as const)
        for (const target of ['labels', 'dense'] as const)
          for (const C of [2, 3, 4, 19])
            for (const ignored of [0, 0.3]) {
              if (!some()) continue;
              const ignore = ignored && target === 'labels' ? { ignoreIndex: 99 } : {};
              check({
                weight,
                C,
                target,
                ignored,
                spatial: [S],
                options: { layout, activation, ...ignore },
              });
            }
  });

  test('0 hides NaN and infinities, and its gradient is exactly 0', () => {
    for (const layout of layouts)
      for (const activation of ['none', 'sigmoid', 'softmax'] as const)
        for (const bad of [NaN, Infinity, -Infinity])
          expectHidden(
            { C: 3, spatial: [S], weight, options: { layout, activation } },
            bad,
            (c) => {
              const hidden = numbers(c.weight as Tensor).map((w) => (w === 0 ? 1 : 0));
              return [...hidden].map(Boolean);
            },
          );
  });
});

describe('a voxel of weight 0 is not read: its label and mask may be anything', () => {
  const bad = { uint8: 255, int16: -3, uint16: 65535, int32: -1, int64: 2 ** 33 } as const;
  const loss = new DiceLoss({ activation: 'sigmoid', crossEntropy: {} });
  const last = new DiceLoss({ activation: 'sigmoid', crossEntropy: {}, layout: 'channels-last' });

  /** Three in a row of weight 0 and a bad value, then four that count; bad ones beyond 512 too. */
  const hidden = (i: number) => i % 7 < 3;
  const maskOf = (n: number, dtype: (typeof weights)[number]) =>
    tensor(
      Array.from({ length: n }, (_, i) => (hidden(i) ? (i % 2 === 0 ? 0 : -0) : 1)),
      [1, n],
      dtype,
    );

  test.each(weights)('%s weights', (dtype) => {
    for (const [labels, value] of Object.entries(bad) as [keyof typeof bad, number][])
      for (const voxels of [1, 31, 600, 1537])
        for (const C of [1, 3, 40]) {
          if (!some()) continue;
          const x = tensor(
            Array.from({ length: C * voxels }, (_, i) => Math.sin(i * i)),
            [1, C, voxels],
          );
          const good = Array.from({ length: voxels }, (_, i) => (i * 5) % Math.max(2, C));
          const wrong = good.map((label, i) => (hidden(i) ? value : label));
          const weight = maskOf(voxels, dtype);
          const [expected, got] = [good, wrong].map((of) =>
            loss.valueAndGrad(x, tensor(of, [1, voxels], labels), { weight }),
          ) as [LossValueAndGrad, LossValueAndGrad];
          expect(got.value.itemSync()).toBe(expected.value.itemSync());
          expectSameBits(
            'grad',
            got.grad.data as Typed['data'],
            expected.grad.data as Typed['data'],
          );
          // One that counts is a fault, and the only one.
          if (voxels < 600) continue;
          wrong[592] = labels === 'uint8' ? 254 : value;
          const call = () => loss.value(x, tensor(wrong, [1, voxels], labels), { weight });
          expect(call).toThrow(`1 other value, the first ${wrong[592]} at index 592`);
        }
  });

  test('masks with one value per class', () => {
    for (const [layout, of] of [
      ['channels-first', loss],
      ['channels-last', last],
    ] as const)
      for (const voxels of [31, 600]) {
        const C = 3;
        const place = (c: number, s: number) =>
          layout === 'channels-first' ? c * voxels + s : s * C + c;
        const shape = layout === 'channels-first' ? [1, C, voxels] : [1, voxels, C];
        const x = tensor(
          Array.from({ length: C * voxels }, (_, i) => Math.sin(i * i)),
          shape,
        );
        const good = Array.from({ length: C * voxels }, (_, i) => i % 2);
        const wrong = [...good];
        for (let s = 0; s < voxels; s++)
          for (let c = 0; c < C; c++) if (hidden(s)) wrong[place(c, s)] = 255;
        const weight = maskOf(voxels, 'float16');
        const [expected, got] = [good, wrong].map((bits) =>
          of.valueAndGrad(x, tensor(bits, shape, 'uint8'), { weight }),
        ) as [LossValueAndGrad, LossValueAndGrad];
        expect(got.value.itemSync()).toBe(expected.value.itemSync());
        expectSameBits('grad', got.grad.data as Typed['data'], expected.grad.data as Typed['data']);
        const index = place(2, 20);
        wrong[index] = 2;
        expect(() => of.value(x, tensor(wrong, shape, 'uint8'), { weight })).toThrow(
          `1 other value, the first 2 at index ${index}`,
        );
      }
  });

  test.each(['argmax', 'threshold', 'labels'] as const)('metrics: %s', (decision) => {
    const [C, voxels] = [3, 600];
    const options = { classes: C, decision, ...(decision === 'threshold' && { threshold: 0 }) };
    const label = (of: (i: number) => number, dtype: 'int32' | 'uint8' = 'int32') =>
      tensor(
        Array.from({ length: voxels }, (_, i) => of(i)),
        [1, voxels],
        dtype,
      );
    const x =
      decision === 'labels'
        ? label((i) => (hidden(i) ? -8 : i % 2), 'int32')
        : tensor(
            Array.from({ length: C * voxels }, (_, i) => Math.sin(i * i)),
            [1, C, voxels],
          );
    const clean = decision === 'labels' ? label((i) => i % 2) : x;
    const weight = maskOf(voxels, 'bfloat16');
    const counted = (...[p, t]: [Typed, Typed]) =>
      new SegmentationMetrics(options).update(p, t, { weight }).toJSON();
    const good = counted(
      clean,
      label((i) => (i * 5) % C),
    );
    expect(
      counted(
        x,
        label((i) => (hidden(i) ? 255 : (i * 5) % C), 'uint8'),
      ),
    ).toEqual(good);
    expect(() =>
      counted(
        x,
        label((i) => (hidden(i) || i === 599 ? 255 : 0), 'uint8'),
      ),
    ).toThrow('1 other value, the first 255 at index 599');
  });
});

test('of one class, with and without the class axis in the target', () => {
  for (const target of ['labels', 'dense'] as const)
    for (const weight of weights)
      for (const layout of layouts)
        check({ C: 1, target, weight, spatial: [S], options: { activation: 'sigmoid', layout } });
});

test('1 everywhere is no weight', () => {
  const c = makeCase({ spatial: [S], options: { activation: 'softmax' } });
  const plain = c.loss.valueAndGrad(c.predictions, c.target);
  const weighted = c.loss.valueAndGrad(c.predictions, c.target, {
    weight: full([2, S], 1, 'uint8'),
  });
  expect(weighted.value.itemSync()).toBeCloseTo(plain.value.itemSync(), 7);
  expectClose('grad', numbers(weighted.grad), numbers(plain.grad), 1e-9);
});

test('0 everywhere is an absent class', () => {
  const c = makeCase({ spatial: [S], options: { activation: 'softmax' } });
  const { value, grad } = c.loss.valueAndGrad(c.predictions, c.target, { weight: full([2, S], 0) });
  expect(value.itemSync()).toBeCloseTo(1, 15);
  expect([...numbers(grad)].every((x) => x === 0)).toBe(true);
});

describe('ignoreIndex', () => {
  test.each(['uint8', 'int32', 'int64'] as const)('%s labels: hides NaN', (targetDtype) => {
    for (const layout of layouts)
      for (const activation of ['none', 'sigmoid', 'softmax'] as const) {
        const options = { layout, activation, ignoreIndex: 255 };
        expectHidden({ C: 4, spatial: [S], targetDtype, ignored: 0.3, options }, NaN, (c) =>
          [...numbers(c.target)].map((label) => label === 255),
        );
      }
  });

  test('a mask of one class: hides NaN', () => {
    for (const target of ['labels', 'dense'] as const)
      for (const targetDtype of ['uint8', 'int32', 'float32'] as const) {
        const options = { activation: 'sigmoid', ignoreIndex: 255 } as const;
        expectHidden({ C: 1, spatial: [S], target, targetDtype, ignored: 0.3, options }, NaN, (c) =>
          [...numbers(c.target)].map((mark) => mark === 255),
        );
      }
  });

  test('is the same as a weight of 0', () => {
    const loss = new DiceLoss({ activation: 'softmax' });
    const ignoring = new DiceLoss({ activation: 'softmax', ignoreIndex: 7 });
    const z = tensor([0.1, 2, -1, 0.4, 0.3, -2], [1, 2, 3]);
    const weight = tensor([1, 0, 1], [1, 3]);
    const weighted = loss.valueAndGrad(z, tensor([1, 0, 0], [1, 3], 'uint8'), { weight });
    const ignored = ignoring.valueAndGrad(z, tensor([1, 7, 0], [1, 3], 'uint8'));
    expect(ignored.value.itemSync()).toBe(weighted.value.itemSync());
    expectClose('grad', numbers(ignored.grad), numbers(weighted.grad), 1e-9);
  });
});

/**
 * Poisons the predictions of the voxels that `hidden` names: value and gradient must stay as they were, and the gradient
 * there must be exactly 0.
 */
function expectHidden(
  spec: Spec,
  bad: number,
  hidden: (c: ReturnType<typeof makeCase>) => boolean[],
): void {
  const c = makeCase(spec);
  if (c.weight) c.weight.data.fill(0 as never, 10, 60); // float weights are never 0 by chance
  const { C, S } = c.problem;
  const isHidden = hidden(c);
  expect(isHidden).toContain(true);
  expect(isHidden).toContain(false);
  const voxelOf = (i: number) =>
    spec.options?.layout === 'channels-last'
      ? Math.floor(i / C)
      : Math.floor(i / (C * S)) * S + (i % S);
  const poisoned = {
    ...c.predictions,
    data: Float32Array.from(numbers(c.predictions), (x, i) => (isHidden[voxelOf(i)] ? bad : x)),
  };
  const weight = c.weight ? { weight: c.weight } : {};
  const clean = c.loss.valueAndGrad(c.predictions, c.target, weight);
  const dirty = c.loss.valueAndGrad(poisoned, c.target, weight);
  expect(dirty.value.itemSync()).toBe(clean.value.itemSync());
  const [a, b] = [numbers(dirty.grad), numbers(clean.grad)];
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i] || (isHidden[voxelOf(i)] && a[i] !== 0)) {
      throw new Error(`${JSON.stringify(spec)}, ${bad}: grad[${i}] is ${a[i]}, without it ${b[i]}`);
    }
  }
}
