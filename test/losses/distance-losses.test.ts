// BoundaryLoss and HausdorffLoss: their formulas by brute force, finite differences, the authors' program and MONAI itself
// (test/peers/spatial.py), calls, errors.
import { describe, expect, test } from '@jest/globals';
import {
  BoundaryLoss,
  type DirectLoss,
  getThreads,
  HausdorffLoss,
  type HausdorffOptions,
  setThreads,
} from '../../lib/index.js';
import { boundaryOf, hausdorffOf, type SpatialProblem, spatialLoss } from '../reference/spatial.js';
import { expectClose } from '../support/compare.js';
import { otherForms, testEveryCall } from '../support/direct.js';
import { inOneForm } from '../support/errors.js';
import { everyNth } from '../support/in-this-run.js';
import { Random } from '../support/random.js';
import { bytesOf, errorOfGradient, makeSpatial, spatialInputs } from '../support/spatial.js';
import { peerCases } from '../support/spatial-peers.js';
import { full, numbers, type Typed, tensor } from '../support/tensors.js';

type Options = HausdorffOptions;
const losses = {
  boundary: { Loss: BoundaryLoss, ofClass: boundaryOf },
  hausdorff: { Loss: HausdorffLoss, ofClass: hausdorffOf },
} as const;
type Name = keyof typeof losses;
const names = Object.keys(losses) as Name[];

const some = everyNth(3);

const common: Options[] = [
  {},
  { absent: 'skip', reduction: 'sum' },
  { background: false, spacing: [0.5, 2] },
  { activation: 'sigmoid', ignoreIndex: 255 },
  { activation: 'none' },
];
const variants: [Name, Options][] = [
  ...names.flatMap((name) => common.map((options) => [name, options] as [Name, Options])),
  ['hausdorff', { alpha: 1 }],
  ['hausdorff', { alpha: 2.5, log: true, ignoreIndex: 255 }],
  ['hausdorff', { batch: true, log: true }],
  ['hausdorff', { batch: true, absent: 'skip', reduction: 'sum' }],
];

describe('the value is that of the formula, the gradient its slope', () => {
  test.each(
    variants.map(
      ([name, options]) => [`${name} ${JSON.stringify(options)}`, name, options] as const,
    ),
  )('%s', (_, name, options) => {
    const { Loss, ofClass } = losses[name];
    const flat = [
      [5, 7],
      [1, 13],
      [7, 1],
      [1, 1],
    ];
    for (const size of options.spacing ? flat : [...flat, [2, 3, 5]]) {
      for (const C of options.activation === undefined ? [2, 3] : [1, 3]) {
        if (!some()) continue;
        const problem = makeSpatial(C + size.length, C, size, options);
        const value = (of: SpatialProblem) => spatialLoss(of, options, ofClass(options));
        const ours = new Loss(options).valueAndGrad(...spatialInputs(problem));
        expect(ours.value.itemSync()).toBeCloseTo(value(problem), 11);
        const largest = errorOfGradient(problem, ours.grad.data as Float64Array, value, 11);
        expect(largest).toBeLessThan(1e-8 * Math.max(1, Math.abs(value(problem))));
      }
    }
  });
});

describe('the authors with SciPy, and MONAI, whose distances are float32', () => {
  test.each(peerCases(names))('%s', (_, { loss, options, shape, x, labels, value, gradient }) => {
    const [n, , ...size] = shape as [number, number, ...number[]];
    const { Loss } = losses[loss as Name];
    const ours = new Loss(options).valueAndGrad(
      tensor(x, shape, 'float64'),
      tensor(labels, [n, ...size], 'uint8'),
    );
    const tolerance = (loss === 'boundary' ? 1e-9 : 1e-6) * Math.max(1, Math.abs(value));
    expect(Math.abs(ours.value.itemSync() - value)).toBeLessThan(tolerance);
    expectClose('grad', numbers(ours.grad), gradient, tolerance);
  });
});

describe.each(names)('calls of %s', (name) => {
  const { Loss } = losses[name];
  const problem = makeSpatial(3, 3, [5, 7]);
  const [x, y] = spatialInputs(problem);
  const loss = new Loss();
  const whole = loss.valueAndGrad(x, y);
  const value = whole.value.itemSync();

  testEveryCall(loss, x, y);

  test('channels last, masks, other label dtypes, float32, spacing', () => {
    const { N, C, size } = problem;
    const S = 35;
    const { last, masks } = otherForms(problem, N, C, S);
    const other = new Loss({ layout: 'channels-last' }).valueAndGrad(
      tensor(last, [N, ...size, C], 'float64'),
      y,
    );
    expect(other.value.itemSync()).toBe(value);
    expect(other.grad.data[1]).toBe(whole.grad.data[S]);
    expect(loss.value(x, tensor(masks, x.shape, 'uint8')).value.itemSync()).toBe(value);
    expect(loss.value(x, tensor(problem.labels, y.shape, 'int64')).value.itemSync()).toBe(value);
    const single = loss.valueAndGrad(tensor(problem.x, x.shape), y);
    expect(single.value.itemSync()).toBeCloseTo(value, 5);
    expect(single.grad.dtype).toBe('float32');
    expect(new Loss({ spacing: [1, 1] }).value(x, y).value.itemSync()).toBe(value);
    // A flat volume is an image.
    const volume = (t: Typed, at: number) => ({ ...t, shape: t.shape.toSpliced(at, 0, 1) });
    expect(loss.value(volume(x, 2), volume(y, 1)).value.itemSync()).toBe(value);
  });

  test("reduction 'none' with upstream, gradScale, accumulate, out", () => {
    const upstream = full([2, 3], 1, 'float64');
    const {
      value: each,
      perClass,
      grad,
    } = new Loss({ reduction: 'none' }).valueAndGrad(x, y, { upstream });
    expect(each.shape).toEqual([2, 3]);
    expect(each.data).toEqual(perClass.data);
    const sum = new Loss({ reduction: 'sum' }).valueAndGrad(x, y);
    const total = [...each.data].reduce((a, b) => Number(a) + Number(b), 0);
    expect(total).toBeCloseTo(sum.value.itemSync(), 11);
    expect(grad.data).toEqual(sum.grad.data);
    const into = { data: new Float64Array(x.data.length).fill(1), shape: x.shape };
    loss.valueAndGrad(x, y, { gradScale: 2, accumulate: true, out: { grad: into } });
    expectClose(
      'grad',
      into.data,
      numbers(whole.grad).map((g) => 1 + 2 * g),
      1e-12,
    );
  });

  test('any number of threads: the same bits; half a large image, whose distances are known', () => {
    const before = getThreads();
    const shape = [1, 2, 600, 500]; // above 2^18 voxels
    const random = new Random(1);
    const logits = tensor(
      random.array(600000, () => random.normal()),
      shape,
    );
    const labels = tensor(
      Float64Array.from({ length: 300000 }, (_, i) => (i % 500 < 250 ? 0 : 1)),
      [1, 600, 500],
      'uint8',
    );
    const results = [1, 4].map((threads) => {
      setThreads(threads);
      const { value, grad } = loss.valueAndGrad(logits, labels);
      return [value.itemSync(), bytesOf(grad.data)];
    });
    setThreads(before);
    expect(results[1]?.[0]).toBe(results[0]?.[0]);
    expect(results[1]?.[1] === results[0]?.[1]).toBe(true);
    const ones = { data: new Float64Array(300000).fill(1), shape: [1, 1, 600, 500] };
    const { value } = new Loss({ activation: 'none' }).value(ones, {
      ...labels,
      shape: [1, 1, 600, 500],
    });
    // Columns 0 to 249 have distances 250 to 1; in the class 250 columns have 1 - d, from 0 to -249.
    const wanted =
      name === 'boundary' ? (250 * 251 - 249 * 250) / 2 / 500 : (250 * 251 * 501) / 6 / 500;
    expect(value.itemSync()).toBeCloseTo(wanted, 9);
  });

  test('NaN, extreme logits, a class everywhere, a class nowhere', () => {
    const broken = tensor(problem.x, x.shape, 'float64');
    broken.data[3] = Number.NaN as never;
    expect(loss.value(broken, y).value.itemSync()).toBeNaN();
    const extreme = tensor(
      problem.x.map((z) => Math.sign(z) * 800),
      x.shape,
      'float64',
    );
    const sure = loss.valueAndGrad(extreme, y);
    expect(Number.isFinite(sure.value.itemSync())).toBe(true);
    expect([...sure.grad.data].every((g) => Number.isFinite(g))).toBe(true);
    // No boundary in the target: phi is 0, and d_p is what is left of the Hausdorff loss.
    for (const label of [0, 1]) {
      const one = new Loss({ activation: 'sigmoid' });
      const alike = full([1, 1, 4, 5], 3, 'float64');
      const { value, grad } = one.valueAndGrad(alike, full([1, 4, 5], label, 'uint8'));
      expect([value.itemSync(), ...grad.data].every((number) => number === 0)).toBe(true);
    }
    const skipped = new Loss({ activation: 'sigmoid', absent: 'skip' });
    const none = skipped.valueAndGrad(tensor(problem.x, [6, 1, 5, 7]), full([6, 5, 7], 0, 'uint8'));
    expect([none.value.itemSync(), ...none.grad.data].every((number) => number === 0)).toBe(true);
    const ignored = new Loss({ ignoreIndex: 9 }).valueAndGrad(x, full(y.shape, 9, 'uint8'));
    expect([ignored.value.itemSync(), ...ignored.grad.data].every((number) => number === 0)).toBe(
      true,
    );
  });
});

describe('errors', () => {
  const [x, y] = spatialInputs(makeSpatial(1, 2, [3, 4]));
  const flat = { data: x.data, shape: [2, 2, 12] };
  const refused = names.flatMap(
    (name): [string, (loss: (options?: object) => DirectLoss) => unknown, string][] => [
      [
        `${name}: one axis`,
        (make) => make().value(flat, { ...y, shape: [2, 12] }),
        'Expected 2 or 3 spatial axes for predictions but received 1 in shape [2, 2, 12]',
      ],
      [
        `${name}: spacing of 3D`,
        (make) => make({ spacing: [1, 1, 1] }).value(x, y),
        'Expected 2 numbers, one per spatial axis, for spacing but received [1, 1, 1]',
      ],
      [`${name}: spacing`, (make) => make({ spacing: [1, 0] }), 'for spacing[1] but received 0'],
      [
        `${name}: one number`,
        (make) => make({ spacing: 2 }),
        'for spacing but received 2: give one for each spatial axis',
      ],
      [
        `${name}: absent`,
        (make) => make({ absent: 'worst' }),
        "one of 'formula', 'skip' for absent but received 'worst'",
      ],
      [
        `${name}: sampling`,
        (make) => make({ sampling: [1, 1] }),
        "Unknown option 'sampling': did you mean spacing?",
      ],
      [
        `${name}: smoothing`,
        (make) => make({ smoothNumerator: 1 }),
        "Unknown option 'smoothNumerator'",
      ],
      [
        `${name}: weight`,
        (make) => make().value(x, y, { weight: y } as never),
        "Unknown option 'weight'",
      ],
      [
        `${name}: logits`,
        (make) => make({ activation: 'none' }).value(full(x.shape, 3, 'float64'), y),
        'Expected probabilities from 0 to 1 for predictions',
      ],
      [
        `${name}: labels`,
        (make) => make().value(x, full(y.shape, 9, 'uint8')),
        'Expected class indices from 0 to 1 for target but received 24 other values',
      ],
      [
        `${name}: soft target`,
        (make) => make().value(x, full(x.shape, 0.5, 'float64')),
        'has no soft targets, but received float64',
      ],
    ],
  );
  test.each(refused)('%s', (of, call, message) => {
    const { Loss } = losses[of.split(':')[0] as Name];
    const run = () => call((options) => new Loss(options));
    expect(run).toThrow(message);
    expect(run).toThrow(inOneForm);
  });

  test('options of HausdorffLoss alone', () => {
    const wrong: [object, string][] = [
      [{ alpha: 0 }, 'for alpha but received 0'],
      [{ alpha: '2' }, "for alpha but received '2'"],
      [{ log: 1 }, 'Expected true or false for log but received 1'],
    ];
    for (const [options, message] of wrong) {
      expect(() => new HausdorffLoss(options)).toThrow(message);
      expect(() => new HausdorffLoss(options)).toThrow(inOneForm);
    }
    expect(() => new BoundaryLoss({ batch: true } as never)).toThrow("Unknown option 'batch'");
  });
});
