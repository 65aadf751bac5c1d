// A plan: checked once, executed many times, on what the tensors then hold.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor, WarpDiceError } from '../../lib/index.js';
import { callOptions, gradOptions, makeCase, type Spec } from '../support/cases.js';
import { expectSameBits } from '../support/compare.js';
import { named } from '../support/named.js';
import { full, type Typed, tensor } from '../support/tensors.js';

const specs: Spec[] = [
  { options: { activation: 'softmax' }, spatial: [301] },
  { options: { activation: 'softmax', reduction: 'none', batch: true }, weight: 'float32', C: 9 },
  {
    C: 1,
    options: { activation: 'sigmoid', layout: 'channels-last' },
    dtype: 'bfloat16',
    gradDtype: 'float32',
  },
];

describe.each(named(specs))('%s', (_, spec) => {
  const a = makeCase(spec);
  const b = makeCase({ ...spec, seed: 99 });
  const options = gradOptions(a);
  const expectSame = (plan: { value: Tensor; perClass: Tensor; grad: Tensor }, c: typeof a) => {
    // The options belong to the plan: the weight and the upstream gradient of `a` go with both tensors.
    const expected = a.loss.valueAndGrad(c.predictions, c.target, options);
    for (const name of ['value', 'perClass', 'grad'] as const) {
      expectSameBits(name, plan[name].data as Typed['data'], expected[name].data as Typed['data']);
    }
  };

  test('does what valueAndGrad does', () => {
    const plan = a.loss.plan(a.predictions, a.target, options);
    expect(plan.execute()).toBe(plan);
    expectSame(plan, a);
  });

  test('sees what the tensors hold now', () => {
    const x = { ...a.predictions, data: a.predictions.data.slice() as Typed['data'] };
    const y = { ...a.target, data: a.target.data.slice() as Typed['data'] };
    const plan = a.loss.plan(x, y, options).execute();
    x.data.set(b.predictions.data as never);
    y.data.set(b.target.data as never);
    plan.execute();
    expectSame(plan, b);
  });

  test('keeps its results in the same tensors', () => {
    const plan = a.loss.plan(a.predictions, a.target, options).execute();
    const { value, perClass, grad } = plan;
    plan.bind(b.predictions, b.target).execute();
    expect([plan.value, plan.perClass, plan.grad]).toEqual([value, perClass, grad]);
    expect(plan.grad.data).toBe(grad.data);
    expectSame(plan, b);
  });
});

test('writes where out says', () => {
  const c = makeCase({ options: { activation: 'softmax' } });
  const grad = full(c.predictions.shape, 7);
  const plan = c.loss.plan(c.predictions, c.target, { out: { grad } }).execute();
  expect(plan.grad.data).toBe(grad.data);
  const plain = c.loss.valueAndGrad(c.predictions, c.target, callOptions(c));
  expectSameBits('grad', grad.data, plain.grad.data as Typed['data']);
});

test('in place, again and again', () => {
  const c = makeCase({ options: { activation: 'softmax' } });
  const x = { ...c.predictions, data: c.predictions.data.slice() as Typed['data'] };
  const plan = c.loss.plan(x, c.target, { out: { grad: x } });
  for (let i = 0; i < 3; i++) {
    x.data.set(c.predictions.data as never);
    plan.execute();
  }
  expectSameBits(
    'grad',
    x.data,
    c.loss.valueAndGrad(c.predictions, c.target).grad.data as Typed['data'],
  );
});

test('bind refuses other shapes, and the plan goes on with what it had', () => {
  const c = makeCase({ options: { activation: 'softmax' } });
  const plan = c.loss.plan(c.predictions, c.target).execute();
  const other = makeCase({ options: { activation: 'softmax' }, spatial: [4] });
  const double = makeCase({ options: { activation: 'softmax' }, dtype: 'float64' });
  expect(() => plan.bind(other.predictions, other.target)).toThrow(RangeError);
  expect(() => plan.bind(c.predictions, other.target)).toThrow(RangeError);
  expect(() => plan.bind(double.predictions, double.target)).toThrow(TypeError);
  (plan.grad.data as Float32Array).fill(0);
  plan.execute();
  expectSameBits(
    'grad',
    plan.grad.data as Typed['data'],
    c.loss.valueAndGrad(c.predictions, c.target).grad.data as Typed['data'],
  );
});

test('a label out of range is an error of execute, and the next execute works', () => {
  const y = tensor([0, 1, 2, 1], [1, 4], 'uint8');
  const x = tensor(new Float64Array(12).fill(0.25), [1, 3, 4]);
  const plan = new DiceLoss().plan(x, y).execute();
  const before = [...plan.grad.data];
  y.data[2] = 3;
  expect(() => plan.execute()).toThrow(WarpDiceError);
  expect([...plan.grad.data]).toEqual(before);
  y.data[2] = 2;
  plan.execute();
  expect([...plan.grad.data]).toEqual(before);
});

test('disposing a tensor under a plan: the plan goes on', () => {
  const c = makeCase({ options: { activation: 'softmax' } });
  const x = Tensor.from(c.predictions.data, c.predictions.shape);
  const y = Tensor.from(c.target.data, c.target.shape);
  const plan = c.loss.plan(x, y);
  x.dispose();
  y.dispose();
  plan.execute();
  const expected = c.loss.valueAndGrad(c.predictions, c.target).grad;
  expectSameBits('grad', plan.grad.data as Typed['data'], expected.data as Typed['data']);
});

test('an ArrayBuffer that is transferred away under a plan is an error, not a crash', () => {
  const x = tensor(new Float64Array(12).fill(0.25), [1, 3, 4]);
  const y = tensor([0, 1, 2, 1], [1, 4], 'uint8');
  const plan = new DiceLoss().plan(x, y).execute();
  const { value } = plan;
  structuredClone(x.data.buffer, { transfer: [x.data.buffer as ArrayBuffer] });
  expect(() => plan.execute()).toThrow(/predictions/);
  const fresh = tensor(new Float64Array(12).fill(0.25), [1, 3, 4]);
  plan.bind(fresh, y).execute();
  expect(plan.value).toBe(value);
});

test('execute() reads the upstream and the scale as they are then', () => {
  const x = Tensor.from(Float32Array.of(0.2, 0.7), [1, 1, 2]);
  const y = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
  for (const upstream of [new Float32Array([1]), new Float64Array([1])]) {
    const gradScale = new Float32Array([1]);
    const plan = new DiceLoss({ reduction: 'none' }).plan(x, y, {
      upstream: { data: upstream, shape: [1, 1] },
      gradScale: { data: gradScale, shape: [] },
    });
    const before = Number(plan.execute().grad.data[0]);
    upstream[0] = 10;
    expect(Number(plan.execute().grad.data[0]) / before).toBeCloseTo(10, 5);
    gradScale[0] = 2;
    expect(Number(plan.execute().grad.data[0]) / before).toBeCloseTo(20, 5);
  }
});

test('bind() refuses another kind of target, and the plan stays as it was', () => {
  const x = Tensor.from(Float32Array.of(0.2, 0.7, 0.8, 0.3), [1, 2, 2]);
  const plan = new DiceLoss().plan(x, Tensor.from(Uint8Array.of(0, 1), [1, 2]));
  const value = plan.execute().value.itemSync();
  expect(() => plan.bind(x, Tensor.from(Float32Array.of(1, 0, 0, 1), [1, 2, 2]))).toThrow(
    TypeError,
  );
  expect(() => plan.bind(x, Tensor.from(Int32Array.of(0, 1), [1, 2]))).toThrow(TypeError);
  expect(plan.execute().value.itemSync()).toBe(value);
});
