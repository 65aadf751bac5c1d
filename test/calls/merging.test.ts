// Merged statistics against the whole, for every loss of the family: tiles of one volume, micro-batches, shards of a batch.
import { describe, expect, test } from '@jest/globals';
import { Statistics } from '../../lib/index.js';
import type { ReferenceOptions } from '../reference/reference.js';
import { makeCase } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { cells, type LossKey, makeLoss } from '../support/losses.js';
import { numbers, type Typed, tensor } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const [N, C, S] = [3, 3, 411];

interface Part {
  samples: [from: number, to: number];
  voxels: [from: number, to: number];
  x: Typed;
  y: Typed;
  weight: Typed;
}

/** Softmax wherever the variant allows any activation; weights everywhere, and class 2 in the last tile alone. */
function makeWhole(key: LossKey, variant: ReferenceOptions) {
  const whole = makeCase({
    loss: key,
    dtype: 'float64',
    N,
    C,
    spatial: [S],
    weight: 'float64',
    options: { activation: 'softmax', classWeights: [1, 0.5, 3], ...variant },
  });
  const labels = whole.target.data as Uint8Array;
  for (let i = 0; i < N * S; i++) if (i % S < 300 && labels[i] === 2) labels[i] = 1;
  return whole;
}

const close = (x: number) => 1e-13 * Math.max(1, Math.abs(x));

/** Samples [n0, n1) and voxels [s0, s1) of the whole. */
function partOf(
  whole: ReturnType<typeof makeCase>,
  [n0, n1]: [number, number],
  [s0, s1]: [number, number],
): Part {
  const cut = (from: Typed, classes: number, dtype: Typed['dtype']) => {
    const all = numbers(from);
    const rows: number[] = [];
    for (let row = n0 * classes; row < n1 * classes; row++) {
      rows.push(...all.subarray(row * S + s0, row * S + s1));
    }
    const shape = classes > 1 ? [n1 - n0, classes, s1 - s0] : [n1 - n0, s1 - s0];
    return tensor(rows, shape, dtype);
  };
  return {
    samples: [n0, n1],
    voxels: [s0, s1],
    x: cut(whole.predictions, C, 'float64'),
    y: cut(whole.target, 1, 'uint8'),
    weight: cut(whole.weight as Typed, 1, 'float64'),
  };
}

describe.each(cells)('$key $variant', ({ key, variant }) => {
  const whole = makeWhole(key, variant);
  const upstream = tensor([2, -1, 0.5], [N], 'float64');

  /** The value and every part's gradient from merged statistics are those of the whole. */
  const expectWhole = (
    options: ReferenceOptions,
    parts: Part[],
    merge: (list: Statistics[]) => Statistics,
    offsets = false,
  ) => {
    const loss = makeLoss(key, {
      activation: 'softmax',
      classWeights: [1, 0.5, 3],
      ...variant,
      ...options,
    });
    const { weight } = whole as { weight: Typed };
    const expected = loss.valueAndGrad(whole.predictions, whole.target, { weight });
    const grad = numbers(expected.grad);
    const merged = merge(parts.map(({ x, y, weight }) => loss.statistics(x, y, { weight })));
    const outcome = loss.fromStatistics(merged);
    expectClose('value', numbers(outcome.value), numbers(expected.value), close);
    expectClose('perClass', numbers(outcome.perClass), numbers(expected.perClass), close);
    for (const { samples, voxels, x, y, weight } of parts) {
      const sampleOffset = offsets ? { sampleOffset: samples[0] } : {};
      const part = loss.gradient(x, y, merged, { weight, ...sampleOffset });
      const slice: number[] = [];
      for (let row = samples[0] * C; row < samples[1] * C; row++) {
        slice.push(...grad.subarray(row * S + voxels[0], row * S + voxels[1]));
      }
      expectClose('grad', numbers(part), slice, gradTolerance('float64', grad));
    }
  };
  const add = (list: Statistics[]) => list.reduce((a, b) => a.add(b));
  const samples = (...cuts: number[]): Part[] =>
    cuts.slice(1).map((to, i) => partOf(whole, [cuts[i] as number, to], [0, S]));

  test('tiles of the same samples', () => {
    const tiles = [
      [0, 128],
      [128, 131],
      [131, S],
    ] as [number, number][];
    const parts = tiles.map((voxels) => partOf(whole, [0, N], voxels));
    for (const reduction of ['mean', 'sum'] as const) expectWhole({ reduction }, parts, add);
    expectWhole({ batch: true }, parts, add);
  });

  test('micro-batches of a pooled loss', () => {
    expectWhole({ batch: true }, samples(0, 1, 3), add);
  });

  test('shards of a batch, each of other samples', () => {
    for (const reduction of ['mean', 'sum'] as const) {
      expectWhole({ reduction }, samples(0, 2, 3), (list) => Statistics.concat(list), true);
    }
  });

  test("shards with reduction 'none': upstream is that of all samples", () => {
    const loss = makeLoss(key, { activation: 'softmax', ...variant, reduction: 'none' });
    const { value } = loss.value(whole.predictions, whole.target);
    const perSample = value.shape.length === 1;
    const dL = perSample
      ? upstream
      : tensor(
          Array.from({ length: N * C }, (_, i) => i - 3),
          [N, C],
          'float64',
        );
    const expected = numbers(
      loss.valueAndGrad(whole.predictions, whole.target, { upstream: dL }).grad,
    );
    const parts = samples(0, 2, 3);
    const merged = Statistics.concat(parts.map(({ x, y }) => loss.statistics(x, y)));
    const grad = parts.flatMap(({ x, y, samples: [sampleOffset] }) => [
      ...numbers(loss.gradient(x, y, merged, { upstream: dL, sampleOffset })),
    ]);
    expectClose('grad', grad, expected, gradTolerance('float64', expected));
  });
});

describe('sampleOffset', () => {
  const whole = makeWhole('dice', {});
  const loss = makeLoss('dice', { activation: 'softmax' });
  const [first, rest] = [partOf(whole, [0, 1], [0, S]), partOf(whole, [1, N], [0, S])];
  const merged = Statistics.concat([
    loss.statistics(first.x, first.y),
    loss.statistics(rest.x, rest.y),
  ]);
  const out = { grad: tensor(new Float64Array(2 * C * S).fill(7), [2, C, S], 'float64') };
  const gradient = (options: object, of = loss, statistics = merged) =>
    of.gradient(rest.x, rest.y, statistics, { out, ...options });

  test('that is none', () => {
    for (const [sampleOffset, message] of [
      [-1, 'an integer from 0 to 1 for sampleOffset but received -1'],
      [2, 'an integer from 0 to 1 for sampleOffset but received 2'],
      [0.5, 'an integer from 0 to 1 for sampleOffset but received 0.5'],
      ['0', "an integer for sampleOffset but received '0'"],
      [
        undefined,
        'statistics of 2 samples and 3 classes for statistics but received shape [3, 3, 8]',
      ],
    ] as const) {
      expect(() => gradient({ sampleOffset })).toThrow(`Expected ${message}`);
    }
    expect(() => gradient({ sampleOffset: 0 }, loss, loss.statistics(first.x, first.y))).toThrow(
      'Expected statistics of 2 samples and 3 classes for statistics but received shape [1, 3, 8]',
    );
    const pooled = makeLoss('dice', { activation: 'softmax', batch: true });
    const all = pooled.statistics(rest.x, rest.y);
    expect(() => gradient({ sampleOffset: 0 }, pooled, all)).toThrow(
      'sampleOffset cannot be combined with batch: true',
    );
    expect(() => loss.valueAndGrad(rest.x, rest.y, { sampleOffset: 0 } as never)).toThrow(
      "Unknown option 'sampleOffset': ",
    );
    expect(numbers(out.grad).every((x) => x === 7)).toBe(true);
  });

  test('of exactly these samples is 0', () => {
    const own = loss.statistics(rest.x, rest.y);
    const { grad } = loss.valueAndGrad(rest.x, rest.y);
    expect(gradient({ sampleOffset: 0 }, loss, own).data).toEqual(grad.data);
  });

  test('of an async call', async () => {
    const options = { sampleOffset: 1 };
    const grad = await loss.gradientAsync(rest.x, rest.y, merged, options);
    expect(grad.data).toEqual(loss.gradient(rest.x, rest.y, merged, options).data);
  });
});
