/**
 * Plans on the emulated device: one CUDA graph, launched by every execute().
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { DiceFocalLoss, DiceLoss, Stream, Tensor } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { type Case, gradOptions, makeCase } from '../support/cases.js';
import { cudaError, emulatedOnly, fake, gpu, held, onDevice, otherGpu } from '../support/device.js';
import { code } from '../support/errors.js';
import { expectNoGarbage } from '../support/garbage.js';
import { full } from '../support/tensors.js';
import { expectSolution } from '../support/tolerance.js';

const driverCalls = () =>
  [
    'cudaMallocFromPoolAsync',
    'cudaMalloc',
    'cudaHostAlloc',
    'cudaStreamSynchronize',
    'cudaDeviceSynchronize',
    'cudaEventSynchronize',
    'cudaGraphInstantiate',
    'cudaLaunchKernel',
  ].map(fake.calls);

const bytes = async (from: Tensor) => Buffer.from((await from.read()).buffer);

/** A case, its tensors on the device, and what they give without a plan. */
async function setUp(seed = 1, spec: Parameters<typeof makeCase>[0] = {}) {
  const c: Case = makeCase({ options: { activation: 'softmax' }, seed, ...spec });
  const x = onDevice(gpu, c.predictions);
  const y = onDevice(gpu, c.target);
  const weight = c.weight && onDevice(gpu, c.weight);
  const options = { ...gradOptions(c), ...(weight && { weight }) };
  const plain = c.loss.valueAndGrad(x, y, options);
  return { c, x, y, options, value: await bytes(plain.value), grad: await bytes(plain.grad) };
}

describe('a plan gives the bits of the plain call', () => {
  test.each([
    ['softmax', {}],
    ['pooled', { options: { activation: 'softmax', batch: true } }],
    ['weights', { weight: 'float32', options: { activation: 'softmax', classWeights: [1, 2, 3] } }],
    ['half precision', { dtype: 'bfloat16' }],
    ['one class', { C: 1, spatial: [101], options: { activation: 'sigmoid' } }],
  ] as const)('%s', async (_, spec) => {
    const { c, x, y, options, value, grad } = await setUp(3, spec as never);
    using plan = c.loss.plan(x, y, options);
    for (let i = 0; i < 3; i++) {
      plan.execute();
      expect(await bytes(plan.value)).toEqual(value);
      expect(await bytes(plan.grad)).toEqual(grad);
    }
    const { dtype = 'float32', options: lossOptions } = c.spec;
    const outcome = {
      value: { data: await plan.value.read() },
      perClass: { data: await plan.perClass.read() },
      grad: { data: await plan.grad.read(), dtype: plan.grad.dtype },
    };
    expectSolution(outcome, reference(c.problem), dtype, lossOptions?.classWeights);
  });
});

describe('a step of valueAndGrad is three kernels and nothing else', () => {
  const softmax = new DiceLoss({ activation: 'softmax' });
  const sigmoid = new DiceLoss({ activation: 'sigmoid' });
  const focal = new DiceFocalLoss({ activation: 'softmax' });
  const bytes = (n: number) => new Uint8Array(n);
  const nodes = ['cudaGraphAddKernelNode', 'cudaGraphAddMemsetNode'];
  const launches = ['cudaLaunchKernel', 'cudaMemsetAsync'];

  emulatedOnly.each([
    ['few classes', softmax, [2, 4, 300], bytes, 3],
    ['one class', sigmoid, [2, 1, 300], bytes, 3],
    ['many classes', softmax, [1, 40, 30], (n: number) => new Int32Array(n), 3],
    ['a focal loss', focal, [2, 4, 300], bytes, 3],
    ['a focal loss of many classes', focal, [1, 40, 30], bytes, 3],
    ['labels that must be converted', softmax, [2, 4, 300], (n: number) => new Int16Array(n), 4],
  ] as const)('%s', async (_, loss, shape, labels, count) => {
    const [N, , S] = shape;
    const x = onDevice(gpu, full(shape, 0));
    const y = Tensor.from(labels(N * S), [N, S]).to(gpu);
    const added = (calls: string[], action: () => void) => {
      const before = calls.map(fake.calls);
      action();
      return calls.map((name, i) => fake.calls(name) - (before[i] as number));
    };
    expect(added(launches, () => loss.valueAndGrad(x, y))).toEqual([count, 0]);
    using plan = loss.plan(x, y);
    expect(added(nodes, () => loss.plan(x, y).dispose())).toEqual([count, 0]);
    expect(added(launches, () => plan.execute())).toEqual([0, 0]);
    expect(await plan.value.item()).toBeGreaterThan(0);
  });
});

emulatedOnly('execute allocates nothing, waits for nothing and makes one launch', async () => {
  const { c, x, y } = await setUp();
  using plan = c.loss.plan(x, y);
  plan.execute();
  await plan.value.item();
  const [before, launches] = [driverCalls(), fake.calls('cudaGraphLaunch')];
  await held(() => {
    for (let i = 0; i < 10; i++) plan.execute();
    expect(driverCalls()).toEqual(before);
    expect(fake.calls('cudaGraphLaunch')).toBe(launches + 10);
  });
});

test('execute makes no garbage', async () => {
  const x = Tensor.from(Float32Array.of(0.5), [1]).to(gpu);
  const y = Tensor.from(Uint8Array.of(1), [1]).to(gpu);
  using plan = new DiceLoss().plan(x, y);
  expectNoGarbage(() => plan.execute(), 100); // each is emulated
});

describe('bind', () => {
  emulatedOnly(
    'swaps the tensors without a new graph; the results stay where they are',
    async () => {
      const a = await setUp(1);
      const b = await setUp(2);
      using plan = a.c.loss.plan(a.x, a.y).execute();
      const { value, grad } = plan;
      const graphs = fake.calls('cudaGraphInstantiate');
      for (const { x, y, ...expected } of [b, a, b]) {
        plan.bind(x, y).execute();
        expect(await bytes(value)).toEqual(expected.value);
        expect(await bytes(grad)).toEqual(expected.grad);
      }
      expect(plan.value).toBe(value);
      expect(fake.calls('cudaGraphInstantiate')).toBe(graphs);
    },
  );

  test('launches that are under way keep what they were launched with', async () => {
    const a = await setUp(1);
    const b = await setUp(2);
    const sum = Tensor.empty(a.x.shape, 'float32', { device: gpu });
    using plan = a.c.loss.plan(a.x, a.y, { out: { grad: sum }, accumulate: true });
    await held(() => {
      plan.execute().bind(b.x, b.y).execute();
      a.x.dispose();
      a.y.dispose();
    });
    const total = (await sum.read()) as Float32Array;
    const [first, second] = [a, b].map(({ grad }) => new Float32Array(new Uint8Array(grad).buffer));
    total.forEach((g, i) => {
      expect(g).toBeCloseTo((first?.[i] as number) + (second?.[i] as number), 7);
    });
  });

  emulatedOnly.each([0, 1, 2])('that fails at node %i leaves the plan as it was', async (after) => {
    const a = await setUp(1);
    const b = await setUp(2);
    using plan = a.c.loss.plan(a.x, a.y).execute();
    fake.failNext('cudaGraphExecKernelNodeSetParams', cudaError.noDevice, after);
    expect(() => plan.bind(b.x, b.y)).toThrow(/^cudaGraphExecKernelNodeSetParams failed/);
    plan.execute();
    expect(await bytes(plan.value)).toEqual(a.value);
    expect(await bytes(plan.grad)).toEqual(a.grad);
    plan.bind(b.x, b.y).execute();
    expect(await bytes(plan.grad)).toEqual(b.grad);
  });

  emulatedOnly('refuses other shapes, dtypes and devices; the plan stays as it was', async () => {
    const a = await setUp(1);
    const other = await setUp(2, { spatial: [4] });
    const double = await setUp(2, { dtype: 'float64' });
    using plan = a.c.loss.plan(a.x, a.y);
    expect(() => plan.bind(other.x, other.y)).toThrow(RangeError);
    expect(() => plan.bind(double.x, double.y)).toThrow(TypeError);
    expect(() => plan.bind(a.x.to(otherGpu), a.y.to(otherGpu))).toThrow(TypeError);
    expect(() => plan.bind(a.c.predictions, a.c.target)).toThrow(TypeError);
    plan.execute();
    expect(await bytes(plan.grad)).toEqual(a.grad);
  });
});

describe('lifetime', () => {
  test('disposing the tensors under a live plan: what was enqueued is done, and no more', async () => {
    const { c, x, y, grad } = await setUp();
    using plan = c.loss.plan(x, y);
    const alive = gpu.memory().aliveBytes;
    await held(() => {
      plan.execute();
      x.dispose();
      y.dispose();
    });
    await gpu.synchronize();
    // Garbage of other tests may have been collected, but the plan keeps the memory of its tensors.
    expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(alive);
    expect(gpu.memory().aliveBytes).toBeGreaterThanOrEqual(x.byteLength + y.byteLength);
    expect(await bytes(plan.grad)).toEqual(grad);
    expect(() => plan.execute()).toThrow(code('ERR_DISPOSED'));
  });

  test('dispose frees workspace and results, once; what was enqueued is done', async () => {
    const { c, x, y, value } = await setUp();
    await gpu.synchronize();
    const before = gpu.memory().aliveBytes;
    const plan = c.loss.plan(x, y);
    const kept = plan.value.to(gpu);
    await held(() => {
      plan.execute();
      plan.dispose();
      plan.dispose();
    });
    expect(await bytes(kept)).toEqual(value);
    kept.dispose();
    expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
    expect(() => plan.execute()).toThrow(code('ERR_DISPOSED'));
    expect(() => plan.bind(x, y)).toThrow(code('ERR_DISPOSED'));
  });

  test('results in the caller’s tensors outlive the plan', async () => {
    const { c, x, y, grad } = await setUp();
    const mine = Tensor.empty(x.shape, 'float32', { device: gpu });
    const plan = c.loss.plan(x, y, { out: { grad: mine } }).execute();
    plan.dispose();
    expect(await bytes(mine)).toEqual(grad);
  });
});

test('a plan reads what its tensors, its upstream and its scale hold when it runs', async () => {
  const x = Tensor.from(Float32Array.of(0.2, 0.7), [1, 1, 2]).to(gpu);
  const y = Tensor.from(Uint8Array.of(0, 1), [1, 2]).to(gpu);
  const upstream = Tensor.from(Float64Array.of(1), [1, 1]).to(gpu);
  const gradScale = Tensor.from(Float32Array.of(1), []).to(gpu);
  using plan = new DiceLoss({ reduction: 'none' }).plan(x, y, { upstream, gradScale });
  const first = async () => Number((await plan.execute().grad.read())[0]);
  const before = await first();
  upstream.write(Float64Array.of(10));
  expect((await first()) / before).toBeCloseTo(10, 5);
  gradScale.write(Float32Array.of(2));
  expect((await first()) / before).toBeCloseTo(20, 5);
  x.write(Float32Array.of(0.9, 0.1));
  expect((await first()) / before).not.toBeCloseTo(20, 1);
});

test('labels out of range are an error of reading, until the next execute', async () => {
  const y = Tensor.from(Uint8Array.of(0, 1, 5, 1), [1, 4]).to(gpu);
  const x = onDevice(gpu, full([1, 3, 4], 0.25));
  using plan = new DiceLoss().plan(x, y);
  await plan.value.item(); // nothing was executed: nothing is wrong
  plan.execute();
  await expect(plan.grad.read()).rejects.toThrow('the first 5 at index 2');
  await expect(plan.value.item()).rejects.toThrow(code('ERR_LABEL_RANGE'));
  y.write(Uint8Array.of(0, 1, 2, 1));
  plan.execute();
  expect(await plan.value.item()).toBeGreaterThan(0);
});

test('on another stream', async () => {
  const { c, x, y, grad } = await setUp();
  using plan = c.loss.plan(x, y);
  using side = new Stream(gpu);
  side.run(() => plan.execute());
  expect(await bytes(plan.grad)).toEqual(grad);
});

emulatedOnly('graphs that fail are named, and the next plan works', async () => {
  const { c, x, y, grad } = await setUp();
  for (const name of ['cudaGraphCreate', 'cudaGraphAddKernelNode', 'cudaGraphInstantiate']) {
    fake.failNext(name, 2);
    expect(() => c.loss.plan(x, y)).toThrow(new RegExp(`^${name} failed`));
  }
  using plan = c.loss.plan(x, y);
  fake.failNext('cudaGraphLaunch', 2);
  expect(() => plan.execute()).toThrow(code('ERR_CUDA'));
  plan.execute();
  expect(await bytes(plan.grad)).toEqual(grad);
});
