// Classes, probabilities and hard scores of linearLogits, against those of the logits in memory.
import { describe, expect, test } from '@jest/globals';
import { linearLogits, SegmentationMetrics, Tensor } from '../../lib/index.js';
import { full, numbers, type Typed } from '../support/tensors.js';
import { convolve, type HeadCase, logitsShape, makeData } from './composed.js';

const cases: HeadCase[] = [
  { N: 2, K: 5, C: 3, size: [7, 9] },
  { N: 1, K: 33, C: 130, size: [601] },
  { N: 3, K: 4, C: 300, size: [11, 13] },
];

/** Data, and linearLogits of it. */
function make(of: HeadCase) {
  const data = makeData({ ...of, dtype: 'float64' });
  return { data, logits: linearLogits(data.features, data.weight, data.bias) };
}

/** Of a voxel: its logits. */
function rowsOf(of: HeadCase, z: Float64Array): number[][] {
  const S = of.size.reduce((a, b) => a * b, 1);
  const { N, C, channelsLast } = of;
  return Array.from({ length: N * S }, (_, i) => {
    const [n, s] = [Math.floor(i / S), i % S];
    return Array.from(
      { length: C },
      (_, c) => z[channelsLast ? i * C + c : (n * C + c) * S + s] as number,
    );
  });
}

const layoutOf = (of: HeadCase) => (of.channelsLast ? 'channels-last' : 'channels-first');

describe.each(cases.flatMap((of) => [of, { ...of, channelsLast: true }]))('%j', (of) => {
  const { data, logits } = make(of);
  const rows = rowsOf(of, convolve(of, data));
  const layout = layoutOf(of);

  test('argmax', () => {
    const classes = logits.argmax({ layout });
    expect(classes.shape).toEqual([of.N, ...of.size]);
    expect(classes.dtype).toBe(of.C > 256 ? 'uint16' : 'uint8');
    expect([...numbers(classes as never)]).toEqual(rows.map((z) => z.indexOf(Math.max(...z))));
    const out = Tensor.empty(classes.shape, 'uint16');
    expect(logits.argmax({ layout, out })).toBe(out);
    expect([...numbers(out as never)]).toEqual([...numbers(classes as never)]);
  });

  test.each(['softmax', 'sigmoid'] as const)('probabilities, %s', (activation) => {
    const chosen = [of.C - 1, 0];
    const got = logits.probabilities(chosen, { activation, layout });
    expect(got.shape).toEqual(logitsShape({ ...of, C: 2 }));
    const wanted = rows.map((z) => {
      const largest = Math.max(...z);
      const sum = z.reduce((total, x) => total + Math.exp(x - largest), 0);
      return chosen.map((c) => {
        const x = z[c] as number;
        return activation === 'softmax' ? Math.exp(x - largest) / sum : 1 / (1 + Math.exp(-x));
      });
    });
    const rowsGot = rowsOf({ ...of, C: 2 }, got.data as Float64Array);
    const off = rowsGot.flatMap((row, i) =>
      row.map((p, c) => Math.abs(p - Number(wanted[i]?.[c]))),
    );
    expect(Math.max(...off)).toBeLessThan(1e-13);
  });

  test.each(['argmax', 'threshold'] as const)('hard scores by %s', async (decision) => {
    const options = {
      classes: of.C,
      decision,
      layout,
      aggregate: 'samples',
      ...(decision === 'threshold' && { threshold: 0 }),
    } as const;
    const dense = makeData({ ...of, dense: 'float32' }).target;
    const { target } = data;
    const voxelWeight = makeData({ ...of, voxelWeights: true }).voxelWeight as Typed;
    const z = { data: convolve(of, data), shape: logitsShape(of) };
    for (const y of [target, dense]) {
      const [ours, wanted] = [new SegmentationMetrics(options), new SegmentationMetrics(options)];
      ours.update(logits, y).update(logits, y, { weight: voxelWeight });
      await ours.updateAsync(logits, y);
      wanted.update(z, y).update(z, y, { weight: voxelWeight }).update(z, y);
      expect(ours.counts()).toEqual(wanted.counts());
      expect(ours.perSample('dice')).toEqual(wanted.perSample('dice'));
      if (decision === 'argmax') expect(ours.confusion()).toEqual(wanted.confusion());
    }
  });
});

test('ties, NaN and one class', () => {
  const features = Tensor.from(Float32Array.of(1, Number.NaN, 0), [1, 1, 3]);
  const logits = linearLogits(features, full([3, 1], 1));
  expect([...(logits.argmax().data as Uint8Array)]).toEqual([0, 0, 0]);
  const one = linearLogits(features, full([1, 1], 1));
  const p = one.probabilities([0], { activation: 'sigmoid' }).data as Float32Array;
  expect(p[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  expect(p[1]).toBeNaN();
  expect(p[2]).toBe(0.5);
  const extreme = linearLogits(
    Tensor.from(Float32Array.of(1e30, -1e30), [1, 1, 2]),
    full([1, 1], 1),
  );
  expect([...(extreme.probabilities([0], { activation: 'sigmoid' }).data as Float32Array)]).toEqual(
    [1, 0],
  );
});

describe('off the event loop', () => {
  const of: HeadCase = { N: 2, K: 5, C: 3, size: [7, 9] };
  const data = makeData(of);
  const plain = linearLogits(data.features, data.weight, data.bias);
  const shared = (from: Typed) => {
    const made = Tensor.empty(from.shape, 'float32');
    made.data.set(from.data as never);
    return made;
  };

  test('the same as at once, from plain and from shared memory', async () => {
    const inPlace = linearLogits(
      shared(data.features),
      shared(data.weight),
      shared(data.bias as Typed),
    );
    const [classes, p] = [plain.argmax(), plain.probabilities([2, 0])];
    for (const logits of [plain, inPlace]) {
      expect((await logits.argmaxAsync()).data).toEqual(classes.data);
      expect((await logits.probabilitiesAsync([2, 0])).data).toEqual(p.data);
      const out = Tensor.from(new Float32Array(2 * 63), [2, 1, 7, 9]);
      expect(await logits.probabilitiesAsync([1], { out })).toBe(out);
      expect(out.data).toEqual(plain.probabilities([1]).data);
    }
  });

  test('the arrays may change after the call, and the event loop goes on', async () => {
    const features = Tensor.from(Float32Array.from(data.features.data as Float32Array), [
      ...data.features.shape,
    ]);
    const pending = linearLogits(features, data.weight, data.bias).argmaxAsync();
    (features.data as Float32Array).fill(0);
    let isDone = false;
    pending.then(() => {
      isDone = true;
    });
    await Promise.resolve();
    expect(isDone).toBe(false);
    expect((await pending).data).toEqual(plain.argmax().data);
  });

  test('a buffer that is detached meanwhile rejects, wrong arguments throw', async () => {
    const out = Tensor.from(new Uint8Array(126), [2, 7, 9]);
    const pending = plain.argmaxAsync({ out });
    structuredClone(out.data, { transfer: [out.data.buffer as ArrayBuffer] });
    await expect(pending).rejects.toThrow('Expected out to keep its memory during the call');
    expect(() => plain.probabilitiesAsync([3])).toThrow('for classes[0] but received 3');
  });
});

describe('wrong arguments', () => {
  const { data, logits } = make(cases[0] as HeadCase);
  test.each<[string, () => unknown, string]>([
    [
      'no array',
      () => logits.probabilities(1 as never),
      'Expected an array of classes for classes but received 1',
    ],
    [
      'no class',
      () => logits.probabilities([]),
      'Expected one or more classes for classes but received []',
    ],
    [
      'a class too many',
      () => logits.probabilities([3]),
      'Expected an integer from 0 to 2 for classes[0] but received 3',
    ],
    [
      'activation none',
      () => logits.probabilities([0], { activation: 'none' as never }),
      "Expected one of 'softmax', 'sigmoid' for activation but received 'none'",
    ],
    [
      'another layout',
      () => logits.argmax({ layout: 'channels-last' }),
      'Expected 9 columns, as linearLogits.features of shape [2, 5, 7, 9] (channels-last) have features, for linearLogits.weight but received shape [3, 5]',
    ],
    [
      'a buffer of another dtype',
      () => logits.argmax({ out: full([2, 7, 9], 0, 'int32') }),
      'Expected dtype uint8 or uint16 for out but received int32',
    ],
    [
      'a buffer of another shape',
      () => logits.probabilities([0], { out: full([2, 3, 7, 9], 0, 'float64') }),
      'Expected shape [2, 1, 7, 9] for out but received [2, 3, 7, 9]',
    ],
    [
      'a buffer that is the features',
      () =>
        logits.probabilities([0, 1, 2, 0, 1], {
          out: { data: data.features.data as Float64Array, shape: data.features.shape },
        }),
      'Expected memory of its own for out but received an array that overlaps features',
    ],
    [
      'decision labels',
      () => new SegmentationMetrics({ classes: 3, decision: 'labels' }).update(logits, data.target),
      "linearLogits cannot be combined with decision 'labels': use 'argmax'",
    ],
    [
      'other classes',
      () => new SegmentationMetrics({ classes: 4 }).update(logits, data.target),
      'Expected 4 classes for predictions but received 3 in shape [2, 3, 7, 9]',
    ],
  ])('%s', (_, call, message) => expect(call).toThrow(message));

  test('a label out of range', () => {
    const wrong = { ...data.target, data: data.target.data.slice() as Typed['data'] };
    wrong.data[100] = 3;
    expect(() => new SegmentationMetrics({ classes: 3 }).update(logits, wrong)).toThrow(
      /index 100/,
    );
  });
});
