import { describe, expect, test } from '@jest/globals';
import { TopKCrossEntropyLoss, type TopKOptions } from '../../lib/index.js';
import {
  expectSameOnThreads,
  expectSlopes,
  otherForms,
  testEveryCall,
  testRecordedCases,
} from '../support/direct.js';
import { inOneForm } from '../support/errors.js';
import { Random } from '../support/random.js';
import { full, type Typed, tensor } from '../support/tensors.js';

interface Problem {
  options: TopKOptions;
  N: number;
  C: number;
  S: number;
  /** [N, C, S] */
  x: Float64Array;
  /** [N, S]: a class, or 255. */
  labels: Float64Array;
}

function make(seed: number, [N, C, S]: [number, number, number], options: TopKOptions): Problem {
  const random = new Random(seed);
  const ignores = options.ignoreIndex !== undefined;
  const label = () => (ignores && random.integer(4) === 0 ? 255 : random.integer(C));
  const x = random.array(N * C * S, () => 2 * random.normal());
  return { options, N, C, S, x, labels: random.array(N * S, label) };
}

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

/** The losses of the groups, and the voxels that each takes. */
function reference({ options, N, C, S, x, labels }: Problem) {
  const { k = 10, labelSmoothing: s = 0, classWeights, batch = false } = options;
  const entropy = (n: number, v: number) => {
    const z = Array.from({ length: C }, (_, c) => x[(n * C + c) * S + v] as number);
    const largest = Math.max(...z);
    const lse = largest + Math.log(sum(z.map((value) => Math.exp(value - largest))));
    return sum(
      z.map((value, c) => {
        const target = (1 - s) * (labels[n * S + v] === c ? 1 : 0) + s / C;
        return (classWeights?.[c] ?? 1) * target * (lse - value);
      }),
    );
  };
  const of = (samples: number[]) => {
    const voxels = samples
      .flatMap((n) => Array.from({ length: S }, (_, v) => ({ n, v })))
      .filter(({ n, v }) => labels[n * S + v] !== 255);
    const count = Math.max(1, Math.floor((voxels.length * k) / 100));
    const losses = voxels.map(({ n, v }) => entropy(n, v)).sort((a, b) => b - a);
    return voxels.length === 0 ? 0 : sum(losses.slice(0, count)) / count;
  };
  const all = Array.from({ length: N }, (_, n) => n);
  return batch ? [of(all)] : all.map((n) => of([n]));
}

function reduced(problem: Problem): number {
  const losses = reference(problem);
  return sum(losses) / (problem.options.reduction === 'sum' ? 1 : losses.length);
}

const inputs = ({ N, C, S, x, labels }: Problem): [Typed, Typed] => [
  tensor(x, [N, C, S], 'float64'),
  tensor(labels, [N, S], 'uint8'),
];

const variants: TopKOptions[] = [
  {},
  { k: 100 },
  { k: 33.5, batch: true },
  { k: 1e-9 },
  { k: 50, ignoreIndex: 255 },
  { k: 50, labelSmoothing: 0.2, classWeights: [1, 0, 2] },
  { reduction: 'sum', ignoreIndex: 255, labelSmoothing: 1 },
];

describe('the value is that of the formula, the gradient its slope', () => {
  test.each(variants.map((options) => [JSON.stringify(options), options] as const))(
    '%s',
    (_, options) => {
      for (const S of [1, 31, 33]) {
        const problem = make(S, [2, 3, S], options);
        const { value, perClass, grad } = new TopKCrossEntropyLoss(options).valueAndGrad(
          ...inputs(problem),
        );
        expect(value.itemSync()).toBeCloseTo(reduced(problem), 12);
        const groups = options.batch ? 1 : 2;
        const parts =
          sum([...perClass.data].map(Number)) / (options.reduction === 'sum' ? 1 : groups);
        expect(parts).toBeCloseTo(value.itemSync(), 12);
        expectSlopes(problem, reduced, grad.data, 5);
      }
    },
  );
});

describe("nnU-Net's TopKLoss, in float64", () => {
  testRecordedCases(
    'top_k.json',
    'WARPDICE_PEERS_TOP_K',
    (options: TopKOptions) => new TopKCrossEntropyLoss(options),
    1e-12,
  );
});

describe('which voxels', () => {
  test('of equal ones the first; its doc comment', () => {
    const z = tensor([0, 0, Math.log(3), 0, 0, 0, 0, Math.log(3)], [1, 2, 4], 'float64');
    const labels = tensor([0, 1, 1, 1], [1, 4], 'uint8');
    const { value, perClass, grad } = new TopKCrossEntropyLoss({ k: 50 }).valueAndGrad(z, labels);
    expect(value.itemSync()).toBeCloseTo(1.0397207708, 9);
    expect([...perClass.data].map(Number)[1]).toBeCloseTo(Math.log(4) / 2, 14);
    const expected = [-1 / 4, 0, 3 / 8, 0, 1 / 4, 0, -3 / 8, 0];
    expected.forEach((g, i) => {
      expect(grad.data[i]).toBeCloseTo(g, 14);
    });
  });

  test('more voxels than a block, most of them equal', () => {
    const S = 5003;
    const hard = [7, 2047, 2048, 4999];
    const x = new Float64Array(2 * S);
    for (const v of hard) x[v] = 4;
    const labels = new Float64Array(S).fill(1);
    const loss = new TopKCrossEntropyLoss({ k: (100 * 2010.5) / S });
    const { grad } = loss.valueAndGrad(
      tensor(x, [1, 2, S], 'float64'),
      tensor(labels, [1, S], 'uint8'),
    );
    const taken = Array.from({ length: S }, (_, v) => v).filter((v) => grad.data[v] !== 0);
    const firsts = Array.from({ length: 2007 }, (_, v) => v); // 2006 equal ones, without voxel 7
    expect(taken).toEqual([...firsts, 2047, 2048, 4999]);
  });

  test('percentages are exact: 29 of 100', () => {
    const x = tensor(new Float64Array(200), [1, 2, 100], 'float64');
    const { grad } = new TopKCrossEntropyLoss({ k: 29 }).valueAndGrad(
      x,
      full([1, 100], 0, 'uint8'),
    );
    expect([...grad.data].filter((g) => Number(g) < 0)).toHaveLength(29);
  });
});

describe('calls', () => {
  const problem = make(7, [2, 3, 4099], { k: 20 });
  const [x, y] = inputs(problem);
  const loss = new TopKCrossEntropyLoss({ k: 20 });
  const whole = loss.valueAndGrad(x, y);
  const value = whole.value.itemSync();

  testEveryCall(loss, x, y);

  test('any number of threads: the same bits', () => {
    const logits = tensor(problem.x.map(Math.round), x.shape); // many equal ones
    expectSameOnThreads(loss, logits, y);
  });

  test('channels last, masks, other label dtypes, float32', () => {
    const { N, C, S } = problem;
    const { last, masks } = otherForms(problem, N, C, S);
    const other = new TopKCrossEntropyLoss({ k: 20, layout: 'channels-last' }).valueAndGrad(
      tensor(last, [N, S, C], 'float64'),
      y,
    );
    expect(other.value.itemSync()).toBe(value);
    expect(other.grad.data[1]).toBe(whole.grad.data[S]);
    const dense = loss.valueAndGrad(x, tensor(masks, [N, C, S], 'uint8'));
    expect(dense.value.itemSync()).toBe(value);
    expect(dense.perClass.data).toEqual(whole.perClass.data);
    expect(dense.grad.data).toEqual(whole.grad.data);
    expect(loss.value(x, tensor(problem.labels, [N, S], 'int64')).value.itemSync()).toBe(value);
    const single = loss.valueAndGrad(tensor(problem.x, [N, C, S]), y);
    expect(single.value.itemSync()).toBeCloseTo(value, 6);
    expect(single.grad.dtype).toBe('float32');
  });

  test("reduction 'none' with upstream, gradScale, accumulate, out", () => {
    const none = new TopKCrossEntropyLoss({ k: 20, reduction: 'none' });
    const upstream = tensor([0.5, 0.5], [2], 'float64');
    const { value: each, grad } = none.valueAndGrad(x, y, { upstream });
    expect(each.shape).toEqual([2]);
    const expected = reference(problem);
    expected.forEach((one, i) => {
      expect(each.data[i]).toBeCloseTo(one, 12);
    });
    expect(grad.data).toEqual(whole.grad.data);
    const into = { data: new Float64Array(x.data.length).fill(1), shape: x.shape };
    loss.valueAndGrad(x, y, { gradScale: 2, accumulate: true, out: { grad: into } });
    const errors = into.data.map((g, i) => Math.abs(g - 1 - 2 * (whole.grad.data[i] as number)));
    expect(Math.max(...errors)).toBeLessThan(1e-14);
    const own = tensor(problem.x, x.shape, 'float64');
    loss.valueAndGrad(own, y, { out: { grad: own } });
    expect(own.data).toEqual(whole.grad.data);
  });

  test('NaN, infinity, extreme logits, nothing that counts', () => {
    const labels = full([1, 2], 0, 'uint8');
    const at = (values: number[], options: TopKOptions = { k: 50 }) =>
      new TopKCrossEntropyLoss(options).valueAndGrad(tensor(values, [1, 2, 2], 'float64'), labels);
    const broken = at([Number.NaN, -9, 0, 9]);
    expect(broken.value.itemSync()).toBeNaN();
    expect([...broken.grad.data].map(Number).map(Number.isNaN)).toEqual([true, false, true, false]);
    expect(at([0, -Infinity, 0, 0]).value.itemSync()).toBe(Infinity);
    expect([...at([0, -Infinity, 0, 0]).grad.data]).toEqual([0, -1, 0, 1]);
    expect(at([0, -1e300, 0, 1e300]).value.itemSync()).toBe(2e300);
    expect(at([800, 800, -800, -800]).value.itemSync()).toBe(0);
    const nothing = at([1, 2, 3, 4], { ignoreIndex: 0 });
    expect([nothing.value.itemSync(), ...nothing.grad.data]).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('errors', () => {
  const [x, y] = inputs(make(1, [1, 2, 5], {}));
  const make1 = (options: unknown) => () => new TopKCrossEntropyLoss(options as TopKOptions);
  const refused: [string, () => unknown, string][] = [
    ['k of 0', make1({ k: 0 }), 'Expected a finite number > 0 for k but received 0'],
    ['k above 100', make1({ k: 101 }), 'a number above 0 and at most 100 for k but received 101'],
    ['smoothing', make1({ labelSmoothing: 2 }), 'from 0 to 1 for labelSmoothing but received 2'],
    ['activation', make1({ activation: 'sigmoid' }), "one of 'softmax' for activation"],
    ['an option of other losses', make1({ background: false }), "Unknown option 'background'"],
    [
      'weights',
      () => new TopKCrossEntropyLoss({ classWeights: [1, 2, 3] }).value(x, y),
      '2 numbers, one per class, for classWeights',
    ],
    [
      'weight',
      () => new TopKCrossEntropyLoss().value(x, y, { weight: y } as never),
      "Unknown option 'weight'",
    ],
    [
      'one class',
      () => new TopKCrossEntropyLoss().value(full([1, 1, 5], 0, 'float64'), y),
      "2 or more classes for activation 'softmax'",
    ],
  ];
  test.each(refused)('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(inOneForm);
  });
});
