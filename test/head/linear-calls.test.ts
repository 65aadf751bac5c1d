// Calls with linearLogits: the methods of a loss, plans, buffers of the caller, memory, and wrong arguments.
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceCELoss,
  DiceLoss,
  getThreads,
  type LinearGrad,
  linearLogits,
  setThreads,
  Tensor,
} from '../../lib/index.js';
import { expectNoGarbage } from '../support/garbage.js';
import { runWell } from '../support/process.js';
import { type FloatDType, full, numbers, onShared, type Typed } from '../support/tensors.js';
import {
  composed,
  expectLikeComposed,
  expectNear,
  type HeadCase,
  makeData,
  parts,
} from './composed.js';

const softmax = new DiceLoss({ activation: 'softmax' });
const diceCE = new DiceCELoss({ activation: 'softmax' });
const small: HeadCase = { N: 2, K: 5, C: 3, size: [7, 9] };
const dense: HeadCase = { ...small, dense: 'float32' };

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** What an array holds, to the bit: Jest's comparison of large arrays takes a second. */
const digest = (data: ArrayBufferView | undefined) =>
  data && createHash('sha1').update(bytesOf(data)).digest('hex');
const bits = (grad: LinearGrad) => parts.map((part) => digest(grad[part]?.data));

describe('the ways to call', () => {
  const data = makeData({ N: 3, K: 20, C: 11, size: [41, 37] });
  const logits = linearLogits(data.features, data.weight, data.bias);
  const expected = diceCE.valueAndGrad(logits, data.target);

  test('the same bits for any number of threads', () => {
    const before = getThreads();
    const of: HeadCase = { N: 2, K: 8, C: 21, size: [17_011] };
    const large = makeData(of);
    const big = linearLogits(large.features, large.weight, large.bias);
    try {
      const results = [1, 2, 5].map((threads) => {
        setThreads(threads);
        const { value, perClass, grad } = diceCE.valueAndGrad(big, large.target);
        return [digest(value.data), digest(perClass.data), ...bits(grad)];
      });
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    } finally {
      setThreads(before);
    }
    expectLikeComposed(diceCE, of); // several runs and parts
  });

  test('value, statistics and gradient are those of valueAndGrad', () => {
    expect(diceCE.value(logits, data.target).value.data).toEqual(expected.value.data);
    const statistics = diceCE.statistics(logits, data.target);
    expect(diceCE.fromStatistics(statistics).value.data).toEqual(expected.value.data);
    expect(bits(diceCE.gradient(logits, data.target, statistics))).toEqual(bits(expected.grad));
  });

  test('off the event loop', async () => {
    const { value, grad } = await diceCE.valueAndGradAsync(logits, data.target);
    expect([value.data, ...bits(grad)]).toEqual([expected.value.data, ...bits(expected.grad)]);
    expect((await diceCE.valueAsync(logits, data.target)).value.data).toEqual(expected.value.data);
    const statistics = await diceCE.statisticsAsync(logits, data.target);
    const later = await diceCE.gradientAsync(logits, data.target, statistics);
    expect(bits(later)).toEqual(bits(expected.grad));
    const shared = linearLogits(
      onShared(data.features),
      onShared(data.weight),
      onShared(data.bias as Typed),
    );
    expect(bits((await diceCE.valueAndGradAsync(shared, data.target)).grad)).toEqual(
      bits(expected.grad),
    );
  });

  test('an allReduce hook between the steps', async () => {
    let calls = 0;
    const allReduce = (own: never) => {
      calls++;
      return own;
    };
    const hooked = new DiceCELoss({ activation: 'softmax', allReduce } as never);
    expect(bits(hooked.valueAndGrad(logits, data.target).grad)).toEqual(bits(expected.grad));
    expect(bits((await hooked.valueAndGradAsync(logits, data.target)).grad)).toEqual(
      bits(expected.grad),
    );
    expect(calls).toBe(2);
  });

  test('parts that are null are left out', () => {
    for (const part of parts) {
      const { grad } = diceCE.valueAndGrad(logits, data.target, {
        out: { grad: { [part]: null } },
      });
      for (const other of parts) {
        if (other === part) expect(grad[other]).toBeNull();
        else expect(digest(grad[other]?.data)).toBe(digest(expected.grad[other]?.data));
      }
    }
    const only = { features: null, weight: null };
    const { grad } = diceCE.valueAndGrad(logits, data.target, { out: { grad: only } });
    expect(grad.bias?.data).toEqual(expected.grad.bias?.data);
  });

  test("results in the caller's tensors, and nothing else is made", () => {
    const grad = {
      features: Tensor.empty(data.features.shape),
      weight: Tensor.empty(data.weight.shape),
      bias: Tensor.empty([11]),
    };
    const out = {
      value: Tensor.empty([], 'float64'),
      perClass: Tensor.empty([3, 11], 'float64'),
      parts: Tensor.empty([3], 'float64'),
      grad,
    };
    expect(diceCE.valueAndGrad(logits, data.target, { out })).toBe(out);
    expect(bits(grad)).toEqual(bits(expected.grad));
  });

  test("the features' gradient may replace the features", () => {
    const own = { ...data.features, data: data.features.data.slice() as Typed['data'] };
    const { grad } = diceCE.valueAndGrad(linearLogits(own, data.weight, data.bias), data.target, {
      out: { grad: { features: own } },
    });
    expect(grad.features?.data).toBe(own.data);
    expect(bits(grad)).toEqual(bits(expected.grad));
  });

  test('accumulate adds all parts, or those named', () => {
    const filled = () => ({
      features: full(data.features.shape, 1),
      weight: full(data.weight.shape, 2),
      bias: full([11], 3),
    });
    const sum = (grad: LinearGrad, from: Record<(typeof parts)[number], number>) => {
      for (const part of parts) {
        const wanted = numbers(expected.grad[part] as never).map((x) => x + from[part]);
        expectNear(numbers(grad[part] as never), wanted, 1e-6, part);
      }
    };
    const all = { accumulate: true, out: { grad: filled() } };
    sum(diceCE.valueAndGrad(logits, data.target, all).grad, { features: 1, weight: 2, bias: 3 });
    const some = { accumulate: { weight: true }, out: { grad: filled() } };
    sum(diceCE.valueAndGrad(logits, data.target, some).grad, { features: 0, weight: 2, bias: 0 });
  });

  test('accumulate off the event loop', async () => {
    const grad = { weight: full(data.weight.shape, 2) };
    const accumulate = { weight: true };
    await diceCE.valueAndGradAsync(logits, data.target, { accumulate, out: { grad } });
    const wanted = numbers(expected.grad.weight as never).map((x) => x + 2);
    expectNear(numbers(grad.weight), wanted, 1e-6, 'weight');
  });

  test('the gradient of a dense target', () => {
    for (const channelsLast of [false, true]) {
      const layout = channelsLast ? 'channels-last' : 'channels-first';
      const loss = new DiceCELoss({ activation: 'softmax', layout });
      const of: HeadCase = {
        N: 2,
        K: 5,
        C: 4,
        size: [150],
        dense: 'float64',
        channelsLast,
        dtype: 'float64',
      };
      const soft = makeData(of);
      const { logits: z } = composed(loss, of, soft);
      const memory = { data: z, shape: soft.target.shape };
      const wanted = loss.targetGradient(memory, soft.target, loss.statistics(memory, soft.target));
      const linear = linearLogits(soft.features, soft.weight, soft.bias);
      const statistics = loss.statistics(linear, soft.target);
      const targetGrad = full(soft.target.shape, 1, 'float64');
      const options = { accumulate: true, out: { targetGrad } };
      const got = loss.targetGradient(linear, soft.target, statistics, options);
      const more = numbers(wanted as never).map((x) => x + 1);
      expectNear(got.data as Float64Array, more, 1e-12, 'target');
    }
  });

  test('statistics of more samples: sampleOffset', () => {
    const statistics = diceCE.statistics(logits, data.target);
    const S = 41 * 37;
    const second = (from: Typed) => {
      const size = from.data.length / 3;
      return {
        ...from,
        data: from.data.slice(size, 2 * size) as Typed['data'],
        shape: [1, ...from.shape.slice(1)],
      };
    };
    const one = linearLogits(second(data.features), data.weight, data.bias);
    const grad = diceCE.gradient(one, second(data.target), statistics, { sampleOffset: 1 });
    const wanted = numbers(expected.grad.features as never).slice(20 * S, 40 * S);
    expectNear(grad.features?.data as Float32Array, wanted, 1e-6, 'features');
  });

  test('deep supervision gives one set of gradients a scale', () => {
    const fine = makeData({ N: 2, K: 6, C: 3, size: [8, 10] });
    const coarse = makeData({ N: 2, K: 9, C: 3, size: [4, 5], seed: 2 });
    const supervision = new DeepSupervision(softmax, [0.75, 0.25]);
    const heads = [fine, coarse].map((of) => linearLogits(of.features, of.weight, of.bias));
    const { value, scales } = supervision.valueAndGrad(heads, fine.target);
    const alone = softmax.valueAndGrad(heads[0] as never, fine.target, {
      gradScale: 0.75,
    }) as never as { grad: LinearGrad };
    expect(bits(scales[0]?.grad as LinearGrad)).toEqual(bits(alone.grad));
    expect(scales[1]?.grad.weight?.shape).toEqual([3, 9]);
    const sum = scales.reduce(
      (total, scale, i) => total + ([0.75, 0.25][i] as number) * scale.value.itemSync(),
      0,
    );
    expect(value.itemSync()).toBeCloseTo(sum, 12);
    expect(supervision.value(heads, fine.target).value.itemSync()).toBe(value.itemSync());
    const shared = full([3, 6], 0);
    const twice = [
      { grad: { weight: shared } },
      { grad: { bias: { ...shared, data: shared.data.subarray(0, 3), shape: [3] } } },
    ];
    expect(() =>
      supervision.valueAndGrad(heads, fine.target, { out: { scales: twice } } as never),
    ).toThrow(
      'Expected memory of its own for out.scales[1].grad.bias but received an array that overlaps out.scales[0].grad.weight',
    );
  });
});

describe('a plan', () => {
  const a = makeData({ N: 2, K: 6, C: 5, size: [19, 7] });
  const b = makeData({ N: 2, K: 6, C: 5, size: [19, 7], seed: 11 });
  const logits = linearLogits(a.features, a.weight, a.bias);
  const plan = softmax.plan(logits, a.target);

  test('takes new features, and new weights', () => {
    expect(bits(plan.execute().grad)).toEqual(bits(softmax.valueAndGrad(logits, a.target).grad));
    const kept = plan.grad;
    plan.bind(b.features, b.target).execute();
    const withOld = softmax.valueAndGrad(linearLogits(b.features, a.weight, a.bias), b.target);
    expect(bits(plan.grad)).toEqual(bits(withOld.grad));
    const all = linearLogits(b.features, b.weight, b.bias);
    plan.bind(all, b.target).execute();
    expect(bits(plan.grad)).toEqual(bits(softmax.valueAndGrad(all, b.target).grad));
    expect(plan.grad).toBe(kept);
  });

  test('refuses others, and keeps what it had', () => {
    const before = bits(plan.bind(logits, a.target).execute().grad);
    expect(() => plan.bind(linearLogits(b.features, b.weight), b.target)).toThrow(
      'Expected a bias, as the plan has, for bias of linearLogits but received none',
    );
    expect(() => plan.bind(plan.grad.features as Tensor, b.target)).not.toThrow(); // in place
    expect(() => plan.bind(full([2, 6, 19, 8], 0), b.target)).toThrow(
      /^Expected shape \[2, 6, 19, 7\], that of the plan/,
    );
    const weight = plan.grad.weight as Tensor;
    expect(() => plan.bind(linearLogits(a.features, weight, a.bias), a.target)).toThrow(
      'Expected memory of its own for out.grad.weight but received an array that overlaps predictions.weight',
    );
    expect(bits(plan.bind(logits, a.target).execute().grad)).toEqual(before);
  });

  test('leaves no garbage', () => {
    const x = Tensor.from(new Float32Array(24).fill(0.3), [1, 3, 8]);
    const y = Tensor.from(new Uint8Array(8).fill(1), [1, 8]);
    const tiny = softmax.plan(linearLogits(x, full([2, 3], 1), full([2], 0)), y);
    expectNoGarbage(() => tiny.bind(x, y).execute());
  });
});

describe('wrong arguments name both sides', () => {
  const { features, weight, bias, target } = makeData(small);
  const of = (shape: number[], dtype: FloatDType = 'float32') => full(shape, 0, dtype);
  const refuses = (call: () => unknown, message: string, type: typeof Error = RangeError) => {
    expect(call).toThrow(message);
    expect(call).toThrow(type);
  };

  test('in linearLogits', () => {
    refuses(
      () => linearLogits(features, of([3, 6])),
      'Expected 5 columns (or 9 with channels last), as features of shape [2, 5, 7, 9] have, for weight but received shape [3, 6]',
    );
    refuses(
      () => linearLogits(features, weight, of([4])),
      'Expected shape [3], as weight has shape [3, 5], for bias but received [4]',
    );
    refuses(
      () => linearLogits(features, weight, of([3], 'float64')),
      'Expected dtype float32, that of weight, for bias but received float64',
      TypeError,
    );
    refuses(
      () => linearLogits(features, of([3, 5], 'float64')),
      'Expected dtype float32, as features are float32, for weight but received float64',
      TypeError,
    );
    refuses(
      () => linearLogits(of([2, 5, 7], 'float16'), of([3, 5], 'bfloat16')),
      'Expected dtype float16 or float32, as features are float16, for weight but received bfloat16',
      TypeError,
    );
    refuses(
      () => linearLogits(features, of([3, 5, 3, 3])),
      '[C, K], or [C, K, 1, 1] of a 1x1 convolution,',
    );
    refuses(
      () => linearLogits(of([1, 1025, 2]), of([3, 1025])),
      'Expected at most 1024 for the columns of weight',
    );
    refuses(
      () => linearLogits(features, of([1001, 5])),
      'Expected at most 1000 for the rows of weight',
    );
    refuses(() => linearLogits(of([5]), weight), 'Expected rank 2 or more');
  });

  test('in a call', () => {
    const logits = linearLogits(features, weight, bias);
    const last = new DiceLoss({ activation: 'softmax', layout: 'channels-last' });
    refuses(
      () => last.value(logits, target),
      'Expected 9 columns, as predictions.features of shape [2, 5, 7, 9] (channels-last) have features, for predictions.weight but received shape [3, 5]',
    );
    refuses(
      () => new DiceLoss().value(logits, target),
      "linearLogits cannot be combined with activation 'none': use 'softmax' or 'sigmoid'",
      TypeError,
    );
    const own = of([3, 5]);
    refuses(
      () => softmax.valueAndGrad(logits, target, { out: { grad: { weight } } }),
      'Expected memory of its own for out.grad.weight but received an array that overlaps predictions.weight',
    );
    refuses(
      () =>
        softmax.valueAndGrad(logits, target, {
          out: {
            grad: { weight: own, bias: { ...own, data: own.data.subarray(0, 3), shape: [3] } },
          },
        }),
      'Expected memory of its own for out.grad.weight but received an array that overlaps out.grad.bias',
    );
    refuses(
      () =>
        softmax.valueAndGrad(linearLogits(features, weight), target, {
          out: { grad: { bias: of([3]) } },
        }),
      'out.grad.bias needs a bias of linearLogits',
      TypeError,
    );
    refuses(
      () => softmax.valueAndGrad(logits, target, { accumulate: { bias: true } }),
      'accumulate: true needs out.grad.bias, the gradient to add to',
      TypeError,
    );
    refuses(
      () =>
        softmax.valueAndGrad(logits, target, {
          out: { grad: { features: null, weight: null, bias: null } },
        }),
      'out.grad needs a part that is not null: features, weight or bias',
      TypeError,
    );
    refuses(
      () => softmax.valueAndGrad(logits, target, { out: { grad: { weight: of([5, 3]) } } }),
      'Expected shape [3, 5] for out.grad.weight but received [5, 3]',
    );
    const wrong = { ...target, data: target.data.slice() as Typed['data'] };
    wrong.data[77] = 3;
    expect(() => softmax.valueAndGrad(logits, wrong)).toThrow(/label 3 .* 77|77/);
    const soft = makeData(dense);
    (soft.target.data as Float32Array)[2 * 63 + 5] = 7;
    expect(() => softmax.value(linearLogits(soft.features, soft.weight), soft.target)).toThrow(
      /131/,
    );
    const gone = Tensor.empty([3, 5]);
    const late = linearLogits(features, gone);
    gone.dispose();
    expect(() => softmax.value(late, target)).toThrow(
      'Expected a live tensor for predictions.weight but received a disposed one',
    );
    expect(softmax.value(logits, target).value.itemSync()).toBeGreaterThan(0);
  });
});

/** AddressSanitizer keeps freed memory. */
const measurable = process.platform === 'linux' && !(process.env.LD_PRELOAD ?? '').includes('asan');
const testOnLinux = measurable ? test : test.skip;
testOnLinux.each([
  [8, 200, 2 ** 17], // logits of 105 MB
  [64, 20, 2 ** 18],
])('nothing grows with the logits: %d features, %d classes, %d voxels', async (K, C, S) => {
  const grown = Number(await runWell('linear-memory.mjs', { args: [K, C, S].map(String) }));
  const parts = 16 * C * (K + 15) * 4; // of the weight's gradient
  expect(grown).toBeGreaterThan(0);
  expect(grown).toBeLessThan(2 * (2 << 20) + parts + (2 << 20)); // two threads; sums of runs; what Node itself takes
});
