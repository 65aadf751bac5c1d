/**
 * linearLogits on the emulated device: the numbers of the 1x1 convolution and then the loss, in float64.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  Device,
  DiceCELoss,
  DiceLoss,
  GeneralizedDiceLoss,
  type LinearGrad,
  type Loss,
  linearLogits,
  type Tensor,
  UnifiedFocalLoss,
} from '../../lib/index.js';
import {
  composed,
  expectNear,
  type HeadCase,
  type HeadData,
  makeData,
  parts,
} from '../head/composed.js';
import { emulatedOnly, fake, gpu, held, onDevice, otherGpu } from '../support/device.js';
import { code } from '../support/errors.js';
import { full, numbers, type Typed } from '../support/tensors.js';

const softmax = { activation: 'softmax' } as const;
const dice = new DiceLoss(softmax);
const diceCE = new DiceCELoss(softmax);
const of: HeadCase = { N: 2, K: 9, C: 5, size: [7, 11] };

/** The arrays of a case on the device. */
function there({ features, weight, bias, target, voxelWeight }: HeadData, device = gpu) {
  const [x, w, b] = [features, weight, bias].map((from) => from && onDevice(device, from));
  return {
    x: x as Tensor,
    logits: linearLogits(x as Tensor, w as Tensor, b),
    y: onDevice(device, target),
    options: voxelWeight ? { weight: onDevice(device, voxelWeight) } : {},
  };
}

const wide = (tensor: Tensor) =>
  numbers({ data: tensor.readSync(), dtype: tensor.dtype, shape: [...tensor.shape] } as Typed);
const bytes = (tensor: Tensor | null | undefined) =>
  tensor && Buffer.from(tensor.readSync().slice().buffer).toString('base64');
const bits = (grad: LinearGrad) => parts.map((part) => bytes(grad[part]));

const share = { float64: 1e-12, float32: 2e-5, float16: 2e-3, bfloat16: 2e-2 };

function expectLikeComposed(loss: Loss, of: HeadCase, device = gpu) {
  const data = makeData(of);
  const wanted = composed(loss, of, data);
  const { logits, y, options } = there(data, device);
  const { value, grad } = loss.valueAndGrad(logits, y, options);
  const dtype = of.dtype ?? 'float32';
  const exact = dtype === 'float64' ? 1e-12 : 1e-5;
  expectNear(wide(value), numbers(wanted.value as never), exact, 'value');
  for (const part of parts) {
    if (part === 'bias' && of.bias === false) expect(grad.bias).toBeNull();
    else {
      const most = Math.max(share[dtype], share[of.weightDtype ?? dtype]);
      expectNear(wide(grad[part] as Tensor), wanted[part], most, part);
    }
  }
}

describe('as the convolution and then the loss', () => {
  const last = { ...softmax, layout: 'channels-last' } as const;
  const cases: [string, Loss, HeadCase][] = [
    ['float32', dice, of],
    ['channels last, no bias', new DiceCELoss(last), { ...of, channelsLast: true, bias: false }],
    ['float64', diceCE, { ...of, dtype: 'float64' }],
    ['float16', dice, { ...of, dtype: 'float16', weightDtype: 'float32', bias: false }],
    ['bfloat16', diceCE, { ...of, dtype: 'bfloat16' }],
    ['one class', new DiceLoss({ activation: 'sigmoid' }), { ...of, C: 1, labels: 'int32' }],
    ['sigmoid, dense', new DiceCELoss({ activation: 'sigmoid' }), { ...of, dense: 'float32' }],
    ['ignoreIndex', new DiceLoss({ ...softmax, ignoreIndex: 255 }), { ...of, ignore: 255 }],
    ['weights', new GeneralizedDiceLoss(softmax), { ...of, voxelWeights: true, labels: 'int64' }],
    ['weights of classes', dice, { ...of, dense: 'uint8', voxelWeights: 'classes' }],
    ['focal', new UnifiedFocalLoss({}), { ...of, labels: 'int16' }],
    ['pooled, 19 classes', new DiceCELoss({ ...softmax, batch: true }), { ...of, C: 19, K: 33 }],
  ];
  test.each(cases)('%s', (_, loss, of) => {
    expectLikeComposed(loss, of);
  });

  test('on another device', () => {
    expectLikeComposed(dice, of, otherGpu);
  });
});

describe('the ways to call', () => {
  const data = makeData(of);
  const { x, logits, y } = there(data);
  const expected = diceCE.valueAndGrad(logits, y);
  const wanted = bits(expected.grad);
  const S = 77;

  test('results are on the device, and nothing blocks', async () => {
    const { grad } = await held(() => diceCE.valueAndGrad(logits, y));
    for (const part of parts) expect(grad[part]?.device).toBe(gpu);
    expect(bits(grad)).toEqual(wanted);
  });

  test('value, statistics, gradient, the target gradient', () => {
    expect(bytes(diceCE.value(logits, y).value)).toBe(bytes(expected.value));
    const statistics = diceCE.statistics(logits, y);
    expect(bytes(diceCE.fromStatistics(statistics).value)).toBe(bytes(expected.value));
    expect(bits(diceCE.gradient(logits, y, statistics))).toEqual(wanted);
    const dense = makeData({ ...of, dense: 'float32' });
    const soft = there(dense);
    const got = dice.targetGradient(soft.logits, soft.y, dice.statistics(soft.logits, soft.y));
    const { logits: z } = composed(dice, of, dense);
    const memory = { data: z, shape: dense.target.shape };
    const slope = dice.targetGradient(memory, dense.target, dice.statistics(memory, dense.target));
    expectNear(wide(got), numbers(slope as never), 2e-5, 'target');
  });

  test('off the event loop, also with a hook', async () => {
    const { value, grad } = await diceCE.valueAndGradAsync(logits, y);
    expect([bytes(value), ...bits(grad)]).toEqual([bytes(expected.value), ...wanted]);
    const allReduce = (own: never) => own;
    const hooked = new DiceCELoss({ ...softmax, allReduce } as never);
    expect(bits((await hooked.valueAndGradAsync(logits, y)).grad)).toEqual(wanted);
  });

  test('parts that are null are left out, and others keep their bits', () => {
    for (const part of parts) {
      const { grad } = diceCE.valueAndGrad(logits, y, { out: { grad: { [part]: null } } });
      expect(bits(grad)).toEqual(parts.map((other, i) => (other === part ? null : wanted[i])));
    }
  });

  test('accumulate, and the gradient in place of the features', () => {
    const weight = onDevice(gpu, full([5, 9], 2));
    const own = onDevice(gpu, data.features);
    const inPlace = linearLogits(own, logits.weight, logits.bias);
    const accumulate = { weight: true };
    const { grad } = diceCE.valueAndGrad(inPlace, y, {
      accumulate,
      out: { grad: { features: own, weight } },
    });
    expect(grad.features).toBe(own);
    expect([bytes(own), bytes(grad.bias)]).toEqual([wanted[0], wanted[2]]);
    const more = wide(expected.grad.weight as Tensor).map((slope) => slope + 2);
    expectNear(wide(weight), more, 1e-6, 'weight');
  });

  test('statistics of more samples', () => {
    const one = linearLogits(x.view([1, 9, 7, 11], 9 * S), logits.weight, logits.bias);
    const statistics = diceCE.statistics(logits, y);
    const grad = diceCE.gradient(one, y.view([1, 7, 11], S), statistics, { sampleOffset: 1 });
    const whole = wide(expected.grad.features as Tensor);
    expectNear(wide(grad.features as Tensor), whole.slice(9 * S), 1e-6, 'features');
  });

  test('deep supervision', () => {
    const fine = there(makeData({ ...of, size: [8, 10] }));
    const coarse = there(makeData({ ...of, K: 3, size: [4, 5], seed: 2 }));
    const supervision = new DeepSupervision(diceCE, [1, 0.5]);
    const { scales } = supervision.valueAndGrad([fine.logits, coarse.logits], fine.y);
    const alone = diceCE.valueAndGrad(fine.logits, fine.y);
    expect(bits(scales[0]?.grad as LinearGrad)).toEqual(bits(alone.grad));
    expect(scales[1]?.grad.weight?.shape).toEqual([5, 3]);
  });

  test('a plan takes new features and new weights', () => {
    const other = there(makeData({ ...of, seed: 3 }));
    using plan = diceCE.plan(logits, y);
    expect(bits(plan.execute().grad)).toEqual(wanted);
    plan.bind(other.logits, other.y).execute();
    expect(bits(plan.grad)).toEqual(bits(diceCE.valueAndGrad(other.logits, other.y).grad));
    plan.bind(x, y).execute();
    const mixed = linearLogits(x, other.logits.weight, other.logits.bias);
    expect(bits(plan.grad)).toEqual(bits(diceCE.valueAndGrad(mixed, y).grad));
  });

  emulatedOnly('an execution of a plan is one launch', () => {
    using plan = dice.plan(logits, y);
    plan.execute();
    const names = ['cudaLaunchKernel', 'cudaMallocFromPoolAsync', 'cudaGraphInstantiate'];
    const before = names.map(fake.calls);
    plan.execute();
    expect(names.map(fake.calls)).toEqual(before);
  });

  emulatedOnly('memory does not grow with the logits', () => {
    const used = (size: number) => {
      const large = there(makeData({ N: 1, K: 2, C: 40, size: [size] }));
      using plan = dice.plan(large.logits, large.y, { out: { grad: { features: null } } });
      const all = fake.allocatedBytes();
      plan.dispose();
      return all - fake.allocatedBytes();
    };
    expect(used(80_000)).toBe(used(70_000)); // logits of 12.8 and 11.2 MB
    expect(used(80_000)).toBeLessThan(512 * 240 * 64 + 256 * 40 * (8 * 4 + 8) + (1 << 17));
  });
});

describe('wrong arguments', () => {
  const data = makeData(of);
  const { x, logits } = there(data);

  test('labels and values out of range are found when a result is read', async () => {
    const wrong = { ...data.target, data: data.target.data.slice() as Typed['data'] };
    wrong.data[80] = 5;
    const { grad } = dice.valueAndGrad(logits, onDevice(gpu, wrong));
    for (const part of parts) {
      await expect((grad[part] as Tensor).read()).rejects.toThrow(code('ERR_LABEL_RANGE'));
    }
    expect(() => grad.weight?.readSync()).toThrow(/label 5 .*80|80/);
  });

  test('tensors of several devices', () => {
    const w = logits.weight;
    expect(() => linearLogits(x, data.weight)).toThrow(
      `Expected a tensor on ${gpu}, as the features are, for weight but received one on ${Device.cpu}: use to(device)`,
    );
    expect(() => linearLogits(x, w, data.bias)).toThrow(`Expected a tensor on ${gpu}`);
    expect(() => linearLogits(data.features, w)).toThrow(`Expected a tensor on ${Device.cpu}`);
    expect(() => dice.value(logits, data.target)).toThrow(`Expected a tensor on ${gpu}`);
    const here = linearLogits(data.features, data.weight);
    expect(() => new DeepSupervision(dice, [1, 1]).value([logits, here], logits.features)).toThrow(
      `for predictions[1].features but received one on ${Device.cpu}`,
    );
  });
});
