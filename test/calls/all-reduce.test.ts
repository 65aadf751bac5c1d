// The hook between step 1 and step 2: ranks that each hold a part of the data get the loss of all of it.
import { describe, expect, test } from '@jest/globals';
import {
  type AllReduce,
  DiceLoss,
  getThreads,
  JaccardLoss,
  Statistics,
  setThreads,
  Tensor,
} from '../../lib/index.js';
import { makeCase } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { numbers, tensor } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const whole = makeCase({ dtype: 'float64', N: 1, C: 3, spatial: [600] });
const options = { activation: 'softmax', layout: 'channels-last' } as const;
const logits = (from: number, to: number) =>
  tensor(whole.predictions.data.slice(3 * from, 3 * to) as never, [1, to - from, 3], 'float64');
const labels = (from: number, to: number) =>
  tensor(whole.target.data.slice(from, to) as never, [1, to - from], 'uint8');
const [mine, theirs] = [
  [logits(0, 201), labels(0, 201)] as const,
  [logits(201, 600), labels(201, 600)] as const,
];
const all = [logits(0, 600), labels(0, 600)] as const;

describe.each([
  ['DiceLoss', DiceLoss, {}],
  ['DiceLoss, pooled', DiceLoss, { batch: true }],
  ['JaccardLoss', JaccardLoss, { denominator: 'linear' }],
] as const)('%s', (_, Loss, more) => {
  const plain = new Loss({ ...options, ...more });
  const other = plain.statistics(...theirs);
  const expected = plain.valueAndGrad(...all);
  const expectedGrad = numbers(expected.grad).subarray(0, 603);

  const expectWhole = (outcome: { value: Tensor; perClass: Tensor; grad?: Tensor }) => {
    expectClose('value', numbers(outcome.value), numbers(expected.value), 1e-14);
    expectClose('perClass', numbers(outcome.perClass), numbers(expected.perClass), 1e-14);
    if (!outcome.grad) return;
    expectClose(
      'grad',
      numbers(outcome.grad),
      expectedGrad,
      gradTolerance('float64', expectedGrad),
    );
  };
  const now = new Loss({ ...options, ...more, allReduce: (own) => own.add(other) });
  const later = new Loss({
    ...options,
    ...more,
    allReduce: async (own) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return other.add(own);
    },
  });

  test('value', () => expectWhole(now.value(...mine)));
  test('valueAndGrad', () => expectWhole(now.valueAndGrad(...mine)));
  test('valueAsync', async () => expectWhole(await now.valueAsync(...mine)));
  test('valueAndGradAsync', async () => expectWhole(await now.valueAndGradAsync(...mine)));
  test('valueAsync, a promise', async () => expectWhole(await later.valueAsync(...mine)));
  test('valueAndGradAsync, a promise', async () =>
    expectWhole(await later.valueAndGradAsync(...mine)));
  test('a plan, each time that it is executed', () => {
    const step = now.plan(...mine);
    expectWhole(step.execute());
    expectWhole(step.execute());
  });

  test('statistics, fromStatistics and gradient are single steps: the hook is not called', () => {
    const never = new Loss({
      ...options,
      ...more,
      allReduce: () => {
        throw new Error('called');
      },
    });
    const own = never.statistics(...mine);
    expect(own.data).toEqual(plain.statistics(...mine).data);
    never.fromStatistics(own);
    never.gradient(...mine, own);
  });
});

test('the predictions may be overwritten while the hook waits, and by the gradient', async () => {
  const plain = new DiceLoss(options);
  const expected = plain.valueAndGrad(...mine);
  const loss = new DiceLoss({ ...options, allReduce: async (own) => own });
  const [x, y] = [logits(0, 201), labels(0, 201)];
  const promise = loss.valueAndGradAsync(x, y);
  x.data.fill(0 as never);
  y.data.fill(0 as never);
  const outcome = await promise;
  expect(outcome.value.data).toEqual(expected.value.data);
  expect(outcome.grad.data).toEqual(expected.grad.data);

  const place = logits(0, 201);
  await loss.valueAndGradAsync(place, labels(0, 201), { out: { grad: place } });
  expect(place.data).toEqual(expected.grad.data);
});

test('weight and upstream too', async () => {
  const unreduced = { ...options, reduction: 'none' } as const;
  const weight = tensor(new Float64Array(201).fill(0.5), [1, 201], 'float64');
  const upstream = tensor([1, 2, 3], [1, 3], 'float64');
  const expected = new DiceLoss(unreduced).valueAndGrad(...mine, { weight, upstream });
  const loss = new DiceLoss({ ...unreduced, allReduce: async (own) => own });
  const promise = loss.valueAndGradAsync(...mine, { weight, upstream });
  weight.data.fill(0 as never);
  upstream.data.fill(0 as never);
  expect((await promise).grad.data).toEqual(expected.grad.data);
});

test('the hook may keep what it is given', async () => {
  const kept: Statistics[] = [];
  const loss = new DiceLoss({
    ...options,
    allReduce: (own) => {
      kept.push(own);
      return own;
    },
  });
  const plan = loss.plan(...mine);
  loss.value(...theirs);
  loss.value(...mine);
  plan.execute().execute();
  await loss.valueAsync(...mine);
  expect(new Set(kept.map(({ data }) => data)).size).toBe(5);
  expect(kept[0]?.data).toEqual(new DiceLoss(options).statistics(...theirs).data);
  expect(kept[4]?.data).toEqual(kept[1]?.data);
});

test('calls that are pending together come to the hook in their order, whichever is computed first', async () => {
  const threads = getThreads();
  setThreads(4); // so many are computed at a time
  const order: number[] = [];
  const loss = new DiceLoss({
    ...options,
    allReduce: async (own) => {
      order.push(own.samples);
      return own;
    },
  });
  const call = (samples: number, voxels: number, label = 0) =>
    loss.valueAsync(
      Tensor.from(new Float32Array(samples * voxels * 3), [samples, voxels, 3]),
      Tensor.from(new Uint8Array(samples * voxels).fill(label), [samples, voxels]),
    );
  const calls = [call(1, 1 << 20), call(2, 1, 9), call(3, 1), call(4, 1)];
  const ends = (await Promise.allSettled(calls)).map(({ status }) => status);
  setThreads(threads);
  expect(ends).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(order).toEqual([1, 3, 4]);
});

test('in shared memory', async () => {
  const expected = new DiceLoss(options).valueAndGrad(...mine);
  const [x, y] = [Tensor.empty([1, 201, 3], 'float64'), Tensor.empty([1, 201], 'uint8')];
  (x.data as Float64Array).set(mine[0].data as Float64Array);
  (y.data as Uint8Array).set(mine[1].data as Uint8Array);
  const loss = new DiceLoss({ ...options, allReduce: async (own) => own });
  expect((await loss.valueAndGradAsync(x, y)).grad.data).toEqual(expected.grad.data);
});

describe('errors', () => {
  const grad = tensor(new Float64Array(603).fill(7), [1, 201, 3], 'float64');
  const value = tensor([7], [], 'float64');
  const perClass = tensor([7, 7, 7], [1, 3], 'float64');
  const out = { grad, value, perClass };
  const untouched = () => {
    expect([...numbers(grad), ...numbers(value), ...numbers(perClass)].every((x) => x === 7)).toBe(
      true,
    );
  };
  const withHook = (allReduce: unknown) =>
    new DiceLoss({ ...options, allReduce: allReduce as AllReduce });
  const own = new DiceLoss(options).statistics(...mine);

  test.each([null, 1, 'sum', {}])('%p is no hook', (hook) => {
    expect(() => withHook(hook)).toThrow(/^Expected a function for allReduce but received /);
  });

  test.each([
    ['nothing', undefined],
    ['sums alone', own.data],
    [
      'statistics of other classes',
      new DiceLoss(options).statistics(all[0], all[1]).add(own).toJSON(),
    ],
    ['pooled statistics', new DiceLoss({ ...options, batch: true }).statistics(...mine)],
    ['more samples', Statistics.concat([own, own])],
  ])('a hook that returns %s', async (_, merged) => {
    const loss = withHook(() => merged);
    expect(() => loss.valueAndGrad(...mine, { out })).toThrow(
      /^Expected .* for the result of allReduce/,
    );
    await expect(loss.valueAndGradAsync(...mine, { out })).rejects.toThrow(
      /^Expected .* for the result of allReduce/,
    );
    untouched();
  });

  test('a promise where nothing can wait, even one that fails later', async () => {
    const loss = withHook(async () => {
      throw new Error('the network is down');
    });
    for (const call of [
      () => loss.value(...mine),
      () => loss.valueAndGrad(...mine, { out }),
      () => loss.plan(...mine, { out }).execute(),
    ]) {
      expect(call).toThrow(/received a promise: use valueAsync or valueAndGradAsync$/);
    }
    await new Promise((resolve) => setTimeout(resolve, 5)); // an unhandled rejection would end the process
    untouched();
  });

  test('outputs that overlap are refused at the call, before the hook is called', () => {
    let calls = 0;
    const loss = withHook(async (statistics: Statistics) => {
      calls++;
      return statistics;
    });
    const memory = new Float64Array(604);
    const place = { data: memory.subarray(0, 603), shape: [1, 201, 3] };
    const beside = { data: memory.subarray(1, 604), shape: [1, 201, 3] };
    const message =
      /^Expected memory of its own for out\.(grad|value) but received an array that overlaps/;
    for (const call of [
      () => loss.valueAndGradAsync(place, mine[1], { out: { grad: beside } }),
      () =>
        loss.valueAndGradAsync(...mine, {
          out: { grad: beside, value: { data: memory.subarray(603), shape: [] } },
        }),
    ]) {
      expect(call).toThrow(message);
    }
    expect(calls).toBe(0);
  });

  test('an error of the hook itself comes through', async () => {
    const failure = new Error('the network is down');
    const loss = withHook(() => {
      throw failure;
    });
    expect(() => loss.value(...mine)).toThrow(failure);
    await expect(loss.valueAsync(...mine)).rejects.toBe(failure);
  });

  test('a label out of range is found before the hook is called', async () => {
    let calls = 0;
    const loss = withHook((statistics: Statistics) => {
      calls++;
      return statistics;
    });
    const wrong = labels(0, 201);
    wrong.data[5] = 3 as never;
    expect(() => loss.value(mine[0], wrong)).toThrow(/the first 3 at index 5/);
    await expect(loss.valueAsync(mine[0], wrong)).rejects.toThrow(/the first 3 at index 5/);
    expect(calls).toBe(0);
  });
});
