// Where a gradient goes and what happens to it on the way: caller's buffers, accumulation, in place, scale, upstream.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { gradOptions, makeCase, type Spec } from '../support/cases.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { type FloatDType, full, numbers, sizeOf, type Typed, tensor } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const floats: FloatDType[] = ['float32', 'float64', 'float16', 'bfloat16'];
const layouts = ['channels-first', 'channels-last'] as const;

/** Cases that reach the different loops: few and many classes, one class, both layouts, each activation. */
const variety = (dtype: FloatDType): Spec[] =>
  layouts.flatMap((layout) => [
    { dtype, C: 3, spatial: [517], options: { layout, activation: 'softmax' } },
    {
      dtype,
      C: 21,
      spatial: [103],
      options: { layout, activation: 'softmax', ignoreIndex: 99 },
      ignored: 0.2,
    },
    { dtype, C: 1, spatial: [517], options: { layout, activation: 'sigmoid' } },
    { dtype, C: 2, spatial: [517], options: { layout }, target: 'dense', weight: 'float32' },
    { dtype, C: 3, spatial: [], N: 5, options: { layout, activation: 'softmax', batch: true } },
  ]);

describe.each(floats)('%s', (dtype) => {
  test('out: written where the caller says, with the same bits as without', () => {
    for (const spec of variety(dtype)) {
      const c = makeCase(spec);
      const { shape } = c.predictions;
      const groups = spec.options?.batch ? [c.problem.C] : [c.problem.N, c.problem.C];
      const out = {
        value: full([], 9, 'float64'),
        perClass: full(groups, 9, 'float64'),
        grad: full(shape, 9, dtype),
      };
      const fresh = c.loss.valueAndGrad(c.predictions, c.target, gradOptions(c));
      const given = c.loss.valueAndGrad(c.predictions, c.target, { ...gradOptions(c), out });
      expect(given.value.data).toBe(out.value.data);
      expect(given.perClass.data).toBe(out.perClass.data);
      expect(given.grad.data).toBe(out.grad.data);
      for (const name of ['value', 'perClass', 'grad'] as const) {
        expectSameBits(name, out[name].data, fresh[name].data as Typed['data']);
      }
    }
  });

  test('written over the logits: the same bits', () => {
    for (const spec of variety(dtype)) {
      const c = makeCase(spec);
      const { grad } = c.loss.valueAndGrad(c.predictions, c.target, gradOptions(c));
      const data = c.predictions.data.slice() as Typed['data'];
      const x = { ...c.predictions, data };
      c.loss.valueAndGrad(x, c.target, { ...gradOptions(c), out: { grad: x } });
      expectSameBits(JSON.stringify(spec), data, grad.data as Typed['data']);
      // And step by step.
      data.set(c.predictions.data as never);
      const statistics = c.loss.statistics(x, c.target, c.weight ? { weight: c.weight } : {});
      c.loss.gradient(x, c.target, statistics, { ...gradOptions(c), out: { grad: x } });
      expectSameBits(JSON.stringify(spec), data, grad.data as Typed['data']);
    }
  });

  test('accumulate adds to what is there', () => {
    for (const spec of variety(dtype)) {
      const c = makeCase({ ...spec, gradScale: 300 });
      const before = Float64Array.from(
        { length: sizeOf(c.predictions.shape) },
        (_, i) => (i % 5) / 4 - 0.5,
      );
      const grad = tensor(before, c.predictions.shape, dtype);
      c.loss.valueAndGrad(c.predictions, c.target, {
        ...gradOptions(c),
        accumulate: true,
        out: { grad },
      });
      const added = reference(c.problem).gradient;
      const expected = added.map((x, i) => x + (before[i] as number));
      const tolerance = gradTolerance(dtype, added, dtype);
      const rounding = dtype === 'float32' ? 2 ** -24 : 0; // of a sum whose terms are at most about 1
      const allowed = (x: number) => tolerance(x) + rounding * Math.max(1, Math.abs(x));
      expectClose(JSON.stringify(spec), numbers(grad), expected, allowed);
    }
  });

  test('ignored voxels: 0 without accumulate, untouched with it', () => {
    const spec: Spec = {
      dtype,
      spatial: [99],
      ignored: 0.5,
      options: { activation: 'softmax', ignoreIndex: 9, layout: 'channels-last' },
    };
    const c = makeCase(spec);
    const first = [...numbers(c.target)].indexOf(9);
    for (const accumulate of [false, true]) {
      const grad = full(c.predictions.shape, 0.375, dtype);
      c.loss.valueAndGrad(c.predictions, c.target, { accumulate, out: { grad } });
      const { C } = c.problem;
      for (let k = 0; k < C; k++) expect(numbers(grad)[first * C + k]).toBe(accumulate ? 0.375 : 0);
    }
  });
});

test.each(['float32', 'float16', 'bfloat16'] as const)('%s: accumulate into float32', (dtype) => {
  for (const spec of variety(dtype)) {
    const c = makeCase({ ...spec, gradDtype: 'float32' });
    const grad = full(c.predictions.shape, 0, 'float32');
    const options = { ...gradOptions(c), accumulate: true, out: { grad } };
    for (let i = 0; i < 3; i++) c.loss.valueAndGrad(c.predictions, c.target, options);
    const expected = reference(c.problem).gradient.map((x) => 3 * x);
    expectClose(
      JSON.stringify(spec),
      numbers(grad),
      expected,
      gradTolerance(dtype, expected, 'float32'),
    );
  }
});

describe('gradScale', () => {
  const c = makeCase({ dtype: 'float64', options: { activation: 'softmax' } });
  const plain = numbers(c.loss.valueAndGrad(c.predictions, c.target).grad);

  test('multiplies the gradient and not the value', () => {
    const value = c.loss.value(c.predictions, c.target).value.itemSync();
    for (const scale of [0, 1, -2.5, 2 ** 40]) {
      const scaled = c.loss.valueAndGrad(c.predictions, c.target, { gradScale: scale });
      expect(scaled.value.itemSync()).toBe(value);
      const expected = plain.map((x) => scale * x);
      expectClose('grad', numbers(scaled.grad), expected, gradTolerance('float64', expected));
    }
  });

  test('may be a tensor of one float32 or float64', () => {
    const expected = plain.map((x) => 8 * x);
    for (const dtype of ['float32', 'float64'] as const)
      for (const shape of [[], [1]]) {
        const { grad } = c.loss.valueAndGrad(c.predictions, c.target, {
          gradScale: tensor([8], shape, dtype),
        });
        expectClose('grad', numbers(grad), expected, gradTolerance('float64', expected));
      }
  });
});

describe("reduction 'none'", () => {
  test('upstream weighs every loss; float32 and float64', () => {
    for (const batch of [false, true])
      for (const upstreamDtype of ['float32', 'float64'] as const) {
        const c = makeCase({
          dtype: 'float64',
          options: { activation: 'softmax', reduction: 'none', batch },
        });
        const upstream = tensor(
          numbers(c.upstream as Typed),
          (c.upstream as Typed).shape,
          upstreamDtype,
        );
        const { gradient } = reference({ ...c.problem, upstream: numbers(upstream) });
        const { grad } = c.loss.valueAndGrad(c.predictions, c.target, { upstream });
        expectClose('grad', numbers(grad), gradient, gradTolerance('float64', gradient));
      }
  });

  test('an upstream of 1/(N C) is the mean', () => {
    const c = makeCase({ dtype: 'float64', options: { activation: 'softmax' } });
    const none = new DiceLoss({ activation: 'softmax', reduction: 'none' });
    const upstream = full([2, 3], 1 / 6, 'float64');
    const mean = numbers(c.loss.valueAndGrad(c.predictions, c.target).grad);
    const { grad } = none.valueAndGrad(c.predictions, c.target, { upstream });
    expectClose('grad', numbers(grad), mean, 1e-15);
  });
});

test('writing over the logits with Tensors on shared memory', () => {
  const x = Tensor.empty([1, 2, 64]);
  const values = Float32Array.from({ length: 128 }, (_, i) => Math.cos(i));
  (x.data as Float32Array).set(values);
  const y = Tensor.empty([1, 64], 'uint8');
  const loss = new DiceLoss({ activation: 'softmax' });
  const { grad } = loss.valueAndGrad({ data: values, shape: [1, 2, 64] }, y);
  loss.valueAndGrad(x, y, { out: { grad: x } });
  expectSameBits('grad', x.data as Typed['data'], grad.data as Typed['data']);
});
