// SoftClDiceLoss: its formula by brute force, finite differences, MONAI itself (test/peers/spatial.py), calls, errors.
import { describe, expect, test } from '@jest/globals';
import { getThreads, SoftClDiceLoss, type SoftClDiceOptions, setThreads } from '../../lib/index.js';
import { clDiceOf } from '../reference/skeleton.js';
import { type SpatialProblem, spatialLoss } from '../reference/spatial.js';
import { expectClose } from '../support/compare.js';
import { otherForms, testEveryCall } from '../support/direct.js';
import { inOneForm } from '../support/errors.js';
import { everyNth } from '../support/in-this-run.js';
import { Random } from '../support/random.js';
import { bytesOf, errorOfGradient, makeSpatial, spatialInputs } from '../support/spatial.js';
import { peerCases } from '../support/spatial-peers.js';
import { full, numbers, sizeOf, type Typed, tensor } from '../support/tensors.js';

const some = everyNth(3);

const variants: SoftClDiceOptions[] = [
  {},
  { iterations: 0 },
  { iterations: 2, alpha: 0.3, reduction: 'sum' },
  { batch: true, activation: 'sigmoid', iterations: 1 },
  { background: false, absent: 'skip', alpha: 0.5, smoothHarmonic: 1e-4 },
  { activation: 'none', smoothNumerator: 0.25, smoothDenominator: 0.5 },
  { activation: 'sigmoid', smoothNumerator: 0, smoothDenominator: 0, alpha: 0.5 },
];

describe('the value is that of the formula, the gradient its slope', () => {
  test.each(variants.map((options) => [JSON.stringify(options), options] as const))(
    '%s',
    (_, options) => {
      for (const size of [
        [5, 7],
        [1, 13],
        [7, 1],
        [1, 1],
        [2, 4, 5],
      ]) {
        if (!some()) continue;
        const C = options.background === false || options.activation === undefined ? 2 : 1;
        const problem = makeSpatial(C + size.length, C, size, options);
        const value = (of: SpatialProblem) => spatialLoss(of, options, clDiceOf(options));
        const ours = new SoftClDiceLoss(options).valueAndGrad(...spatialInputs(problem));
        expect(ours.value.itemSync()).toBeCloseTo(value(problem), 12);
        const stride = sizeOf(size) > 35 ? 19 : 7;
        const largest = errorOfGradient(problem, ours.grad.data as Float64Array, value, stride);
        expect(largest).toBeLessThan(1e-7);
      }
    },
  );
});

test.each(peerCases(['cldice']))("MONAI's SoftclDiceLoss and SoftDiceclDiceLoss %s", (_, one) => {
  const [n, , ...size] = one.shape as [number, number, ...number[]];
  const ours = new SoftClDiceLoss(one.options).valueAndGrad(
    tensor(one.x, one.shape, 'float64'),
    tensor(one.labels, [n, ...size], 'uint8'),
  );
  expect(Math.abs(ours.value.itemSync() - one.value)).toBeLessThan(1e-12);
  expectClose('grad', numbers(ours.grad), one.gradient, 1e-9);
});

describe('calls', () => {
  const problem = makeSpatial(3, 3, [6, 7]);
  const [x, y] = spatialInputs(problem);
  const loss = new SoftClDiceLoss({ alpha: 0.5 });
  const whole = loss.valueAndGrad(x, y);
  const value = whole.value.itemSync();

  testEveryCall(loss, x, y);

  test('channels last, masks, float32, a flat volume', () => {
    const { N, C, size } = problem;
    const S = sizeOf(size);
    const { last, masks } = otherForms(problem, N, C, S);
    const other = new SoftClDiceLoss({ alpha: 0.5, layout: 'channels-last' }).valueAndGrad(
      tensor(last, [N, ...size, C], 'float64'),
      y,
    );
    expect(other.value.itemSync()).toBe(value);
    expect(other.grad.data[1]).toBe(whole.grad.data[S]);
    expect(loss.value(x, tensor(masks, x.shape, 'uint8')).value.itemSync()).toBe(value);
    const single = loss.valueAndGrad(tensor(problem.x, x.shape), y);
    expect(single.value.itemSync()).toBeCloseTo(value, 6);
    expect(single.grad.dtype).toBe('float32');
    for (const axis of [0, 1, 2]) {
      const volume = (t: Typed, at: number) => ({
        ...t,
        shape: t.shape.toSpliced(at + axis, 0, 1),
      });
      const same = loss.valueAndGrad(volume(x, 2), volume(y, 1));
      expect(same.value.itemSync()).toBe(value);
      expect(bytesOf(same.grad.data)).toBe(bytesOf(whole.grad.data));
    }
  });

  test("reduction 'none' with upstream, gradScale, accumulate, out", () => {
    const options = { reduction: 'none', alpha: 0.5 } as const;
    const upstream = full([2, 3], 1, 'float64');
    const {
      value: each,
      perClass,
      grad,
    } = new SoftClDiceLoss(options).valueAndGrad(x, y, { upstream });
    expect(each.data).toEqual(perClass.data);
    expect([...(each.data as Float64Array)].reduce((a, b) => a + b, 0) / 6).toBeCloseTo(value, 12);
    const into = { data: new Float64Array(x.data.length).fill(1), shape: x.shape };
    loss.valueAndGrad(x, y, { gradScale: 6, accumulate: true, out: { grad: into } });
    into.data.forEach((g, i) => {
      expect(g).toBeCloseTo(1 + (grad.data[i] as number), 12);
    });
  });

  test('any number of threads, in images and in volumes: the same bits', () => {
    const before = getThreads();
    for (const size of [
      [600, 500],
      [66, 65, 64],
      [40, 30],
    ]) {
      // the first two above 2^18 voxels
      const S = sizeOf(size);
      const random = new Random(1);
      const logits = tensor(
        random.array(2 * S, () => random.integer(9) - 4),
        [1, 2, ...size],
      ); // many ties
      const labels = tensor(
        random.array(S, () => random.integer(2)),
        [1, ...size],
        'uint8',
      );
      const [one, four] = [1, 4].map((threads) => {
        setThreads(threads);
        const { value, grad } = loss.valueAndGrad(logits, labels);
        return [value.itemSync(), bytesOf(grad.data)];
      });
      expect(four?.[0]).toBe(one?.[0]);
      expect(four?.[1] === one?.[1]).toBe(true);
    }
    setThreads(before);
  });

  test('a row longer than what is dilated at a time, beside its transpose', () => {
    const random = new Random(2);
    const [S, rows] = [1100, 9];
    // Blobs, of which something is left after the erosions, and in which each voxel of the row has its own value.
    const logits = random
      .array(S * rows, () => random.normal())
      .map((noise, i) => 0.5 * noise + 2 * Math.sin(Math.floor(i / rows) / 3));
    const labels = random.array(S * rows, () => random.integer(2));
    const binary = new SoftClDiceLoss({ activation: 'sigmoid', iterations: 3, alpha: 0.5 });
    const turned = (values: Float64Array) =>
      values.map((_, i) => values[(i % S) * rows + Math.floor(i / S)] as number);
    const solve = (shape: number[], z: Float64Array, t: Float64Array) => {
      const y = tensor(t, [1, ...shape], 'uint8');
      return binary.valueAndGrad(tensor(z, [1, 1, ...shape], 'float64'), y);
    };
    const tall = solve([S, rows], logits, labels);
    const wide = solve([rows, S], turned(logits), turned(labels));
    expect(wide.value.itemSync()).toBeCloseTo(tall.value.itemSync(), 12);
    expectClose('grad', numbers(wide.grad), turned(numbers(tall.grad)), 1e-12);
  });

  test('of voxels with the same value the first takes the gradient', () => {
    const plain = { activation: 'none', iterations: 0 } as const;
    const slopes = (p: number[], S: number) => {
      const shape = [1, 1, 1, p.length];
      const none = full([1, 1, p.length], 0, 'uint8');
      const { value, grad } = new SoftClDiceLoss(plain).valueAndGrad(
        tensor(p, shape, 'float64'),
        none,
      );
      // precision 1/(S + 1) and sensitivity 1 give L = 1 - 2/(S + 2)
      expect(value.itemSync()).toBeCloseTo(1 - 2 / (S + 2), 12);
      return [...grad.data].map((g) => Number(((Number(g) * (S + 2) ** 2) / 2).toFixed(9)) + 0);
    };
    // Every erosion is 1/4, the first of them from voxel 0: S is p1 - p0 in the middle.
    expect(slopes([0.25, 0.5, 0.25], 0.25)).toEqual([-1, 1, 0]);
    // The erosion of voxel 2 is 1/2, from voxel 1 before voxel 3: S is p2 - p1 there.
    expect(slopes([0.125, 0.5, 0.75, 0.5], 0.25)).toEqual([0, -1, 1, 0]);
  });

  test('NaN, extreme logits, a class everywhere, a class nowhere, a right answer', () => {
    const broken = tensor(problem.x, x.shape, 'float64');
    broken.data[3] = Number.NaN as never;
    expect(loss.valueAndGrad(broken, y).value.itemSync()).toBeNaN();
    const extreme = tensor(
      problem.x.map((z) => Math.sign(z) * 800),
      x.shape,
      'float64',
    );
    const sure = loss.valueAndGrad(extreme, y);
    const all = [sure.value.itemSync(), ...sure.grad.data];
    expect(all.every((number) => Number.isFinite(number))).toBe(true);
    const binary = new SoftClDiceLoss({ activation: 'sigmoid' });
    for (const label of [0, 1]) {
      const target = full([1, 6, 7], label, 'uint8');
      const right = binary.valueAndGrad(
        full([1, 1, 6, 7], label === 1 ? 800 : -800, 'float64'),
        target,
      );
      expect(right.value.itemSync()).toBe(0);
      const all = binary.valueAndGrad(full([1, 1, 6, 7], 3, 'float64'), target);
      expect([...all.grad.data].every((number) => Number.isFinite(number))).toBe(true);
    }
    const skipped = new SoftClDiceLoss({ activation: 'sigmoid', absent: 'skip' });
    const none = skipped.valueAndGrad(
      full([1, 1, 6, 7], 3, 'float64'),
      full([1, 6, 7], 0, 'uint8'),
    );
    expect([none.value.itemSync(), ...none.grad.data].every((number) => number === 0)).toBe(true);
  });
});

describe('errors', () => {
  const [x, y] = spatialInputs(makeSpatial(1, 2, [3, 4]));
  const refused: [string, () => unknown, string][] = [
    ['iterations', () => new SoftClDiceLoss({ iterations: -1 }), 'for iterations but received -1'],
    ['many', () => new SoftClDiceLoss({ iterations: 1e6 }), 'for iterations but received 1000000'],
    ['half', () => new SoftClDiceLoss({ iterations: 1.5 }), 'for iterations but received 1.5'],
    [
      'text',
      () => new SoftClDiceLoss({ iterations: '3' as never }),
      "for iterations but received '3'",
    ],
    [
      'alpha',
      () => new SoftClDiceLoss({ alpha: 2 }),
      'Expected a number from 0 to 1 for alpha but received 2',
    ],
    [
      'smoothing',
      () => new SoftClDiceLoss({ smoothNumerator: -1 }),
      'for smoothNumerator but received -1',
    ],
    [
      'null',
      () => new SoftClDiceLoss({ smoothDenominator: null as never }),
      'for smoothDenominator but received null',
    ],
    [
      'iter_',
      () => new SoftClDiceLoss({ iter_: 3 } as never),
      "Unknown option 'iter_': did you mean iterations?",
    ],
    [
      'ignoreIndex',
      () => new SoftClDiceLoss({ ignoreIndex: 255 } as never),
      "Unknown option 'ignoreIndex'",
    ],
    ['spacing', () => new SoftClDiceLoss({ spacing: [1, 1] } as never), "Unknown option 'spacing'"],
    [
      'axes',
      () => new SoftClDiceLoss().value({ ...x, shape: [2, 2, 12] }, { ...y, shape: [2, 12] }),
      'Expected 2 or 3 spatial axes for predictions but received 1',
    ],
    [
      'logits',
      () => new SoftClDiceLoss({ activation: 'none' }).value(full(x.shape, 3, 'float64'), y),
      'Expected probabilities from 0 to 1 for predictions',
    ],
    [
      'soft target',
      () => new SoftClDiceLoss().value(x, full(x.shape, 0.5, 'float64')),
      'as SoftClDiceLoss has no soft targets',
    ],
  ];
  test.each(refused)('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(inOneForm);
  });
});
