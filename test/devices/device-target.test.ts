/**
 * Dense targets on the emulated device: of every dtype beside predictions of every dtype, and their gradient.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Statistics } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { callOptions, makeCase, type Spec } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { emulatedOnly, fake, gpu, held, onDevice, solveOn } from '../support/device.js';
import { inThisRun } from '../support/in-this-run.js';
import { activationsOf, type Cell, cells, termFactors } from '../support/losses.js';
import { type FloatDType, full, numbers } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const dtypes = ['float64', 'float32', 'float16', 'bfloat16'] as const;
const pairs = dtypes.flatMap((dtype) => dtypes.map((targetDtype) => ({ dtype, targetDtype })));

/** The coarser of the two says how exact the sums are. */
const coarser = (a: FloatDType, b: FloatDType): FloatDType =>
  a === 'float64' && b === 'float64' ? 'float64' : 'float32';

describe.each(pairs)('predictions of $dtype, a target of $targetDtype', (types) => {
  const dense: Spec = { ...types, target: 'dense', weight: types.targetDtype };

  test('value and gradient', async () => {
    for (const layout of ['channels-first', 'channels-last'] as const)
      for (const [C, spatial] of [
        [3, [33]],
        [1, [31, 2]],
        [19, [67]],
      ] as [number, number[]][])
        await solveOn(gpu, makeCase({ ...dense, C, spatial, options: { layout } }));
  });

  test('the gradient of the target', async () => {
    const c = makeCase({ ...dense, options: { activation: 'sigmoid', reduction: 'none' } });
    const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
    const weight = onDevice(gpu, c.weight as never);
    const upstream = onDevice(gpu, c.upstream as never);
    const statistics = c.loss.statistics(x, y, { weight });
    const gradScale = types.targetDtype === 'float16' ? 64 : 1;
    const options = { weight, upstream, gradScale };
    const grad = c.loss.targetGradient(x, y, statistics, options);
    const expected = reference({ ...c.problem, gradScale }).targetGradient;
    expect([grad.dtype, grad.shape, grad.device]).toEqual([types.targetDtype, y.shape, gpu]);
    const tolerance = gradTolerance(
      coarser(types.dtype, types.targetDtype),
      expected,
      types.targetDtype,
    );
    const read = async () => numbers({ data: await grad.read(), dtype: grad.dtype });
    expectClose('targetGrad', await read(), expected, tolerance);
    c.loss.targetGradient(x, y, statistics, {
      ...options,
      accumulate: true,
      out: { targetGrad: grad },
    });
    const twice = expected.map((g) => 2 * g);
    expectClose('sum', await read(), twice, (g) => 4 * tolerance(g));
  });
});

let seed = 0;
test.each(cells)('the gradient of the target: $key $variant', async (cell: Cell) => {
  const { key, variant } = cell;
  for (const activation of activationsOf(cell)) {
    if (!inThisRun()) continue;
    const c = makeCase({
      loss: key,
      target: 'dense',
      C: seed % 4 === 3 && key !== 'wasserstein' ? 19 : 3,
      spatial: [seed % 2 ? 37 : 11],
      ...(seed % 3 === 1 && { missing: 2 }),
      ...(seed % 4 > 1 && { weight: 'float32', weightOfClasses: true }),
      seed: seed++,
      options: {
        ...variant,
        activation,
        layout: seed % 3 === 0 ? 'channels-last' : 'channels-first',
        batch: seed % 5 === 0,
      },
    });
    const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
    const options = c.weight ? { weight: onDevice(gpu, c.weight) } : {};
    const sums = c.loss.statistics(x, y, options);
    const grad = await c.loss.targetGradientAsync(x, y, sums, options);
    const expected = reference(c.problem).targetGradient;
    const data = (await grad.read()) as Float32Array;
    expectClose('targetGrad', data, expected, gradTolerance('float32', expected));
  }
});

test.each(['sigmoid', 'softmax'] as const)('with factors of terms, %s', async (activation) => {
  for (const part of termFactors[activation]) {
    const c = makeCase({ target: 'dense', dtype: 'float64', options: { activation, ...part } });
    const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
    const grad = c.loss.targetGradient(x, y, c.loss.statistics(x, y));
    const expected = reference(c.problem).targetGradient;
    expectClose('targetGrad', (await grad.read()) as Float32Array, expected, 1e-6);
  }
});

test('is 0 where a mask of one class has the value to ignore', async () => {
  const options = { activation: 'sigmoid', ignoreIndex: 255 } as const;
  const c = makeCase({ C: 1, target: 'dense', ignored: 0.3, options });
  const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
  const grad = await c.loss.targetGradient(x, y, c.loss.statistics(x, y)).read();
  const expected = reference(c.problem).targetGradient;
  expect([...expected]).toContain(0);
  expectClose('targetGrad', grad as Float32Array, expected, gradTolerance('float32', expected));
  const here = c.loss.targetGradient(
    c.predictions,
    c.target,
    c.loss.statistics(c.predictions, c.target),
  );
  expectClose('here', numbers(here), expected, gradTolerance('float32', expected));
});

describe('a call of targetGradient', () => {
  const c = makeCase({ target: 'dense', N: 3, options: { activation: 'softmax' } });
  const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
  const there = c.loss.statistics(x, y);

  test('with statistics of the host, and of a shard', async () => {
    const whole = await c.loss.targetGradient(x, y, there).read();
    const here = await there.read();
    expect(await c.loss.targetGradient(x, y, here).read()).toEqual(whole);
    const more = Statistics.concat([here, here]);
    const options = { sampleOffset: 3, gradScale: 2 }; // twice the samples, half the gradient
    const part = c.loss.targetGradient(x, y, more, options);
    expectClose('grad', (await part.read()) as Float32Array, whole as Float32Array, 1e-12);
  });

  test('of labels is an error, and the next call works', () => {
    const labels = onDevice(gpu, full([3, 5, 7], 1, 'uint8'));
    expect(() => c.loss.targetGradient(x, labels, there)).toThrow(
      'Expected a dense target of floats for target',
    );
    expect(c.loss.targetGradient(x, y, there).shape).toEqual(y.shape);
  });
});

emulatedOnly(
  'a plan converts what its target holds when it runs, without an allocation',
  async () => {
    const c = makeCase({ target: 'dense', targetDtype: 'float64', weight: 'float16' });
    const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
    const weight = onDevice(gpu, c.weight as never);
    using plan = c.loss.plan(x, y, { weight });
    await y.write(new Float64Array(y.size).fill(0.5));
    const half = full(c.target.shape, 0.5, 'float64');
    await plan.execute().value.item();
    const before = fake.calls('cudaMallocFromPoolAsync');
    await held(() => {
      plan.execute().execute();
      expect(fake.calls('cudaMallocFromPoolAsync')).toBe(before);
    });
    const expected = c.loss.value(c.predictions, half, callOptions(c)).value.itemSync();
    expect(await plan.value.item()).toBeCloseTo(expected, 6);
    expect(expected).not.toBeCloseTo(
      new DiceLoss().value(c.predictions, c.target).value.itemSync(),
      3,
    );
  },
);
