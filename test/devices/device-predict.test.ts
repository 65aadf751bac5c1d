/**
 * What linearLogits predict on the emulated device: the classes, probabilities and hard scores of the CPU.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { Device, linearLogits, SegmentationMetrics, Tensor } from '../../lib/index.js';
import { type HeadCase, type HeadData, makeData } from '../head/composed.js';
import { cudaError, emulatedOnly, fake, gpu, held, onDevice } from '../support/device.js';
import { code } from '../support/errors.js';
import { full, numbers, type Typed, tensor } from '../support/tensors.js';

/** Multiples of 1/4, so that the sums are exact and equal logits are equal. */
function makeExact(of: HeadCase): HeadData {
  const data = makeData({ ...of, weightDtype: 'float32' });
  const exact = (from: Typed) =>
    tensor(
      Array.from(numbers(from), (x) => Math.round(Math.max(-1, Math.min(1, x)) * 4) / 4),
      [...from.shape],
      from.dtype,
    );
  return {
    ...data,
    features: exact(data.features),
    weight: exact(data.weight),
    bias: exact(data.bias as Typed),
  };
}

const both = ({ features, weight, bias }: HeadData) => ({
  here: linearLogits(features, weight, bias),
  there: linearLogits(onDevice(gpu, features), onDevice(gpu, weight), bias && onDevice(gpu, bias)),
});

const wide = (t: Tensor) => [
  ...numbers({ data: t.readSync(), dtype: t.dtype, shape: [...t.shape] } as Typed),
];

const of: HeadCase = { N: 2, K: 9, C: 5, size: [31] };
const cases: HeadCase[] = [
  { ...of, C: 1, size: [1] },
  { ...of, C: 2, size: [33], dtype: 'float16' },
  { ...of, C: 19, size: [7, 11], channelsLast: true },
  { ...of, N: 1, C: 150, size: [67], dtype: 'bfloat16' },
  { ...of, N: 1, C: 300, dtype: 'float64', channelsLast: true },
  { ...of, N: 3, C: 1, size: [131], dtype: 'float64' },
];

describe.each(cases)('%j', (of) => {
  const { here, there } = both(makeExact(of));
  const layout = of.channelsLast ? 'channels-last' : 'channels-first';

  test('classes and probabilities', () => {
    const classes = there.argmax({ layout });
    const wanted = here.argmax({ layout });
    expect([classes.device, classes.dtype, classes.shape]).toEqual([
      gpu,
      wanted.dtype,
      wanted.shape,
    ]);
    expect(wide(classes)).toEqual(wide(wanted));
    for (const activation of ['softmax', 'sigmoid'] as const) {
      const chosen = Array.from({ length: of.C > 100 ? 70 : 3 }, (_, i) => (i * 7) % of.C);
      const options = { activation, layout } as const;
      const p = there.probabilities(chosen, options);
      const q = here.probabilities(chosen, options);
      expect([p.dtype, p.shape]).toEqual([q.dtype, q.shape]);
      const [got, exact] = [wide(p), wide(q)];
      const most = of.dtype === 'float64' ? 1e-12 : 2e-6;
      for (const [i, x] of got.entries())
        expect(Math.abs(x - (exact[i] as number))).toBeLessThan(most);
    }
  });

  test('hard scores', async () => {
    const { target } = makeData({ ...of, ignore: 255 });
    const dense = makeData({ ...of, dense: 'float32' }).target;
    for (const decision of ['argmax', 'threshold'] as const) {
      if (of.C === 1 && decision === 'argmax') continue;
      for (const y of [target, dense]) {
        const weight = makeData({
          ...of,
          voxelWeights: decision === 'threshold' ? 'classes' : true,
        }).voxelWeight as Typed;
        const make = () =>
          new SegmentationMetrics({
            classes: of.C,
            decision,
            layout,
            aggregate: 'samples',
            ...(decision === 'threshold' && { threshold: -0.3 }),
            ...(y === target && { ignoreIndex: [255, 254] }),
          });
        const [ours, wanted] = [make(), make()];
        const [t, w] = [onDevice(gpu, y), onDevice(gpu, weight)];
        ours.update(there, t).update(there, t, { weight: w });
        await ours.updateAsync(there, t);
        wanted.update(here, y).update(here, y, { weight }).update(here, y);
        expect(ours.toJSON()).toEqual(wanted.toJSON());
      }
    }
  });
});

test('ties, NaN and infinities', () => {
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  const features = tensor([1, nan, 0, inf, -inf], [1, 1, 5]);
  const weight = tensor([1, 0, 1, 2], [4, 1]); // an infinite feature: NaN for class 1
  const { here, there } = both({ features, weight } as HeadData);
  expect(wide(there.argmax())).toEqual([3, 0, 0, 0, 0]);
  expect(wide(there.argmax())).toEqual(wide(here.argmax()));
  const y = full([1, 5], 1, 'uint8');
  const metrics = () => new SegmentationMetrics({ classes: 4 });
  const counts = metrics().update(there, onDevice(gpu, y)).toJSON();
  expect(counts).toEqual(metrics().update(here, y).toJSON());
});

describe('calls', () => {
  const { here, there } = both(makeExact(of));

  test('a buffer, and nothing blocks', async () => {
    const out = Tensor.empty([2, 31], 'uint16', { device: gpu });
    await held(() => {
      expect(there.argmax({ out })).toBe(out);
    });
    expect(wide(out)).toEqual(wide(here.argmax()));
  });

  test('Async forms resolve when the work is done', async () => {
    const out = Tensor.empty([2, 2, 31], 'float32', { device: gpu });
    expect(await there.probabilitiesAsync([1, 4], { out })).toBe(out);
    expect(wide(out)).toEqual(wide(there.probabilities([1, 4])));
    expect(wide(await there.argmaxAsync())).toEqual(wide(here.argmax()));
  });

  emulatedOnly('an error of CUDA frees the result', async () => {
    const before = gpu.memory().aliveBytes;
    fake.failNext('cudaLaunchKernel', cudaError.noDevice);
    expect(() => there.argmax()).toThrow(code('ERR_CUDA'));
    fake.failNext('cudaLaunchKernel', cudaError.noDevice);
    await expect(there.probabilitiesAsync([0])).rejects.toThrow(code('ERR_CUDA'));
    expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
  });

  test('wrong arguments', () => {
    expect(() => there.argmax({ out: full([2, 31], 0, 'uint8') })).toThrow(
      `Expected a tensor on ${gpu}, as the predictions are, for out but received one on ${Device.cpu}`,
    );
    const out = there.features.view([2, 4, 31]);
    expect(() => there.probabilities([0, 1, 2, 3], { out })).toThrow(
      'Expected memory of its own for out but received an array that overlaps features',
    );
  });

  test('values out of range', () => {
    const y = full([2, 31], 1, 'uint8');
    y.data[40] = 7;
    const metrics = new SegmentationMetrics({ classes: 5 });
    expect(() => metrics.update(there, onDevice(gpu, y))).toThrow('the first 7 at index 40');
    const above = new SegmentationMetrics({ classes: 5, decision: 'threshold', threshold: 0.5 });
    const good = full([2, 31], 1, 'uint8');
    const sentence = (update: () => unknown) => {
      try {
        update();
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    const wanted = sentence(() => above.update(here, good));
    expect(wanted).toContain('compare logits with threshold 0');
    expect(sentence(() => above.update(there, onDevice(gpu, good)))).toBe(wanted);
    expect(above.samples).toBe(0);
  });
});
