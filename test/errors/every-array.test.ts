// Every public entry checks every array that it reads or writes: its length against its shape, the shape, the dtype, and that
// its memory is there. The error names the argument that the caller passed.
import { describe, expect, test } from '@jest/globals';
import { DeepSupervision, DiceLoss, SegmentationMetrics, Tensor } from '../../lib/index.js';
import { type TfTensor, tfLoss } from '../../lib/tfjs.js';
import { type DType, detach, full, sizeOf, type Typed, tensor } from '../support/tensors.js';

type Given = Record<string, Typed | Tensor>;

interface Entry {
  /** Its arrays, by the names that messages use. */
  arrays: () => Record<string, Typed>;
  /** Calls it with the arrays. */
  call: (given: Given) => unknown;
  /** For each array a dtype that it cannot have. */
  wrong: Record<string, DType>;
}

const shape = [2, 3, 4];
const loss = new DiceLoss({ activation: 'softmax', reduction: 'none' });
const supervision = new DeepSupervision(loss, [1, 1]);
const inputs = () => ({
  predictions: full(shape, 0.5),
  target: full([2, 4], 1, 'uint8'),
  weight: full([2, 4], 1),
});
const wrongInputs: Record<string, DType> = {
  predictions: 'int32',
  target: 'float32',
  weight: 'int64',
};
const factors = () => ({ upstream: full([2, 3], 1), gradScale: full([], 1) });
const wrongFactors: Record<string, DType> = { upstream: 'uint8', gradScale: 'float16' };
const values = () => ({
  'out.value': full([2, 3], 0, 'float64'),
  'out.perClass': full([2, 3], 0, 'float64'),
});
const wrongValues: Record<string, DType> = { 'out.value': 'float32', 'out.perClass': 'float32' };
const dense = () => full(shape, 0.5);
const of = (given: Given) => ({
  x: given.predictions as Typed,
  y: given.target as Typed,
  ...(given.weight && { weight: given.weight }),
});
const value = (g: Given) => g['out.value'] as Typed;
const perClass = (g: Given) => g['out.perClass'] as Typed;
const options = ({ weight, upstream, gradScale }: Given) => ({
  ...(weight && { weight }),
  ...(upstream && { upstream }),
  ...(gradScale && { gradScale }),
});
const statistics = loss.statistics(inputs().predictions, inputs().target);
const ofDense = loss.statistics(dense(), dense());

/** The same for the call at once and off the event loop. */
const both = (name: string, make: (async: '' | 'Async') => Entry): [string, Entry][] => [
  [name, make('')],
  [`${name}Async`, make('Async')],
];

const entries: [string, Entry][] = [
  ...both('value', (async) => ({
    arrays: () => ({ ...inputs(), ...values() }),
    call: (g) =>
      loss[`value${async}`](of(g).x, of(g).y, {
        ...options(g),
        out: { value: value(g), perClass: perClass(g) },
      }),
    wrong: { ...wrongInputs, ...wrongValues },
  })),
  ...both('valueAndGrad', (async) => ({
    arrays: () => ({ ...inputs(), ...factors(), ...values(), 'out.grad': full(shape, 0) }),
    call: (g) =>
      loss[`valueAndGrad${async}`](of(g).x, of(g).y, {
        ...options(g),
        out: { value: value(g), perClass: perClass(g), grad: g['out.grad'] as Typed },
      }),
    wrong: { ...wrongInputs, ...wrongFactors, ...wrongValues, 'out.grad': 'float64' },
  })),
  ...both('statistics', (async) => ({
    arrays: inputs,
    call: (g) => loss[`statistics${async}`](of(g).x, of(g).y, options(g)),
    wrong: wrongInputs,
  })),
  ...both('gradient', (async) => ({
    arrays: () => ({ ...inputs(), ...factors(), 'out.grad': full(shape, 0) }),
    call: (g) =>
      loss[`gradient${async}`](of(g).x, of(g).y, statistics, {
        ...options(g),
        out: { grad: g['out.grad'] as Typed },
      }),
    wrong: { ...wrongInputs, ...wrongFactors, 'out.grad': 'float64' },
  })),
  ...both('targetGradient', (async) => ({
    arrays: () => ({
      ...inputs(),
      target: dense(),
      ...factors(),
      'out.targetGrad': full(shape, 0),
    }),
    call: (g) =>
      loss[`targetGradient${async}`](of(g).x, of(g).y, ofDense, {
        ...options(g),
        out: { targetGrad: g['out.targetGrad'] as Typed },
      }),
    wrong: { ...wrongInputs, target: 'uint8', ...wrongFactors, 'out.targetGrad': 'float64' },
  })),
  [
    'fromStatistics',
    {
      arrays: values,
      call: (g) =>
        loss.fromStatistics(statistics, { out: { value: value(g), perClass: perClass(g) } }),
      wrong: wrongValues,
    },
  ],
  [
    'plan',
    {
      arrays: () => ({ ...inputs(), ...factors(), ...values(), 'out.grad': full(shape, 0) }),
      call: (g) =>
        loss.plan(of(g).x, of(g).y, {
          ...options(g),
          out: { value: value(g), perClass: perClass(g), grad: g['out.grad'] as Typed },
        }),
      wrong: { ...wrongInputs, ...wrongFactors, ...wrongValues, 'out.grad': 'float64' },
    },
  ],
  [
    'plan.bind',
    {
      arrays: () => ({ predictions: inputs().predictions, target: inputs().target }),
      call: (g) => {
        const { predictions, target } = inputs();
        return loss.plan(predictions, target, factors()).bind(of(g).x, of(g).y);
      },
      wrong: wrongInputs,
    },
  ],
  ...both('deep supervision', (async) => ({
    arrays: () => ({
      'predictions[0]': full(shape, 0.5),
      'predictions[1]': full([2, 3, 2], 0.5),
      target: inputs().target,
      weight: inputs().weight,
      upstream: factors().upstream,
      'out.value': values()['out.value'],
      'out.scales[1].perClass': values()['out.perClass'],
      'out.scales[1].grad': full([2, 3, 2], 0),
    }),
    call: (g) =>
      supervision[`valueAndGrad${async}`](
        [g['predictions[0]'] as Typed, g['predictions[1]'] as Typed],
        g.target as Typed,
        {
          weight: g.weight as Typed,
          upstream: g.upstream as Typed,
          out: {
            value: value(g),
            scales: [
              {},
              {
                perClass: g['out.scales[1].perClass'] as Typed,
                grad: g['out.scales[1].grad'] as Typed,
              },
            ],
          },
        },
      ),
    wrong: {
      'predictions[0]': 'int32',
      'predictions[1]': 'int32',
      target: 'float32',
      weight: 'int64',
      upstream: 'uint8',
      'out.value': 'float32',
      'out.scales[1].perClass': 'float32',
      'out.scales[1].grad': 'float64',
    },
  })),
  ...both('metrics.update', (async) => ({
    arrays: inputs,
    call: (g) =>
      new SegmentationMetrics({ classes: 3 })[`update${async}`](of(g).x, of(g).y, options(g)),
    wrong: { target: 'float32', weight: 'int64' }, // predictions may be masks of any dtype
  })),
];

/** The same array with another length, shape, dtype, or without its memory. */
const faults: [string, (array: Typed, wrong: DType) => Typed | Tensor][] = [
  ['too short', (a) => ({ ...a, data: a.data.slice(1) as Typed['data'] })],
  ['too long', (a) => ({ ...a, data: full([sizeOf(a.shape) + 1], 0, a.dtype).data })],
  ['of another shape', ({ shape, dtype }) => full([...shape, 2], 1, dtype)],
  ['of another dtype', ({ shape }, wrong) => full(shape, 1, wrong)],
  ['detached', (a) => ({ ...a, data: detach(a.data) })],
  [
    'a detached tensor',
    ({ data, shape, dtype }) => {
      const made = Tensor.from(data, shape, dtype === 'float16' ? { dtype } : {});
      detach(data);
      return made;
    },
  ],
  [
    'disposed',
    ({ data, shape }) => {
      const made = Tensor.from(data, shape);
      made.dispose();
      return made;
    },
  ],
];

describe.each(entries)('%s', (_, { arrays, call, wrong }) => {
  test('takes arrays that fit', async () => {
    await call(arrays());
  });

  test.each(Object.keys(arrays()))('refuses a wrong %s by its name', (name) => {
    for (const [fault, change] of faults) {
      if (fault === 'of another dtype' && wrong[name] === undefined) continue;
      const given: Given = arrays();
      given[name] = change(given[name] as Typed, wrong[name] as DType);
      let error: unknown;
      try {
        Promise.resolve(call(given)).catch(() => {});
      } catch (thrown) {
        error = thrown;
      }
      expect([fault, error]).toEqual([fault, expect.any(Error)]);
      expect([fault, (error as Error).message]).toEqual([fault, expect.stringContaining(name)]);
    }
  });
});

describe('arrays of other entries', () => {
  const x = Tensor.from(new Float32Array(4), [4]);
  test('tensor.write and Tensor.copyOf', async () => {
    for (const data of [new Float32Array(3), new Float32Array(5), new Float64Array(4)]) {
      await expect(x.write(data)).rejects.toThrow('write()');
    }
    await expect(x.write(detach(new Float32Array(4)))).rejects.toThrow('write()');
    expect(() => Tensor.copyOf(new Float32Array(3), [4])).toThrow('Expected 4 elements');
    expect(() => Tensor.copyOf(detach(new Float32Array(4)), [4])).toThrow('detached');
  });

  test.each(['data', 'itemSync', 'readSync', 'view', 'to'] as const)(
    'tensor.%s of a detached tensor',
    (name) => {
      const data = new Float32Array(1);
      const one = Tensor.from(data, []);
      detach(data);
      const use = {
        data: () => one.data,
        itemSync: () => one.itemSync(),
        readSync: () => one.readSync(),
        view: () => one.view([1]),
        to: () => one.to(one.device),
      }[name];
      expect(use).toThrow(
        new TypeError(
          'Expected 1 elements but received a tensor whose ArrayBuffer was detached or resized and holds 0',
        ),
      );
    },
  );

  test('the results of the metrics', () => {
    const metrics = new SegmentationMetrics({ classes: 3 });
    for (const out of [new Float64Array(2), new Float64Array(4), detach(new Float64Array(3))]) {
      expect(() => metrics.perClass('dice', { out })).toThrow('Expected 3 elements for out');
    }
    const float32 = new Float32Array(3) as unknown as Float64Array;
    expect(() => metrics.perClass('dice', { out: float32 })).toThrow('a Float64Array for out');
    expect(() => metrics.confusion({ out: new Float64Array(8) })).toThrow('9 elements for out');
  });

  test('TensorFlow.js: values that do not fit the shape', () => {
    const tf = {
      customGrad: (f: () => { value: TfTensor }) => () => f().value,
      tensor: (data: Float32Array, shape: number[]) => tfTensor(data, shape),
      scalar: (data: number) => tfTensor(Float32Array.of(data), []),
      zeros: (shape: number[]) => tfTensor(new Float32Array(sizeOf(shape)), shape),
    };
    const tfTensor = (data: Float32Array, shape: number[]): TfTensor => ({
      shape,
      dtype: 'float32',
      isDisposed: false,
      dataSync: () => data,
    });
    const run = tfLoss(tf as never, DiceLoss) as unknown as (y: TfTensor, x: TfTensor) => TfTensor;
    const good = tfTensor(new Float32Array(4), [4]);
    const short = tfTensor(new Float32Array(3), [4]);
    expect(() => run(good, short)).toThrow('yPred');
    expect(() => run(short, good)).toThrow('yTrue');
    expect(run(good, good).shape).toEqual([]);
    expect(run.name).toBe('diceLoss');
  });
});

test('a Uint16Array of halves is checked like the others', () => {
  const halves = tensor([0.5, 0.5], [2], 'float16');
  const mask = full([2], 1, 'uint8');
  const one = new DiceLoss();
  expect(() => one.value({ ...halves, data: halves.data.slice(1) as Typed['data'] }, mask)).toThrow(
    'predictions.data',
  );
  expect(() => one.value({ ...halves, data: detach(halves.data) }, mask)).toThrow('detached');
});
