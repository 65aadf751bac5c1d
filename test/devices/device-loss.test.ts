/**
 * Losses on tensors of the emulated device: the CPU's numbers, and what a device adds to them.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, JaccardLoss, type Statistics, Tensor, WarpDiceError } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { emulatedOnly, fake, gpu, held, onDevice, otherGpu, solveOn } from '../support/device.js';
import { code } from '../support/errors.js';
import { full, type Typed, tensor } from '../support/tensors.js';

/** Probabilities and labels of which `wrong` are no class. */
function labelled(wrong: readonly number[] = []) {
  const labels = Uint8Array.from({ length: 10 }, (_, i) => i % 3);
  for (const i of wrong) labels[i] = 7;
  return {
    x: Tensor.from(new Float32Array(30).fill(0.25), [1, 3, 10]).to(gpu),
    y: Tensor.from(labels, [1, 10]).to(gpu),
  };
}

describe('the same numbers as on the CPU', () => {
  const specs: [string, Spec][] = [
    ['softmax, labels', { options: { activation: 'softmax' } }],
    ['sigmoid, one class', { C: 1, options: { activation: 'sigmoid' } }],
    ['dense, linear', { target: 'dense', options: { denominator: 'linear' } }],
    ['Jaccard', { loss: 'jaccard', options: { activation: 'softmax' } }],
    ['pooled', { options: { activation: 'softmax', batch: true } }],
    ['class weights', { options: { activation: 'softmax', classWeights: [0.5, 2, 0] } }],
    ['reduction none', { options: { reduction: 'none' } }],
    ['weight and scale', { weight: 'float32', gradScale: -3, options: { activation: 'softmax' } }],
    ['half gradient in float32', { dtype: 'float16', gradDtype: 'float32' }],
    ['channels last', { options: { activation: 'softmax', layout: 'channels-last' } }],
    // Four voxels have no more than four of the nine classes.
    ...(['skip', 'perfect', 'worst'] as const).map((absent): [string, Spec] => [
      `absent classes, ${absent}`,
      { C: 9, spatial: [4], options: { activation: 'softmax', absent } },
    ]),
    ['ignoreIndex', { ignored: 0.3, options: { activation: 'softmax', ignoreIndex: 255 } }],
  ];
  test.each(specs)('%s', async (_, spec) => {
    await solveOn(gpu, makeCase(spec));
    await solveOn(otherGpu, makeCase({ ...spec, spatial: [31] }));
  });
});

describe('calls return at once', () => {
  emulatedOnly('nothing is done before the device does it, and nothing blocks', async () => {
    const { x, y } = labelled();
    const { result } = await held(async () => {
      const result = new DiceLoss().valueAndGrad(x, y);
      expect(result.value.device).toBe(gpu);
      expect(result.grad.device).toBe(gpu);
      let read = false;
      result.value.read().then(() => {
        read = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(read).toBe(false);
      return { result };
    });
    const host = new DiceLoss().value(
      { data: x.readSync(), shape: x.shape },
      { data: y.readSync(), shape: y.shape },
    );
    expect(await result.value.item()).toBeCloseTo(host.value.itemSync(), 12);
  });

  test('inputs and results may be disposed before the device has read them', async () => {
    const { x, y } = labelled();
    const expected = new DiceLoss().value(x, y).value.itemSync();
    const { value, grad } = await held(() => {
      const result = new DiceLoss().valueAndGrad(x, y);
      x.dispose();
      y.dispose();
      return result;
    });
    grad.dispose();
    expect(await value.item()).toBe(expected);
    await gpu.synchronize();
  });

  emulatedOnly('the Async calls resolve when the work is done', async () => {
    const { x, y } = labelled();
    let done = false;
    const pending = await held(async () => {
      const promise = new DiceLoss().valueAndGradAsync(x, y).then((result) => {
        done = true;
        return result;
      });
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(done).toBe(false);
      return { promise };
    });
    const { value } = await pending.promise;
    expect(await value.item()).toBe(new DiceLoss().value(x, y).value.itemSync());
    expect(await new DiceLoss().valueAsync(x, y)).toHaveProperty('perClass');
  });
});

describe('labels out of range', () => {
  const message =
    'Expected class indices from 0 to 2 for target but received 2 other values, the first 7 at index 4';

  test('are an error of every result, with count, index and value', async () => {
    const { x, y } = labelled([4, 8]);
    const { value, perClass, grad } = new DiceLoss().valueAndGrad(x, y);
    await expect(value.item()).rejects.toThrow(message);
    await expect(value.item()).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_LABEL_RANGE', count: 2, index: 4, value: 7 }),
    );
    await expect(perClass.read()).rejects.toThrow(WarpDiceError);
    expect(() => grad.readSync()).toThrow(message);
  });

  test('reject an Async call, and are an error of statistics and what is made of them', async () => {
    const { x, y } = labelled([4, 8]);
    await expect(new DiceLoss().valueAsync(x, y)).rejects.toThrow(message);
    const statistics = new DiceLoss().statistics(x, y);
    await expect(statistics.read()).rejects.toThrow(message);
    await expect(new DiceLoss().statisticsAsync(x, y)).rejects.toThrow(message);
    await expect(new DiceLoss().fromStatistics(statistics).value.item()).rejects.toThrow(
      code('ERR_LABEL_RANGE'),
    );
  });

  test('are forgotten by the next call into the same tensors', async () => {
    const wrong = labelled([1]);
    const right = labelled();
    const out = new DiceLoss().valueAndGrad(wrong.x, wrong.y);
    await expect(out.value.item()).rejects.toThrow(code('ERR_LABEL_RANGE'));
    new DiceLoss().valueAndGrad(right.x, right.y, { out });
    expect(await out.value.item()).toBeGreaterThan(0);
    new DiceLoss().valueAndGrad(wrong.x, wrong.y, { out });
    await out.grad.write(new Float32Array(30));
    expect(await out.grad.read()).toEqual(new Float32Array(30));
  });
});

describe('three steps', () => {
  const c = makeCase({ options: { activation: 'softmax' }, N: 3 });
  const x = onDevice(gpu, c.predictions);
  const y = onDevice(gpu, c.target);
  const whole = c.loss.valueAndGrad(c.predictions, c.target);

  test('statistics stay on the device', async () => {
    const statistics = c.loss.statistics(x, y);
    expect(statistics.device).toBe(gpu);
    expect(() => statistics.data).toThrow(/read\(\) copies them/);
    expect(() => JSON.stringify(statistics)).toThrow(TypeError);
    const host = await statistics.read();
    const expected = c.loss.statistics(c.predictions, c.target);
    expect(host.shape).toEqual(expected.shape);
    host.data.forEach((sum, i) => {
      expect(sum).toBeCloseTo(expected.data[i] as number, 4);
    });
    const { value } = c.loss.fromStatistics(statistics);
    expect(value.device).toBe(gpu);
    expect(await value.item()).toBeCloseTo(whole.value.itemSync(), 6);
    const grad = c.loss.gradient(x, y, statistics);
    expect(Buffer.from((await grad.read()).buffer)).toEqual(
      Buffer.from((await c.loss.valueAndGrad(x, y).grad.read()).buffer),
    );
    statistics.dispose();
    await expect(statistics.read()).rejects.toThrow(code('ERR_DISPOSED'));
  });

  test('a gradient takes statistics of the host too; the host takes none of a device', async () => {
    const host = await c.loss.statistics(x, y).read();
    const grad = await c.loss.gradient(x, y, host).read();
    grad.forEach((g, i) => {
      expect(g).toBeCloseTo(Number(whole.grad.data[i]), 7);
    });
    const there: Statistics = c.loss.statistics(x, y);
    expect(() => c.loss.gradient(c.predictions, c.target, there)).toThrow(
      'Expected statistics on cpu',
    );
    expect(() => host.add(there)).toThrow(TypeError);
  });
});

describe('results in the caller’s tensors', () => {
  test('are written there and returned', async () => {
    const { x, y } = labelled();
    const out = {
      value: Tensor.empty([], 'float64', { device: gpu }),
      perClass: Tensor.empty([1, 3], 'float64', { device: gpu }),
      grad: Tensor.empty([1, 3, 10], 'float32', { device: gpu }),
    };
    expect(new DiceLoss().valueAndGrad(x, y, { out })).toBe(out);
    const fresh = new DiceLoss().valueAndGrad(x, y);
    expect(await out.grad.read()).toEqual(await fresh.grad.read());
  });

  test('over the predictions', async () => {
    const c = makeCase({ options: { activation: 'softmax' } });
    const expected = await c.loss
      .valueAndGrad(onDevice(gpu, c.predictions), onDevice(gpu, c.target))
      .grad.read();
    const x = onDevice(gpu, c.predictions);
    const { grad } = c.loss.valueAndGrad(x, onDevice(gpu, c.target), { out: { grad: x } });
    expect(grad).toBe(x);
    expect(await x.read()).toEqual(expected);
  });

  test('accumulate, and a scale on the device', async () => {
    const { x, y } = labelled();
    const plain = (await new DiceLoss().valueAndGrad(x, y).grad.read()) as Float32Array;
    for (const scale of [Float32Array.of(3), Float64Array.of(3)]) {
      const grad = onDevice(gpu, full([1, 3, 10], 1));
      const gradScale = Tensor.from(scale, []).to(gpu);
      new DiceLoss().valueAndGrad(x, y, { accumulate: true, out: { grad }, gradScale });
      const got = (await grad.read()) as Float32Array;
      got.forEach((g, i) => {
        expect(g).toBeCloseTo(1 + 3 * (plain[i] as number), 6);
      });
    }
  });

  test('an upstream of float32, which a plan reads each time', async () => {
    const { x, y } = labelled();
    const loss = new DiceLoss({ reduction: 'none' });
    const wide = onDevice(gpu, tensor([3, -1, 0.5], [1, 3], 'float64'));
    const narrow = onDevice(gpu, tensor([3, -1, 0.5], [1, 3], 'float32'));
    const expected = await loss.valueAndGrad(x, y, { upstream: wide }).grad.read();
    expect(await loss.valueAndGrad(x, y, { upstream: narrow }).grad.read()).toEqual(expected);
    await narrow.write(new Float32Array(3));
    using plan = loss.plan(x, y, { upstream: narrow });
    await narrow.write(Float32Array.of(3, -1, 0.5));
    expect(await plan.execute().grad.read()).toEqual(expected);
    const half = onDevice(gpu, tensor([3, -1, 0.5], [1, 3], 'float16'));
    expect(() => loss.valueAndGrad(x, y, { upstream: half })).toThrow(
      'Expected dtype float64 or float32 for upstream but received float16',
    );
  });

  test('partial overlap is an error', () => {
    const { y } = labelled();
    const all = Tensor.empty([40], 'float32', { device: gpu });
    const x = all.view([1, 3, 10]);
    expect(() =>
      new DiceLoss().valueAndGrad(x, y, { out: { grad: all.view([1, 3, 10], 3) } }),
    ).toThrow(/overlaps predictions/);
  });
});

describe('devices are not mixed', () => {
  const { x, y } = labelled();
  const hostY = tensor(new Uint8Array(10), [1, 10], 'uint8');
  const loss = new DiceLoss();
  emulatedOnly.each<[string, () => unknown, string]>([
    ['a target on the host', () => loss.value(x, hostY), 'target but received one on cpu'],
    [
      'predictions on the host',
      () => loss.value({ data: x.readSync(), shape: x.shape }, y),
      'target but received one on cuda:0',
    ],
    [
      'another GPU',
      () => loss.value(x, onDevice(otherGpu, hostY)),
      'target but received one on cuda:1',
    ],
    [
      'weight',
      () => loss.value(x, y, { weight: full([1, 10], 1) }),
      'weight but received one on cpu',
    ],
    [
      'gradScale',
      () => loss.valueAndGrad(x, y, { gradScale: full([], 1) }),
      'gradScale but received one on cpu',
    ],
    [
      'out',
      () => loss.valueAndGrad(x, y, { out: { grad: full([1, 3, 10], 0) as never } }),
      'out.grad but received one on cpu',
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });
});

test('what CUDA does not compute is said, and the next call works', async () => {
  const { x, y } = labelled();
  const classes = 20_000;
  const wide = Tensor.empty([1, classes, 1], 'float32', { device: gpu });
  const label = Tensor.empty([1, 1], 'uint8', { device: gpu });
  expect(() => new DiceLoss({ activation: 'softmax' }).value(wide, label)).toThrow(
    'So many classes do not fit the shared memory of every GPU.',
  );
  expect(() => new DiceLoss({ allReduce: (statistics) => statistics }).value(x, y)).toThrow(
    /allReduce/,
  );
  expect(await new JaccardLoss().value(x, y).value.item()).toBeGreaterThan(0);
});

emulatedOnly(
  'a launch that fails is named; out of memory is said; the next call works',
  async () => {
    const { x, y } = labelled();
    fake.failNext('cudaLaunchKernel', 9);
    expect(() => new DiceLoss().value(x, y)).toThrow(code('ERR_CUDA'));
    fake.failNext('cudaMallocFromPoolAsync', 2);
    expect(await new DiceLoss().value(x, y).value.item()).toBeGreaterThan(0); // tried again
    expect(gpu.memory().aliveBytes).toBeGreaterThan(0);
  },
);

test('disposed tensors', () => {
  const { x, y } = labelled();
  x.dispose();
  expect(() => new DiceLoss().value(x, y)).toThrow(code('ERR_DISPOSED'));
});

test('nothing is left on the device by calls whose tensors are disposed', async () => {
  const { x, y } = labelled();
  const loss = new DiceLoss({ activation: 'softmax' });
  const before = gpu.memory().aliveBytes;
  for (let i = 0; i < 20; i++) {
    for (const result of Object.values(loss.valueAndGrad(x, y)) as Tensor[]) result.dispose();
  }
  await gpu.synchronize();
  // Less when the garbage collector has freed what other tests left.
  expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
});

emulatedOnly('a call that fails leaves nothing on the device', async () => {
  const { x, y } = labelled();
  const wrong = labelled([3]);
  const loss = new DiceLoss({ activation: 'softmax' });
  const statistics = loss.statistics(x, y);
  const sums = await statistics.read();
  await loss.valueAsync(x, y);
  const before = gpu.memory().aliveBytes;
  const fails = (name: string, call: () => unknown) => {
    fake.failNext(name, 9);
    expect(call).toThrow(code('ERR_CUDA'));
  };
  fails('cudaLaunchKernel', () => loss.valueAndGrad(x, y));
  fails('cudaLaunchKernel', () => loss.statistics(x, y));
  fails('cudaLaunchKernel', () => loss.gradient(x, y, sums));
  fails('cudaLaunchKernel', () => loss.fromStatistics(statistics));
  fails('cudaLaunchKernel', () => loss.valueAndGradAsync(x, y));
  fails('cudaGraphAddKernelNode', () => loss.plan(x, y));
  const gradScale = onDevice(gpu, full([], 1, 'uint8'));
  expect(() => loss.valueAndGrad(x, y, { gradScale })).toThrow(TypeError);
  gradScale.dispose();
  await expect(loss.valueAndGradAsync(wrong.x, wrong.y)).rejects.toThrow(code('ERR_LABEL_RANGE'));
  await expect(loss.statisticsAsync(wrong.x, wrong.y)).rejects.toThrow(code('ERR_LABEL_RANGE'));
  expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
});

test('statistics of the host leave nothing on the device', async () => {
  const { x, y } = labelled();
  const loss = new DiceLoss({ activation: 'softmax' });
  const statistics = await loss.statistics(x, y).read();
  const grad = loss.gradient(x, y, statistics);
  await gpu.synchronize();
  const before = gpu.memory().aliveBytes;
  for (let i = 0; i < 20; i++) {
    loss.gradient(x, y, statistics, { out: { grad } });
    expect(() => loss.gradient(x, x, statistics, { out: { grad: y } })).toThrow(TypeError);
  }
  await gpu.synchronize();
  expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
});

test('solveOn sees wrong numbers', () => {
  const c = makeCase({ options: { activation: 'softmax' } });
  const wrong = { ...c, predictions: full(c.predictions.shape, 0.1) as Typed };
  return expect(solveOn(gpu, wrong)).rejects.toThrow(/^(value|perClass|grad)\[\d+\]/);
});

test('a part among merged statistics: its gradient is its rows of the whole', async () => {
  const c = makeCase({ options: { activation: 'softmax' }, N: 3 });
  const x = onDevice(gpu, c.predictions);
  const y = onDevice(gpu, c.target);
  const merged = c.loss.statistics(x, y);
  const whole = await c.loss.gradient(x, y, merged).read();
  const [, C, ...spatial] = c.predictions.shape;
  const S = spatial.reduce((a, b) => a * b, 1);
  const part = c.loss.gradient(
    x.view([1, C as number, ...spatial], (C as number) * S),
    y.view([1, ...spatial], S),
    merged,
    { sampleOffset: 1 },
  );
  const size = (C as number) * S;
  expect(await part.read()).toEqual(whole.slice(size, 2 * size));
});
