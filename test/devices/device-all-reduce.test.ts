/**
 * The allReduce hook of losses on the emulated device: called by the Async calls, with the sums on the host.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { expect, test } from '@jest/globals';
import { type AllReduce, DiceLoss, Statistics, Stream, Tensor } from '../../lib/index.js';
import { makeCase } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { emulatedOnly, gpu, onDevice, otherGpu } from '../support/device.js';
import { full, numbers, tensor } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const whole = makeCase({ N: 1, C: 3, spatial: [600] });
const options = { activation: 'softmax', layout: 'channels-last' } as const;
const rows = (from: number, to: number) =>
  [
    tensor(whole.predictions.data.slice(3 * from, 3 * to) as never, [1, to - from, 3]),
    tensor(whole.target.data.slice(from, to) as never, [1, to - from], 'uint8'),
  ] as const;
const [mine, theirs, all] = [rows(0, 201), rows(201, 600), rows(0, 600)];
const there = (rank: typeof mine) => rank.map((from) => onDevice(gpu, from)) as [Tensor, Tensor];
const withHook = (allReduce: AllReduce, more = {}) =>
  new DiceLoss({ ...options, ...more, allReduce });

test.each([{}, { batch: true }, { reduction: 'none' as const }])(
  'value and gradient are those of all ranks: %j',
  async (more) => {
    const plain = new DiceLoss({ ...options, ...more });
    const gradient = 'reduction' in more ? { upstream: full([1, 3], 2, 'float64') } : {};
    const expected = plain.valueAndGrad(...all, gradient);
    const other = plain.statistics(...theirs);
    const weight = onDevice(gpu, full([1, 201], 1));
    const upstream = gradient.upstream && onDevice(gpu, gradient.upstream);
    const devicesOfSums: unknown[] = [];
    const add: AllReduce = async (own) => {
      devicesOfSums.push(own.device.kind);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return other.add(own);
    };
    const loss = withHook(add, more);
    const got = await loss.valueAndGradAsync(...there(mine), {
      weight,
      ...(upstream && { upstream }),
    });
    const grads = numbers(expected.grad).subarray(0, 603);
    const read = async (from: Tensor) => (await from.read()) as Float64Array;
    expectClose('value', await read(got.value), numbers(expected.value), 1e-7);
    expectClose('perClass', await read(got.perClass), numbers(expected.perClass), 1e-7);
    expectClose('grad', await read(got.grad), grads, gradTolerance('float32', grads));
    const { value } = await loss.valueAsync(...there(mine), { weight });
    expect(await read(value)).toEqual(await read(got.value));
    expect(devicesOfSums).toEqual(['cpu', 'cpu']);
  },
);

test('the tensors may be disposed while the hook waits, and the gradient may replace the predictions', async () => {
  const expected = new DiceLoss(options).valueAndGrad(...there(mine), { gradScale: 3 });
  const loss = withHook(async (own) => own);
  const [x, y] = there(mine);
  const gradScale = onDevice(gpu, full([], 3));
  const pending = loss.valueAndGradAsync(x, y, { gradScale });
  for (const tensor of [x, y, gradScale]) tensor.dispose();
  expect(await (await pending).grad.read()).toEqual(await expected.grad.read());
  const [place, labels] = there(mine);
  await loss.valueAndGradAsync(place, labels, { gradScale: 3, out: { grad: place } });
  expect(await place.read()).toEqual(await expected.grad.read());
});

test('on a stream of its own, to its end', async () => {
  using side = new Stream(gpu);
  const [x, y] = there(mine);
  const loss = withHook(async (own) => own);
  const { grad } = await side.run(() => loss.valueAndGradAsync(x, y));
  const expected = new DiceLoss(options).valueAndGrad(x, y).grad;
  expect(await grad.read()).toEqual(await expected.read());
});

test('nothing is left on the device', async () => {
  const loss = withHook(async (own) => own);
  const fails = withHook(() => Promise.reject(new Error('the network is down')));
  const step = async () => {
    const [x, y] = there(mine);
    const { value, perClass, grad } = await loss.valueAndGradAsync(x, y);
    for (const tensor of [x, y, value, perClass, grad]) tensor.dispose();
    await gpu.synchronize();
  };
  await step();
  const before = gpu.memory().aliveBytes;
  for (let i = 0; i < 10; i++) await step();
  expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
  const [x, y] = there(mine);
  const now = gpu.memory().aliveBytes;
  await expect(fails.valueAndGradAsync(x, y)).rejects.toThrow('the network is down');
  const overlapped = { weight: x.view([1, 201]), out: { grad: x } };
  expect(() => loss.valueAndGradAsync(x, y, overlapped)).toThrow('overlaps');
  expect(() => loss.valueAndGrad(x, y)).toThrow('use valueAsync');
  expect(() => loss.plan(x, y)).toThrow('use valueAsync');
  expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(now);
});

test('calls that cannot wait are refused, and work without the hook', async () => {
  const [x, y] = there(mine);
  let calls = 0;
  const loss = withHook((own) => {
    calls++;
    return own;
  });
  for (const call of [
    () => loss.value(x, y),
    () => loss.valueAndGrad(x, y),
    () => loss.plan(x, y),
  ]) {
    expect(call).toThrow(
      /^allReduce cannot be combined with a synchronous call on cuda:0 .*: use valueAsync or valueAndGradAsync, or the allReduce of warpdice\/nccl$/,
    );
  }
  const own = loss.statistics(x, y);
  loss.fromStatistics(own);
  loss.gradient(x, y, own);
  expect(calls).toBe(0);
  expect(await loss.valueAsync(x, y)).toHaveProperty('perClass');
  expect(calls).toBe(1);
});

emulatedOnly(
  'wrong arguments throw at the call, wrong labels and a wrong result of the hook reject',
  async () => {
    let calls = 0;
    const loss = withHook((own) => {
      calls++;
      return own;
    });
    const [x, y] = there(mine);
    const memory = Tensor.empty([604], 'float32', { device: gpu });
    const place = memory.view([1, 201, 3]);
    const grad = memory.view([1, 201, 3], 1);
    const before = gpu.memory().aliveBytes;
    expect(() => loss.valueAndGradAsync(place, y, { out: { grad } })).toThrow(
      /overlaps predictions/,
    );
    expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
    expect(() => loss.valueAsync(x, onDevice(otherGpu, mine[1]))).toThrow(TypeError);
    const wrong = mine[1].data.slice();
    wrong[5] = 3 as never;
    const labels = onDevice(gpu, { ...mine[1], data: wrong });
    await expect(loss.valueAsync(x, labels)).rejects.toThrow('the first 3 at index 5');
    expect(calls).toBe(0);
    const twice = withHook((own) => Statistics.concat([own, own]));
    await expect(twice.valueAsync(x, y)).rejects.toThrow(/for the result of allReduce/);
    expect(await loss.valueAsync(x, y)).toHaveProperty('value');
  },
);

test('reproducible: true is for the CPU', () => {
  const loss = new DiceLoss({ ...options, reproducible: true });
  const [x, y] = there(mine);
  for (const call of [() => loss.value(x, y), () => loss.statistics(x, y), () => loss.plan(x, y)]) {
    expect(call).toThrow(
      /^reproducible: true cannot be combined with tensors on cuda:0 .*: it is for the CPU$/,
    );
  }
});
