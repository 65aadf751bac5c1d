// A plan: checked once, executed many times, on what the tensors then hold.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor, WarpDiceError } from '../../lib/index.js';
import { callOptions, gradOptions, makeCase, type Spec } from '../support/cases.js';
import { expectSameBits } from '../support/compare.js';
import { expectNoGarbage } from '../support/garbage.js';
import { named } from '../support/named.js';
import { detach, full, type Typed, tensor } from '../support/tensors.js';

const disposed = (name: string) =>
  new WarpDiceError(
    'ERR_DISPOSED',
    `Expected a live tensor for ${name} but received a disposed one`,
  );

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
  const bind = (a: typeof c, b: typeof c) => () => plan.bind(a.predictions, b.target);
  expect(bind(other, other)).toThrow(
    new RangeError(
      'Expected shape [2, 3, 5, 7], that of the plan, for predictions but received [2, 3, 4]: make another plan for it, such as one for the last batch',
    ),
  );
  expect(bind(c, other)).toThrow('Expected shape [2, 5, 7], that of the plan, for target');
  expect(bind(double, double)).toThrow(
    new TypeError(
      'Expected dtype float32, that of the plan, for predictions but received float64: make another plan for it',
    ),
  );
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

describe('after dispose()', () => {
  const names = ['predictions', 'target', 'weight', 'upstream', 'gradScale'] as const;
  const results = ['value', 'perClass', 'grad'] as const;
  function setUp() {
    const c = makeCase({
      options: { activation: 'softmax', reduction: 'none' },
      weight: 'float32',
    });
    const of = ({ data, shape }: Typed) => Tensor.from(data, shape);
    const given = {
      predictions: of(c.predictions),
      target: of(c.target),
      weight: of(c.weight as Typed),
      upstream: of(c.upstream as Typed),
      gradScale: Tensor.from(Float64Array.of(2), []),
    };
    const { predictions, target, ...options } = given;
    return { given, plan: c.loss.plan(predictions, target, options) };
  }

  test.each(names)('of %s, execute() is an error', (name) => {
    const { given, plan } = setUp();
    plan.execute();
    const before = [...plan.grad.data];
    given[name].dispose();
    expect(() => plan.execute()).toThrow(disposed(name));
    expect([...plan.grad.data]).toEqual(before);
  });

  test.each(results)('of its %s, execute() is an error', (name) => {
    const { plan } = setUp();
    plan[name].dispose();
    expect(() => plan.execute()).toThrow(disposed(`out.${name}`));
  });

  test.each([...names, ...results])('of the ArrayBuffer of %s, execute() is an error', (name) => {
    const { given, plan } = setUp();
    const isResult = name === 'value' || name === 'perClass' || name === 'grad';
    const { data, size } = isResult ? plan[name] : given[name];
    detach(data as Typed['data']);
    const message = `Expected ${size} elements for ${isResult ? 'out.' : ''}${name} but its ArrayBuffer was detached or resized and holds 0`;
    expect(() => plan.execute()).toThrow(new TypeError(message));
  });

  test('bind() refuses disposed tensors and replaces them', () => {
    const { given, plan } = setUp();
    const { predictions, target } = given;
    const fresh = Tensor.from(predictions.data, predictions.shape);
    predictions.dispose();
    expect(() => plan.bind(predictions, target)).toThrow(disposed('predictions'));
    expect(() => plan.execute()).toThrow(disposed('predictions'));
    plan.bind(fresh, target).execute();
  });

  test('of the plan, its results can be read, and no more', () => {
    const { given, plan } = setUp();
    const { value } = plan.execute();
    const before = [...value.data];
    plan.dispose();
    plan.dispose();
    const message = (method: string) =>
      new WarpDiceError(
        'ERR_DISPOSED',
        `Expected a live plan for ${method} but received a disposed one`,
      );
    expect(() => plan.execute()).toThrow(message('execute()'));
    expect(() => plan.bind(given.predictions, given.target)).toThrow(message('bind()'));
    expect([...plan.value.data]).toEqual(before);
  });
});

describe('memory that overlaps', () => {
  const x = tensor(new Float64Array(12).fill(0.25), [1, 3, 4]);
  const y = tensor([0, 1, 2, 1], [1, 4], 'uint8');
  const overlapping = /Expected memory of its own for /;

  test('is refused when the plan is made', () => {
    const shared = new Float64Array(13);
    const at = (from: number, shape: number[]) =>
      Tensor.from(shared.subarray(from, from + shape.reduce((a, b) => a * b, 1)), shape);
    const loss = new DiceLoss({ reduction: 'none' });
    const upstream = full([1, 3], 1, 'float64');
    const make =
      (options: object, predictions: object = x) =>
      () =>
        loss.plan(predictions as Typed, y, { upstream, ...options });
    expect(make({ out: { value: at(0, [1, 3]), perClass: at(2, [1, 3]) } })).toThrow(overlapping);
    expect(make({ out: { grad: at(1, [1, 3, 4]) } }, at(0, [1, 3, 4]))).toThrow(overlapping);
    const scale = { gradScale: at(0, []), out: { value: at(0, [1, 3]) } };
    expect(make(scale)).toThrow(
      'Expected memory of its own for out.value but received an array that overlaps gradScale',
    );
    const floats = new Float32Array(shared.buffer);
    const half = Tensor.from(floats.subarray(4, 7), [1, 3]);
    expect(make({ upstream: half, out: { value: at(0, [1, 3]) } })).toThrow(
      'Expected memory of its own for out.value but received an array that overlaps upstream',
    );
  });

  test('is refused by bind(), and the plan keeps its tensors', () => {
    const plan = new DiceLoss().plan(x, y).execute();
    const before = [...plan.grad.data];
    const grad = plan.grad.data as Float32Array;
    expect(() => plan.bind({ data: grad, shape: [1, 3, 4] }, y)).not.toThrow(); // in place
    plan.bind(x, y);
    const target = { data: new Uint8Array(grad.buffer, 0, 4), shape: [1, 4] };
    expect(() => plan.bind(x, target)).toThrow(overlapping);
    grad.fill(0);
    expect([...plan.execute().grad.data]).toEqual(before);
  });
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

test.each([
  ['a float64 upstream', Float64Array],
  ['a float32 upstream', Float32Array],
])('bind() and execute() allocate nothing, with %s', (_, Numbers) => {
  const x = Tensor.from(new Float32Array(24).fill(0.3), [1, 3, 8]);
  const y = Tensor.from(new Uint8Array(8).fill(1), [1, 8]);
  const upstream = Tensor.from(Numbers.of(1, 2, 3), [1, 3]);
  const gradScale = Tensor.from(Float32Array.of(2), []);
  const loss = new DiceLoss({ activation: 'softmax', reduction: 'none' });
  const plan = loss.plan(x, y, { upstream, gradScale });
  expectNoGarbage(() => plan.bind(x, y).execute());
});
