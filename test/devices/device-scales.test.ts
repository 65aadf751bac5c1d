/**
 * Deep supervision on the emulated device: as on the CPU.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import type { NativeResampling } from '../../binding.js';
import { memoryOf } from '../../lib/calls/native-call.js';
import { callResample } from '../../lib/calls/resample.js';
import { cuda } from '../../lib/devices/cuda.js';
import { DeepSupervision, DiceLoss, Tensor } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { cudaError, emulatedOnly, fake, gpu, held, onDevice, otherGpu } from '../support/device.js';
import { full, numbers, tensor } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const read = async (from: Tensor) => numbers({ data: await from.read(), dtype: from.dtype });

const specs: [string, Spec, sizes: number[][]][] = [
  [
    'labels',
    {},
    [
      [31, 33],
      [15, 16],
      [7, 9],
    ],
  ],
  ['int64 labels, a weight', { targetDtype: 'int64', weight: 'float32' }, [[33], [1], [33]]],
  [
    'dense',
    { target: 'dense', targetDtype: 'float16' },
    [
      [8, 9, 5],
      [4, 4, 2],
    ],
  ],
  [
    'dense, channels last, a weight',
    { target: 'dense', weight: 'uint8', options: { layout: 'channels-last' } },
    [
      [12, 5],
      [7, 2],
    ],
  ],
  ['one class', { C: 1, dtype: 'float64', options: { activation: 'sigmoid' } }, [[64], [31]]],
  [
    'compound',
    { loss: 'diceCE', options: { activation: 'softmax', reduction: 'sum' } },
    [[40], [13]],
  ],
];

describe.each(specs)('%s', (_, spec, sizes) => {
  const cases = sizes.map((spatial, i) => makeCase({ ...spec, spatial, seed: 50 + i }));
  const [first] = cases as [(typeof cases)[0]];
  const weights = [0.75, 0.25, 0].slice(0, sizes.length);
  const supervision = new DeepSupervision(first.loss, weights);
  const here = cases.map((c) => c.predictions);
  const there = here.map((x) => onDevice(gpu, x));
  const target = onDevice(gpu, first.target);
  const options = first.weight ? { weight: first.weight } : {};
  const optionsThere = first.weight ? { weight: onDevice(gpu, first.weight) } : {};
  const { dtype = 'float32' } = spec;
  const tolerance = dtype === 'float64' ? 1e-12 : 1e-6;

  test('value, values of the scales and gradients', async () => {
    const want = supervision.valueAndGrad(here, first.target, { ...options, gradScale: 2 });
    const got = supervision.valueAndGrad(there, target, { ...optionsThere, gradScale: 2 });
    expect(got.value.device).toBe(gpu);
    expectClose('value', await read(got.value), numbers(want.value), tolerance);
    for (const [i, scale] of got.scales.entries()) {
      const own = want.scales[i] as (typeof want.scales)[0];
      expectClose('value', await read(scale.value), numbers(own.value), tolerance);
      expectClose('perClass', await read(scale.perClass), numbers(own.perClass), tolerance);
      const grad = numbers(own.grad);
      expectClose('grad', await read(scale.grad), grad, gradTolerance(dtype, grad, own.grad.dtype));
    }
    const alone = supervision.value(there, target, optionsThere);
    expect(await read(alone.value)).toEqual(await read(got.value));
  });

  test('off the event loop', async () => {
    const want = supervision.valueAndGrad(there, target, optionsThere);
    const got = await supervision.valueAndGradAsync(there, target, optionsThere);
    expect(await read(got.value)).toEqual(await read(want.value));
    for (const [i, { grad }] of got.scales.entries()) {
      expect(await read(grad)).toEqual(await read((want.scales[i] as (typeof got.scales)[0]).grad));
    }
    expect(await read((await supervision.valueAsync(there, target, optionsThere)).value)).toEqual(
      await read(want.value),
    );
  });
});

test("into the caller's tensors, and nothing else is left on the device", async () => {
  const c = makeCase({ spatial: [31] });
  const supervision = new DeepSupervision(c.loss, [0.5, 0.5]);
  const x = [c.predictions, makeCase({ spatial: [16] }).predictions].map((p) => onDevice(gpu, p));
  const y = onDevice(gpu, c.target);
  const weight = onDevice(gpu, full([2, 31], 1));
  const first = supervision.valueAndGrad(x, y, { weight });
  const out = { value: first.value, scales: first.scales };
  const value = await first.value.item();
  const before = gpu.memory().aliveBytes;
  for (let i = 0; i < 10; i++) {
    expect(supervision.valueAndGrad(x, y, { weight, out }).value).toBe(first.value);
    expect(() =>
      supervision.valueAndGrad(x, y, { weight, out: { ...out, value: weight } }),
    ).toThrow('Expected dtype float64 for out.value');
  }
  expect(await first.value.item()).toBe(value);
  expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
});

test('calls return at once', async () => {
  const supervision = new DeepSupervision(new DiceLoss(), [1, 1]);
  const x = [8, 4].map((size) => onDevice(gpu, full([1, 2, size], 0.25)));
  const y = onDevice(gpu, full([1, 8], 1, 'uint8'));
  const { value } = await held(() => {
    const result = supervision.value(x, y);
    y.dispose();
    return result;
  });
  expect(await value.item()).toBeGreaterThan(0);
});

test('a scale of weight 0 adds nothing, even if it is NaN', async () => {
  const x = [full([1, 1, 4], NaN), full([1, 1, 2], 0.5)].map((p) => onDevice(gpu, p));
  const y = onDevice(gpu, full([1, 4], 1, 'uint8'));
  const { value, scales } = new DeepSupervision(new DiceLoss(), [0, 1]).value(x, y);
  expect(await value.item()).toBe(await scales[1]?.value.item());
});

test('labels out of range are an error of the value, and of their scale', async () => {
  const data = new Uint8Array(9);
  data[6] = 7; // three voxels are 1, 4 and 7 of these, two are 2 and 6
  const y = tensor(data, [1, 9], 'uint8');
  const x = [3, 2].map((size) => onDevice(gpu, full([1, 3, size], 0.25)));
  const supervision = new DeepSupervision(new DiceLoss(), [1, 1], { fullSize: false });
  const wrong = supervision.value(x, onDevice(gpu, y));
  const message = (scale: string) =>
    `Expected class indices from 0 to 2 for target${scale} but received 1 other value, the first 7 at index 1`;
  const [ofSum, ofFirst, ofSecond] = [
    ', at the size of one of predictions,',
    ' at the size of predictions[0]',
    ' at the size of predictions[1]',
  ].map(message) as [string, string, string];
  data[6] = 0;
  data[4] = 7;
  y.data = data;
  const bad = supervision.value(x, onDevice(gpu, y));
  await expect(bad.value.item()).rejects.toThrow(ofSum);
  await expect(bad.scales[0]?.value.item()).rejects.toThrow(ofFirst);
  expect(await bad.scales[1]?.value.item()).toBeGreaterThan(0);
  expect(await wrong.scales[0]?.value.item()).toBeGreaterThan(0);
  await expect(wrong.value.item()).rejects.toThrow(ofSum);
  await expect(wrong.scales[1]?.value.item()).rejects.toThrow(ofSecond);
  data[4] = 0;
  const { value } = supervision.value(x, onDevice(gpu, y), { out: { value: bad.value } });
  expect(await value.item()).toBeGreaterThan(0);
});

emulatedOnly('a call that fails leaves nothing on the device', async () => {
  const supervision = new DeepSupervision(new DiceLoss(), [1, 1]);
  const x = [9, 4].map((size) => onDevice(gpu, full([1, 2, size], 0.25)));
  const [fine] = x as [Tensor];
  const y = onDevice(gpu, full([1, 9], 1, 'uint8'));
  const noClass = onDevice(gpu, full([1, 9], 7, 'uint8'));
  const before = gpu.memory().aliveBytes;
  // Found at the second scale, at the value, when the work is queued, and when it is done.
  const ofSecond = { out: { scales: [{}, { grad: fine }] } };
  for (const call of ['valueAndGrad', 'valueAndGradAsync'] as const) {
    expect(() => supervision[call](x, y, ofSecond)).toThrow('for out.scales[1].grad');
    expect(() => supervision[call](x, y, { out: { value: fine } })).toThrow('for out.value');
  }
  for (const after of [0, 4, 7]) {
    fake.failNext('cudaLaunchKernel', cudaError.noDevice, after);
    expect(() => supervision.valueAndGrad(x, y)).toThrow('a kernel launch');
  }
  await expect(supervision.valueAndGradAsync(x, noClass)).rejects.toThrow('the first 7');
  await gpu.synchronize();
  expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
});

emulatedOnly('tensors are all on one device', () => {
  const supervision = new DeepSupervision(new DiceLoss(), [1, 1]);
  const [fine, coarse, labels] = [full([1, 2, 4], 0), full([1, 2, 2], 0), full([1, 4], 0, 'uint8')];
  const message = (name: string, where: string) =>
    `, as the predictions are, for ${name} but received one on ${where}`;
  expect(() => supervision.value([onDevice(gpu, fine), onDevice(gpu, coarse)], labels)).toThrow(
    message('target', 'cpu'),
  );
  expect(() =>
    supervision.value([onDevice(gpu, fine), onDevice(otherGpu, coarse)], onDevice(gpu, labels)),
  ).toThrow(message('predictions[1]', 'cuda:1'));
});

describe('resampling', () => {
  const call = (
    from: Tensor,
    to: Tensor,
    shape: Pick<NativeResampling, 'elementBytes' | 'fromSizes' | 'toSizes'>,
  ) =>
    callResample(cuda(), {
      ...shape,
      from: memoryOf(from),
      outer: 1,
      inner: 1,
      to: memoryOf(to),
      stream: gpu.stream.native,
    });

  test('along six axes', async () => {
    const from = Tensor.from(
      Int32Array.from({ length: 64 }, (_, i) => i),
      [64],
    ).to(gpu);
    const to = Tensor.empty([2], 'int32', { device: gpu });
    const [fromSizes, toSizes] = [Array(6).fill(2), [1, 1, 2, 1, 1, 1]];
    call(from, to, { elementBytes: 4, fromSizes, toSizes });
    expect(await to.read()).toEqual(Int32Array.of(55, 63)); // voxel 1 of both on the axes that shrink
  });

  test('what does not fit is an error', () => {
    const [from, to] = [8, 4].map((size) => Tensor.empty([size], 'uint8', { device: gpu })) as [
      Tensor,
      Tensor,
    ];
    const axes = [1, 1, 1, 1, 1, 1, 1];
    const resize =
      (fromSizes: number[], toSizes: number[], result = to) =>
      () =>
        call(from, result, { elementBytes: 1, fromSizes, toSizes });
    expect(resize(axes, axes)).toThrow('More than 6 spatial axes');
    expect(resize([9], [4])).toThrow('at least 9 bytes for from');
    expect(resize([8], [5])).toThrow('at least 5 bytes for to');
    expect(resize([8], [4], from.view([4], 2))).toThrow('overlaps from');
  });
});

test("reduction 'none': a value for every class", async () => {
  const c = makeCase({ spatial: [9, 5], options: { activation: 'softmax', reduction: 'none' } });
  const supervision = new DeepSupervision(c.loss, [0.75, 0.25]);
  const scales = [c.predictions, full([2, 3, 4, 2], 0)];
  const { value } = supervision.value(scales, c.target);
  const there = scales.map((x) => onDevice(gpu, x));
  const got = supervision.value(there, onDevice(gpu, c.target));
  expect(got.value.shape).toEqual([2, 3]);
  expectClose('value', await read(got.value), numbers(value), 1e-6);
});

test('more values than a block has threads', async () => {
  const options = { activation: 'softmax', reduction: 'none' } as const;
  const c = makeCase({ N: 90, spatial: [4], options });
  const supervision = new DeepSupervision(c.loss, [0.75, 0.25]);
  const scales = [c.predictions, makeCase({ N: 90, spatial: [2], options, seed: 7 }).predictions];
  const { value } = supervision.value(scales, c.target);
  const there = scales.map((x) => onDevice(gpu, x));
  const got = supervision.value(there, onDevice(gpu, c.target));
  expect(got.value.shape).toEqual([90, 3]);
  expectClose('value', await read(got.value), numbers(value), 1e-6);
});
