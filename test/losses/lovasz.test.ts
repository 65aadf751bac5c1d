import { describe, expect, test } from '@jest/globals';
import { LovaszLoss, type LovaszOptions } from '../../lib/index.js';
import { expectClose } from '../support/compare.js';
import {
  expectSameOnThreads,
  expectSlopes,
  otherForms,
  testEveryCall,
  testRecordedCases,
} from '../support/direct.js';
import { inOneForm } from '../support/errors.js';
import { Random } from '../support/random.js';
import { full, numbers, type Typed, tensor } from '../support/tensors.js';

interface Problem {
  options: LovaszOptions;
  N: number;
  C: number;
  S: number;
  /** [N, C, S] */
  x: Float64Array;
  /** Of each voxel [N, S]: its class; 255 where it is ignored. */
  labels: Float64Array;
}

function make(seed: number, C: number, options: LovaszOptions): Problem {
  const random = new Random(seed);
  const [N, S] = [2, 31];
  const ignore = options.ignoreIndex !== undefined;
  const between = options.activation === 'none' && !options.hinge;
  return {
    options,
    N,
    C,
    S,
    x: random.array(N * C * S, () => (between ? random.uniform() : 2 * random.normal())),
    // Class 1 is absent in the first sample.
    labels: random
      .array(N * S, () =>
        ignore && random.integer(5) === 0 ? 255 : random.integer(C === 1 ? 2 : C),
      )
      .map((c, i) => (C > 1 && c === 1 && i < S ? 0 : c)),
  };
}

/** The Jaccard loss of a set of errors, from its definition. */
function jaccard(target: boolean[], wrong: Set<number>): number {
  let [both, either] = [0, 0];
  target.forEach((t, i) => {
    const p = wrong.has(i) ? !t : t;
    if (t && p) both++;
    if (t || p) either++;
  });
  return either === 0 ? 0 : 1 - both / either;
}

/** Of the voxels of one class: the sum over the sorted errors of error times growth of the Jaccard loss. */
function lovasz(predictions: number[], target: boolean[], hinge: boolean): number {
  const errors = predictions.map((p, i) => {
    if (hinge) return Math.max(0, target[i] ? 1 - p : 1 + p);
    return Math.abs((target[i] ? 1 : 0) - p);
  });
  const order = errors
    .map((_, i) => i)
    .sort((a, b) => (errors[b] as number) - (errors[a] as number));
  const wrong = new Set<number>();
  let [sum, before] = [0, 0];
  for (const i of order) {
    wrong.add(i);
    const after = jaccard(target, wrong);
    sum += (errors[i] as number) * (after - before);
    before = after;
  }
  return sum;
}

const mean = (values: number[]) =>
  values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;

function reference({ options, N, C, S, x, labels }: Problem): number {
  const { activation = 'softmax', hinge = false, batch = false, background = true } = options;
  const { absent = hinge ? 'formula' : 'skip' } = options;
  const probability = (n: number, c: number, s: number) => {
    const z = Array.from({ length: C }, (_, j) => x[(n * C + j) * S + s] as number);
    if (hinge || activation === 'none') return z[c] as number;
    if (activation === 'sigmoid') return 1 / (1 + Math.exp(-(z[c] as number)));
    const largest = Math.max(...z);
    return (
      Math.exp((z[c] as number) - largest) / z.reduce((sum, v) => sum + Math.exp(v - largest), 0)
    );
  };
  const ofSamples = (samples: number[]) => {
    const voxels = samples
      .flatMap((n) => Array.from({ length: S }, (_, s) => [n, s] as const))
      .filter(([n, s]) => labels[n * S + s] !== 255);
    const losses: number[] = [];
    for (let c = background ? 0 : 1; c < C; c++) {
      const target = voxels.map(([n, s]) => labels[n * S + s] === (C === 1 ? 1 : c));
      if (absent === 'skip' && !target.includes(true)) continue;
      losses.push(
        lovasz(
          voxels.map(([n, s]) => probability(n, c, s)),
          target,
          hinge,
        ),
      );
    }
    return options.reduction === 'sum' ? losses.reduce((a, b) => a + b, 0) : mean(losses);
  };
  const all = Array.from({ length: N }, (_, n) => n);
  if (batch) return ofSamples(all);
  const each = all.map((n) => ofSamples([n]));
  return options.reduction === 'sum' ? each.reduce((a, b) => a + b, 0) : mean(each);
}

function inputs({ N, C, S, x, labels }: Problem): [Typed, Typed] {
  return [tensor(x, [N, C, S], 'float64'), tensor(labels, [N, S], 'uint8')];
}

const variants: LovaszOptions[] = [
  {},
  { batch: true },
  { absent: 'formula' },
  { background: false },
  { reduction: 'sum' },
  { reduction: 'sum', batch: true, activation: 'sigmoid' },
  { activation: 'sigmoid' },
  { activation: 'none' },
  { hinge: true },
  { hinge: true, batch: true, absent: 'skip' },
  { ignoreIndex: 255 },
  { ignoreIndex: 255, batch: true, background: false },
];

describe('the value is that of the formula, the gradient its slope', () => {
  test.each(variants.map((options) => [JSON.stringify(options), options] as const))(
    '%s',
    (_, options) => {
      const classes =
        options.background === false || (options.activation === undefined && !options.hinge)
          ? [2, 3]
          : [1, 3];
      for (const C of classes) {
        const problem = make(C, C, options);
        const loss = new LovaszLoss(options);
        const { value, grad } = loss.valueAndGrad(...inputs(problem));
        expect(value.itemSync()).toBeCloseTo(reference(problem), 12);
        expectSlopes(problem, reference, grad.data, 7);
      }
    },
  );
});

// Many are sorted digit by digit.
test.each([500, 20_000])('%d voxels: every exponent, equal errors, both sides', (S) => {
  const random = new Random(11);
  const p = new Float64Array(S).map((_, i) =>
    i % 7 === 0 ? 0.25 : random.uniform() ** (1 + (i % 40)),
  );
  const target = random.array(S, () => random.integer(2));
  const loss = new LovaszLoss({ activation: 'none' });
  const { value, grad } = loss.valueAndGrad(
    tensor(p, [1, 1, S], 'float64'),
    tensor(target, [1, S], 'uint8'),
  );
  const errors = p.map((x, i) => Math.abs((target[i] as number) - x));
  // The largest first, equal ones in the order of the voxels.
  const order = Array.from(errors, (_, i) => i).sort(
    (a, b) => (errors[b] as number) - (errors[a] as number) || a - b,
  );
  const inClass = target.reduce((a, b) => a + b);
  let [overlap, together, before, expected] = [inClass, inClass, 0, 0];
  const slopes = new Float64Array(S);
  for (const i of order) {
    if (target[i] === 1) overlap--;
    else together++;
    const slope = 1 - overlap / together - before;
    before += slope;
    expected += (errors[i] as number) * slope;
    slopes[i] = target[i] === 1 ? -slope : slope;
  }
  expectClose('grad', numbers(grad), slopes, 1e-12);
  expect(value.itemSync()).toBeCloseTo(expected, 12);
});

describe("smp's LovaszLoss, which computes in float32", () => {
  testRecordedCases(
    'direct.json',
    'WARPDICE_PEERS_DIRECT',
    (options: LovaszOptions) => new LovaszLoss(options),
    1e-6,
  );
});

describe('calls', () => {
  const problem = make(7, 3, {});
  const [x, y] = inputs(problem);
  const loss = new LovaszLoss();
  const whole = loss.valueAndGrad(x, y);
  const value = whole.value.itemSync();

  testEveryCall(loss, x, y);

  test('any number of threads, and voxels with equal errors: the same bits', () => {
    const shape = [1, 3, 9000];
    const random = new Random(1);
    const logits = tensor(
      random.array(27000, () => random.integer(3)),
      shape,
    );
    const labels = tensor(
      random.array(9000, () => random.integer(3)),
      [1, 9000],
      'uint8',
    );
    expectSameOnThreads(loss, logits, labels);
  });

  test('channels last, masks, other label dtypes, float32', () => {
    const { N, C, S } = problem;
    const { last, masks } = otherForms(problem, N, C, S);
    const other = new LovaszLoss({ layout: 'channels-last' }).valueAndGrad(
      tensor(last, [N, S, C], 'float64'),
      y,
    );
    expect(other.value.itemSync()).toBe(value);
    expect(other.grad.data[1]).toBe(whole.grad.data[S]);
    expect(loss.value(x, tensor(masks, [N, C, S], 'uint8')).value.itemSync()).toBe(value);
    expect(loss.value(x, tensor(problem.labels, [N, S], 'int64')).value.itemSync()).toBe(value);
    const single = loss.valueAndGrad(tensor(problem.x, [N, C, S]), y);
    expect(single.value.itemSync()).toBeCloseTo(value, 6);
    expect(single.grad.dtype).toBe('float32');
  });

  test("reduction 'none' with upstream, gradScale, accumulate, out", () => {
    const none = new LovaszLoss({ reduction: 'none' });
    const upstream = full([2, 3], 1, 'float64');
    const { value: each, perClass, grad } = none.valueAndGrad(x, y, { upstream });
    expect(each.shape).toEqual([2, 3]);
    expect(each.data[1]).toBe(0); // absent
    expect(perClass.data[1]).toBeGreaterThan(0);
    const sum = new LovaszLoss({ reduction: 'sum' }).valueAndGrad(x, y);
    expect([...each.data].reduce((a, b) => Number(a) + Number(b), 0)).toBeCloseTo(
      sum.value.itemSync(),
      12,
    );
    expect(grad.data).toEqual(sum.grad.data);
    const into = { data: new Float64Array(x.data.length).fill(1), shape: x.shape };
    loss.valueAndGrad(x, y, { gradScale: 2, accumulate: true, out: { grad: into } });
    expectClose(
      'grad',
      into.data,
      numbers(whole.grad).map((g) => 1 + 2 * g),
      1e-14,
    );
  });

  test('NaN logits give NaN, right predictions 0', () => {
    const broken = tensor(problem.x, x.shape, 'float64');
    broken.data[3] = Number.NaN as never;
    expect(loss.value(broken, y).value.itemSync()).toBeNaN();
    const right = { data: Float64Array.of(1, 0, 0, 1), shape: [1, 2, 2] };
    const labels = tensor([0, 1], [1, 2], 'uint8');
    const perfect = new LovaszLoss({ activation: 'none' }).valueAndGrad(right, labels);
    expect([perfect.value.itemSync(), ...perfect.grad.data]).toEqual([0, 0, 0, 0, 0]);
    const extreme = { data: Float64Array.of(800, -800, -800, 800), shape: [1, 2, 2] };
    expect(loss.value(extreme, labels).value.itemSync()).toBe(0);
  });
});

describe('errors', () => {
  const [x, y] = inputs(make(1, 2, {}));
  const refused: [string, () => unknown, string][] = [
    [
      'weight',
      () => new LovaszLoss().value(x, y, { weight: y } as never),
      "Unknown option 'weight'",
    ],
    [
      'activation of the hinge',
      () => new LovaszLoss({ hinge: true, activation: 'sigmoid' }),
      'activation cannot be combined with hinge: true: the hinge takes logits',
    ],
    [
      'absent',
      () => new LovaszLoss({ absent: 'worst' as never }),
      "for absent but received 'worst'",
    ],
    [
      'an option of other losses',
      () => new LovaszLoss({ smoothNumerator: 1 } as never),
      "Unknown option 'smoothNumerator'",
    ],
    [
      'half',
      () => new LovaszLoss().value(full(x.shape, 0, 'float16'), y),
      'Expected dtype float32 or float64 for predictions of LovaszLoss but received float16',
    ],
    [
      'soft target',
      () => new LovaszLoss().value(x, full(x.shape, 0.5, 'float64')),
      'for target, as LovaszLoss has no soft targets, but received float64',
    ],
    [
      'logits',
      () => new LovaszLoss({ activation: 'none' }).value(full(x.shape, 3, 'float64'), y),
      'Expected probabilities from 0 to 1 for predictions',
    ],
    [
      'labels',
      () => new LovaszLoss().value(x, full(y.shape, 9, 'uint8')),
      'Expected class indices from 0 to 1 for target but received 62 other values',
    ],
  ];
  test.each(refused)('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(inOneForm);
  });

  test('labels out of range reject the promise', async () => {
    const later = new LovaszLoss().valueAsync(x, full(y.shape, 9, 'uint8'));
    await expect(later).rejects.toMatchObject({ code: 'ERR_LABEL_RANGE', index: 0, value: 9 });
  });
});
