/**
 * sampleClassWeight on the emulated device, against the reference.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, linearLogits, type Tensor } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { gpu, onDevice, solveOn } from '../support/device.js';
import { everyNth } from '../support/in-this-run.js';
import { activationsOf, cells } from '../support/losses.js';
import { full, numbers, type Typed } from '../support/tensors.js';

const some = everyNth(7);
const takes = cells
  .filter(({ key }) => key !== 'wasserstein')
  .map((cell) => ({
    loss: cell.key,
    options: { ...cell.variant, activation: activationsOf(cell).at(-1) },
  }));

test.each(['mean', 'sum', 'none'] as const)('every loss, %s', async (reduction) => {
  for (const [i, { loss, options }] of takes.entries())
    for (const batch of [false, true]) {
      if (!some()) continue;
      const dtypes = ['float64', 'float32', 'uint8'] as const;
      const sampleClassWeight = dtypes[i % 3] as 'float64';
      const spec = { loss, N: 3, sampleClassWeight, options: { ...options, reduction, batch } };
      await solveOn(gpu, makeCase(spec as Spec));
    }
});

test('more pairs than a block has threads', async () => {
  for (const batch of [false, true])
    for (const [N, C] of [
      [300, 2],
      [3, 150],
    ] as const)
      await solveOn(
        gpu,
        makeCase({
          N,
          C,
          spatial: [3],
          sampleClassWeight: 'float64',
          options: { activation: 'softmax', batch, crossEntropy: {} },
        }),
      );
});

test('a plan reads them at each execution; Async with a hook', async () => {
  for (const batch of [false, true]) {
    const c = makeCase({
      N: 3,
      sampleClassWeight: 'float32',
      loss: 'diceCE',
      options: { batch },
    });
    const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
    const weights = onDevice(gpu, c.sampleClassWeight as Typed);
    const loss = new DiceCELoss({ batch });
    const wanted = loss.valueAndGrad(x, y, { sampleClassWeight: weights });
    // What writes them is another loss.
    const changing = onDevice(gpu, full([3, 3], 1, 'float64'));
    const plan = loss.plan(x, y, { sampleClassWeight: changing });
    plan.execute();
    new DiceLoss({ activation: 'softmax' }).value(x, y, { out: { perClass: changing } });
    const now = loss.valueAndGrad(x, y, { sampleClassWeight: changing });
    expect(plan.execute().grad.readSync()).toEqual(now.grad.readSync());
    const reducing = new DiceCELoss({ batch, allReduce: (own) => own });
    const later = await reducing.valueAndGradAsync(x, y, { sampleClassWeight: weights });
    expect(later.grad.readSync()).toEqual(wanted.grad.readSync());
  }
});

test('from statistics on the device, or on the host', async () => {
  const c = makeCase({ N: 3, sampleClassWeight: 'float32', loss: 'diceCE' });
  const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, c.target)];
  const sampleClassWeight = onDevice(gpu, c.sampleClassWeight as Typed);
  const loss = new DiceCELoss();
  const wanted = loss.valueAndGrad(x, y, { sampleClassWeight });
  const sums = loss.statistics(x, y);
  const { value } = loss.fromStatistics(sums, { sampleClassWeight });
  expect(value.readSync()).toEqual(wanted.value.readSync());
  for (const given of [sums, await sums.read()]) {
    const grad = loss.gradient(x, y, given, { sampleClassWeight });
    expect(grad.readSync()).toEqual(wanted.grad.readSync());
  }
  expect(() => loss.fromStatistics(sums, { sampleClassWeight: full([3, 3], 1) })).toThrow(
    'for sampleClassWeight but received one on cpu',
  );
});

test('linearLogits, as on the CPU', () => {
  const of = makeCase({ N: 3, C: 4, spatial: [37], sampleClassWeight: 'float64' });
  const features = makeCase({ N: 3, C: 5, spatial: [37], seed: 3 }).predictions;
  const weight = makeCase({ N: 4, C: 5, spatial: [], seed: 4 }).predictions;
  for (const batch of [false, true]) {
    const loss = new DiceCELoss({ batch });
    const solve = (change: (t: Typed) => Tensor | Typed) => {
      const sampleClassWeight = change(of.sampleClassWeight as Typed);
      const head = linearLogits(change(features), change(weight));
      const { value, grad } = loss.valueAndGrad(head, change(of.target), { sampleClassWeight });
      return [value, grad.features, grad.weight].map((t) =>
        numbers({ data: (t as Tensor).readSync() }),
      );
    };
    const [host, device] = [solve((t) => t), solve((t) => onDevice(gpu, t))];
    for (const [i, wanted] of host.entries())
      expectClose('linearLogits', device[i] as Float64Array, wanted, 1e-5);
  }
});
