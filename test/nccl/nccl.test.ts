/**
 * warpdice/nccl on the emulated devices: a fake NCCL on the fake CUDA runtime. Nothing here has run on a GPU.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import {
  Device,
  DiceCELoss,
  DiceLoss,
  GeneralizedDiceLoss,
  type Loss,
  Tensor,
  TverskyLoss,
} from '../../lib/index.js';
import { type Communicator, connect, uniqueId } from '../../lib/nccl.js';
import { makeCase } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { fake as cuda, onDevice } from '../support/device.js';
import { closed, fake, library, ranks } from '../support/nccl.js';
import { numbers, tensor } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const whole = makeCase({ N: 3, C: 3, spatial: [201] });
const samples = (from: number, to: number) =>
  [
    tensor(whole.predictions.data.slice(603 * from, 603 * to) as never, [to - from, 3, 201]),
    tensor(whole.target.data.slice(201 * from, 201 * to) as never, [to - from, 201], 'uint8'),
  ] as const;
/** Two samples of the first rank, one of the second. */
const shards = [samples(0, 2), samples(2, 3)] as const;
const onItsDevice = (rank: number) =>
  shards[rank as 0 | 1].map((from) => onDevice(Device.cuda(rank), from)) as [Tensor, Tensor];
const softmax = { activation: 'softmax', batch: true } as const;
const read = async (from: Tensor) => (await from.read()) as Float64Array;

async function expectWhole(
  results: { value: Tensor; grad: Tensor }[],
  expected: { value: Tensor; grad: Tensor },
) {
  const grads = numbers(expected.grad);
  const values = await Promise.all(results.map(({ value }) => read(value)));
  expectClose('value', values[0] as Float64Array, numbers(expected.value), 1e-7);
  expect(values[1]).toEqual(values[0]);
  for (const [rank, { grad }] of results.entries()) {
    const own = rank === 0 ? grads.subarray(0, 1206) : grads.subarray(1206);
    expectClose('grad', await read(grad), own, gradTolerance('float32', grads));
  }
}

const losses: [string, (options: object) => Loss][] = [
  ['Dice', (options) => new DiceLoss({ ...softmax, ...options })],
  ['sums', (options) => new TverskyLoss({ ...softmax, reduction: 'sum', gamma: 2, ...options })],
  ['generalized', (options) => new GeneralizedDiceLoss({ ...softmax, ...options })],
  ['compound', (options) => new DiceCELoss({ batch: true, ...options })],
];

describe.each(losses)('%s', (_, make) => {
  const expected = make({}).valueAndGrad(...samples(0, 3));

  test('calls and plans have the value and the gradient of all ranks', async () => {
    const all = await ranks(2);
    const each = <T>(what: (loss: Loss, inputs: [Tensor, Tensor]) => T) =>
      all.map(({ allReduce }, rank) => what(make({ allReduce }), onItsDevice(rank)));
    await expectWhole(
      each((loss, inputs) => loss.valueAndGrad(...inputs)),
      expected,
    );
    await expectWhole(
      await Promise.all(each((loss, inputs) => loss.valueAndGradAsync(...inputs))),
      expected,
    );
    const plans = each((loss, inputs) => loss.plan(...inputs));
    for (let step = 0; step < 3; step++) {
      for (const plan of plans) plan.execute();
      await expectWhole(plans, expected);
    }
    for (const plan of plans) plan.dispose();
    await closed(all);
  });
});

test('statistics per sample, added over parts of the volumes', async () => {
  const all = await ranks(2);
  const loss = new DiceLoss({ activation: 'softmax', layout: 'channels-last' });
  const x = tensor(whole.predictions.data as never, [3, 201, 3]);
  const y = tensor(whole.target.data as never, [3, 201], 'uint8');
  const part = (rank: number) => {
    const cut = (data: ArrayLike<number>, per: number) =>
      Array.from({ length: 3 }, (_, n) => {
        const begin = (201 * n + 80 * rank) * per;
        return Array.prototype.slice.call(data, begin, begin + (rank ? 121 : 80) * per);
      }).flat();
    const length = rank ? 121 : 80;
    return [
      Tensor.from(Float32Array.from(cut(x.data as Float32Array, 3)), [3, length, 3]),
      Tensor.from(Uint8Array.from(cut(y.data as Uint8Array, 1)), [3, length]),
    ].map((from) => from.to(Device.cuda(rank))) as [Tensor, Tensor];
  };
  const values = all.map(({ allReduce }, rank) =>
    new DiceLoss({ activation: 'softmax', layout: 'channels-last', allReduce }).value(
      ...part(rank),
    ),
  );
  const expected = loss.value(x, y);
  for (const { perClass } of values) {
    expectClose('perClass', await read(perClass), numbers(expected.perClass), 1e-7);
  }
  await closed(all);
});

test('more sums than the frame has room for', async () => {
  const [C, S] = [9, 150];
  const one = makeCase({ N: 1, C, spatial: [S] });
  const two = makeCase({ N: 1, C, spatial: [S], seed: 7 });
  const parts = [one, two].map(
    ({ predictions, target }) =>
      [
        tensor(predictions.data as never, [1, C, S]),
        tensor(target.data as never, [1, S], 'uint8'),
      ] as const,
  );
  const plain = new DiceLoss(softmax);
  const [a, b] = parts.map(([x, y]) => plain.statistics(x, y));
  const expected = plain.fromStatistics(
    (a as never as ReturnType<Loss['statistics']>).add(b as never),
  );
  const all = await ranks(2);
  const plans = all.map(({ allReduce, device }, rank) => {
    const [x, y] = parts[rank] as (typeof parts)[0];
    return new DiceLoss({ ...softmax, allReduce }).plan(onDevice(device, x), onDevice(device, y));
  });
  expect(fake.ncclLog()).toMatch(/of 64 of type 8 by 0 on \d+\n.*of 16 of type 8 by 0/);
  for (const plan of plans) plan.execute();
  for (const { value } of plans)
    expectClose('value', await read(value), numbers(expected.value), 1e-7);
  for (const plan of plans) plan.dispose();
  await closed(all);
});

test('a plan captures the all-reduce once: executing and binding call NCCL no more', async () => {
  const all = await ranks(2);
  const plans = all.map(({ allReduce }, rank) =>
    new DiceLoss({ ...softmax, allReduce }).plan(...onItsDevice(rank)),
  );
  const calls = fake.ncclLog();
  expect(calls).toMatch(
    /^all-reduce of 64 of type 8 by 0 on \d+\nall-reduce of 64 of type 8 by 1 on \d+\n$/,
  );
  const launches = cuda.calls('cudaGraphLaunch');
  const copies = cuda.calls('cudaMemcpyAsync');
  for (let step = 0; step < 2; step++) {
    for (const [rank, plan] of plans.entries()) plan.bind(...onItsDevice(rank));
    for (const plan of plans) plan.execute();
  }
  expect(cuda.calls('cudaGraphLaunch')).toBe(launches + 4);
  // Uploads of the tensors that are bound: nothing visits the host.
  expect(cuda.calls('cudaMemcpyAsync')).toBe(copies + 8);
  expect(fake.ncclLog()).toBe('');
  await expectWhole(plans, new DiceLoss(softmax).valueAndGrad(...samples(0, 3)));
  for (const plan of plans) plan.dispose();
  await closed(all);
  expect(fake.ncclLog()).toMatch(/^finalize [01]\nfinalize [01]\ndestroy [01]\ndestroy [01]\n$/);
});

test('calls go to the current stream', async () => {
  const [one] = (await ranks(1)) as [Communicator];
  const x = Tensor.from(Float32Array.of(1, 2), [2]).to(one.device);
  one.sum(x);
  const handle = one.device.stream.handle;
  expect(fake.ncclLog()).toBe(
    `all-reduce of 64 of type 8 by 0 on ${handle}\nall-reduce of 2 of type 7 by 0 on ${handle}\n`,
  );
  expect([...((await x.read()) as Float32Array)]).toEqual([1, 2]);
  await one.close();
});

test('sum adds tensors of every float dtype in place', async () => {
  const all = await ranks(2);
  for (const [dtype, three, four] of [
    ['float32', 3, 4],
    ['float64', 3, 4],
    ['float16', 0x4200, 0x4400],
    ['bfloat16', 0x4040, 0x4080],
  ] as const) {
    const bits = dtype.endsWith('16');
    const of = (value: number, bit: number) => {
      const Type = dtype === 'float64' ? Float64Array : bits ? Uint16Array : Float32Array;
      return Tensor.from(new Type(1000).fill(bits ? bit : value), [10, 100], { dtype });
    };
    const one = dtype === 'bfloat16' ? 0x3f80 : 0x3c00;
    const tensors = all.map(({ device }, rank) => of(rank ? 1 : 3, rank ? one : three).to(device));
    for (const [rank, it] of tensors.entries()) expect(all[rank]?.sum(it)).toBe(it);
    for (const it of tensors) {
      expect(new Set((await it.read()) as Float32Array)).toEqual(new Set([four]));
    }
  }
  await closed(all);
});

test('a rank without samples takes part by statistics of no voxels', async () => {
  const all = (await ranks(2)) as [Communicator, Communicator];
  const loss = new DiceLoss({ ...softmax, allReduce: all[0].allReduce });
  const other = new DiceLoss(softmax);
  const { value } = loss.value(...onItsDevice(0));
  const merged = all[1].allReduce(other.emptyStatistics(3));
  expect(merged.device).toBe(Device.cuda(1));
  const expected = other.value(...shards[0]);
  for (const it of [value, other.fromStatistics(merged).value]) {
    expectClose('value', await read(it), numbers(expected.value), 1e-7);
  }
  await closed(all);
});

test('labels out of range are told on their own rank, and the others go on', async () => {
  const all = (await ranks(2)) as [Communicator, Communicator];
  const results = all.map(({ allReduce }, rank) => {
    const [x, y] = onItsDevice(rank);
    const wrong = Tensor.from(new Uint8Array(y.size).fill(9), y.shape).to(Device.cuda(rank));
    return new DiceLoss({ ...softmax, allReduce }).value(x, rank ? wrong : y);
  });
  await expect(results[1]?.value.read()).rejects.toMatchObject({ code: 'ERR_LABEL_RANGE' });
  const [value] = await read(results[0]?.value as Tensor);
  expect(value).toBeGreaterThan(0);
  await closed(all);
});

describe('ranks that do not do the same', () => {
  const mismatch = { code: 'ERR_NCCL_MISMATCH' };

  test('find it on all ranks, when they read a result, and the next call works', async () => {
    const all = (await ranks(2)) as [Communicator, Communicator];
    const [a, b] = [onItsDevice(0), onItsDevice(1)];
    const dice = new DiceLoss({ ...softmax, allReduce: all[0].allReduce }).valueAndGrad(...a);
    const other = new TverskyLoss({ ...softmax, allReduce: all[1].allReduce }).valueAndGrad(...b);
    for (const it of [dice.value, dice.grad, dice.perClass, other.value, other.grad]) {
      await expect(it.read()).rejects.toMatchObject(mismatch);
    }
    await expect(dice.value.read()).rejects.toThrow(
      'Expected the same call on all 2 ranks but this one makes allReduce of statistics [1, 3, 8] (pooled, squared, activation softmax) and another one makes another call',
    );
    expect(() => dice.value.itemSync()).toThrow(expect.objectContaining(mismatch));

    const empty = (classes: number) => new DiceLoss(softmax).emptyStatistics(classes);
    const merged = [all[0].allReduce(empty(2)), all[1].allReduce(empty(3))];
    for (const it of merged) await expect(it.read()).rejects.toMatchObject(mismatch);
    const same = all.map(({ allReduce }) => allReduce(empty(2)));
    for (const it of same) expect([...(await it.read()).data]).toEqual(Array(16).fill(0));
    await closed(all);
  });
});

describe('a rank that does not come', () => {
  test('the sum is aborted after the time-out, and the communicator is closed for good', async () => {
    const all = (await ranks(2, { timeout: 100 })) as [Communicator, Communicator];
    const loss = new DiceLoss({ ...softmax, allReduce: all[0].allReduce });
    const plan = loss.plan(...onItsDevice(0));
    plan.execute();
    const late = { code: 'ERR_NCCL_TIMEOUT' };
    await expect(plan.value.read()).rejects.toMatchObject(late);
    await expect(plan.grad.read()).rejects.toThrow(
      'Expected all 2 ranks in an all-reduce within 100 ms but some have not come: they have ended, are late, or wait in another call. This communicator is closed for good',
    );
    expect(fake.ncclLog()).toMatch(/abort 0\n$/);
    expect(() => plan.execute()).toThrow(expect.objectContaining(late));
    expect(() => loss.value(...onItsDevice(0))).toThrow(expect.objectContaining(late));
    const x = Tensor.from(new Float32Array(4), [4]).to(Device.cuda(0));
    expect(() => all[0].sum(x)).toThrow(expect.objectContaining(late));
    await expect(all[0].close()).rejects.toMatchObject(late);
  });

  test('arrays of another length wait for ever in NCCL: the time-out ends that', async () => {
    const all = (await ranks(2, { timeout: 100 })) as [Communicator, Communicator];
    const tensors = all.map(({ device }, rank) =>
      Tensor.from(new Float32Array(4 + rank), [4 + rank]).to(device),
    );
    for (const [rank, it] of tensors.entries()) all[rank]?.sum(it);
    for (const it of tensors) {
      await expect(it.read()).rejects.toMatchObject({ code: 'ERR_NCCL_TIMEOUT' });
    }
  });

  test('connect, and close', async () => {
    fake.useNccl();
    const id = uniqueId({ library });
    const device = Device.cuda(0);
    await expect(connect({ id, rank: 0, size: 2, device, timeout: 50 })).rejects.toThrow(
      'Expected all 2 ranks in connect within 50 ms but some have not come',
    );
    const [one] = (await ranks(2, { timeout: 50 })) as [Communicator];
    await expect(one.close()).rejects.toThrow(/ranks in close within 50 ms/);
  });
});

describe('an error of NCCL', () => {
  const failed = (name: string) => `${name} failed: a planted error (said by the fake)`;

  test('ncclGetUniqueId', () => {
    fake.useNccl();
    uniqueId({ library });
    fake.failNccl('ncclGetUniqueId', 5);
    expect(() => uniqueId()).toThrow(
      expect.objectContaining({ code: 'ERR_NCCL', message: failed('ncclGetUniqueId') }),
    );
  });

  test('ncclCommInitRankConfig', async () => {
    fake.useNccl();
    const id = uniqueId({ library });
    fake.failNccl('ncclCommInitRankConfig', 1);
    await expect(connect({ id, rank: 0, size: 1 })).rejects.toThrow(
      failed('ncclCommInitRankConfig'),
    );
  });

  test('ncclCommGetAsyncError', async () => {
    fake.useNccl();
    const id = uniqueId({ library });
    fake.failNccl('ncclCommGetAsyncError', 3);
    await expect(connect({ id, rank: 0, size: 1 })).rejects.toThrow(failed('connect'));
  });

  test('ncclAllReduce, in a call and in a plan', async () => {
    for (const begins of [
      (loss: Loss) => loss.value(...onItsDevice(0)),
      (loss: Loss) => loss.plan(...onItsDevice(0)),
    ]) {
      const [one] = (await ranks(1)) as [Communicator];
      fake.failNccl('ncclAllReduce', 3);
      const loss = new DiceLoss({ ...softmax, allReduce: one.allReduce });
      expect(() => begins(loss)).toThrow(
        /^ncclAllReduce failed: a planted error.* in allReduce of statistics/,
      );
      expect(() => begins(loss)).toThrow(/closed for good/);
    }
  });

  test('that comes while a sum is under way', async () => {
    const [one] = (await ranks(2)) as [Communicator];
    const { value } = new DiceLoss({ ...softmax, allReduce: one.allReduce }).value(
      ...onItsDevice(0),
    );
    fake.failNccl('asynchronous', 6);
    await expect(value.read()).rejects.toMatchObject({
      code: 'ERR_NCCL',
      message:
        'An all-reduce failed: remote process exited (said by the fake). This communicator is closed for good',
    });
  });

  test('ncclCommFinalize and ncclCommDestroy', async () => {
    for (const name of ['ncclCommFinalize', 'ncclCommDestroy']) {
      const [one] = (await ranks(1)) as [Communicator];
      fake.failNccl(name, 3);
      await expect(one.close()).rejects.toThrow(failed(name));
    }
  });
});

describe('close', () => {
  test('waits for the work, then refuses later calls', async () => {
    const all = (await ranks(2)) as [Communicator, Communicator];
    const x = Tensor.from(Float32Array.of(1), [1]).to(Device.cuda(0));
    all[0].sum(x);
    const closing = all[0].close();
    const y = Tensor.from(Float32Array.of(2), [1]).to(Device.cuda(1));
    all[1].sum(y);
    await Promise.all([closing, all[1].close(), all[1].close()]);
    expect((await x.read())[0]).toBe(3);
    const disposed = expect.objectContaining({ code: 'ERR_DISPOSED' });
    expect(() => all[0].sum(x)).toThrow(disposed as never);
    const loss = new DiceLoss({ ...softmax, allReduce: all[0].allReduce });
    expect(() => loss.value(...onItsDevice(0))).toThrow(
      'Expected an open communicator for allReduce of statistics [1, 3, 8]',
    );
  });

  test('refuses while there are plans', async () => {
    const [one] = (await ranks(1)) as [Communicator];
    const plan = new DiceLoss({ ...softmax, allReduce: one.allReduce }).plan(...onItsDevice(0));
    await expect(one.close()).rejects.toThrow(
      'Expected no plans that use the communicator at its close but there are 1: dispose() them first',
    );
    expect((await read(plan.execute().value))[0]).toBeGreaterThan(0);
    plan.dispose();
    await one.close();
  });
});
