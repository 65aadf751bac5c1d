// Objects that are not what they seem: Proxies, bare prototypes, objects of another copy of the package, inherited properties,
// overwritten fields. No text of the engine, such as the name of a private field, reaches the user.
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import * as library from '../../lib/index.js';
import { full, type Typed, tensor } from '../support/tensors.js';

const {
  DeepSupervision,
  Device,
  DiceLoss,
  Loss,
  Plan,
  SegmentationMetrics,
  SurfaceMetrics,
  Statistics,
  Tensor,
  WarpDiceError,
} = library;
type Any = never;
const construct = (Class: unknown) => new (Class as new () => object)();

const x = full([1, 3, 4], 0.5);
const y = tensor([0, 1, 2, 1], [1, 4], 'uint8');
const loss = new DiceLoss();
const ofEngine =
  /#|private|is not a function|Cannot (read|convert|destructure|set)|not iterable|undefined \(reading|is not an object/;

/** The message of the error that `call` throws at once or rejects with. */
async function messageOf(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
}

const objects = {
  Tensor: Tensor.from(Float32Array.of(1), []),
  Statistics: loss.statistics(x, y),
  Plan: loss.plan(x, y),
  DiceLoss: loss,
  DeepSupervision: new DeepSupervision(loss, [1]),
  SegmentationMetrics: new SegmentationMetrics({ classes: 3 }),
  SurfaceMetrics: new SurfaceMetrics({ classes: 3 }),
  ComponentMetrics: new library.ComponentMetrics({ classes: 3 }),
  LovaszLoss: new library.LovaszLoss(),
  LinearLogits: library.linearLogits(full([1, 2, 4], 0.5), full([3, 2], 1)),
  Device: Device.cpu,
};

describe.each(Object.entries(objects))('%s', (_, whole) => {
  const methods = new Set<PropertyKey>();
  for (
    let at: object = Object.getPrototypeOf(whole);
    at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const key of Reflect.ownKeys(at)) methods.add(key);
  }
  for (const key of ['constructor', 'toString', Symbol.for('warpdice.copy')]) methods.delete(key);

  test.each([
    ['a Proxy', () => new Proxy(whole, {})],
    ['the prototype', () => Object.getPrototypeOf(whole) as object],
    ['another object', () => Object.create(Object.getPrototypeOf(whole)) as object],
  ])('every method and getter refuses %s', async (_, make) => {
    for (const key of methods) {
      const message = await messageOf(() => {
        const member = (make() as Record<PropertyKey, unknown>)[key];
        return typeof member === 'function' ? member.call(make(), x, y) : member;
      });
      expect(message).toMatch(/^Expected (a |Statistics|Segm|Surf|Linear).* for the object of /);
      expect(message).not.toMatch(ofEngine);
    }
  });

  test('a method without its object', async () => {
    for (const key of methods) {
      const { get, value } = descriptorOf(whole, key);
      expect(await messageOf(() => (get ?? value).call(undefined))).toMatch(
        / for the object of .* but received another value/,
      );
    }
  });
});

function descriptorOf(object: object, key: PropertyKey): PropertyDescriptor {
  const own = Object.getOwnPropertyDescriptor(object, key);
  return own ?? descriptorOf(Object.getPrototypeOf(object), key);
}

describe('a Proxy as an argument', () => {
  test('of a loss', () => {
    expect(() => new DeepSupervision(new Proxy(loss, {}), [1])).toThrow(
      'Expected a loss for loss but received a Proxy of one: pass the loss',
    );
  });

  test('of statistics', () => {
    const { Statistics: sums } = objects;
    expect(() => sums.add(new Proxy(sums, {}))).toThrow(
      'Expected Statistics for other but received a Proxy of such, or their prototype alone',
    );
  });

  test('of metrics', () => {
    const metrics = new SegmentationMetrics({ classes: 3 });
    expect(() => metrics.merge(new Proxy(metrics, {}))).toThrow(
      'Expected SegmentationMetrics for other but received a Proxy of such: pass the metrics',
    );
  });
});

test.each([
  ['Loss', () => construct(Loss), 'new DiceLoss(options), or of another loss, for a loss'],
  ['Tensor', () => construct(Tensor), 'Tensor.from(data, shape) for a Tensor'],
  ['Plan', () => construct(Plan), 'loss.plan(predictions, target) for a Plan'],
  ['Statistics', () => construct(Statistics), 'loss.statistics(predictions, target) for Stat'],
  ['Device', () => construct(Device), 'Device.cuda(index) for a Device'],
])('new %s()', (name, make, expected) => {
  expect(make).toThrow(TypeError);
  expect(make).toThrow(`Expected a call of ${expected}`);
  expect(make).toThrow(`but received new ${name}(...)`);
});

test('metrics without the name of a score', () => {
  const metrics = new SegmentationMetrics({ classes: 2, aggregate: 'samples' });
  for (const name of ['perClass', 'perSample', 'average'] as const) {
    expect(() => metrics[name](undefined as Any)).toThrow(
      new TypeError(
        "Expected one of 'dice', 'iou', 'precision', 'recall', 'specificity', 'volumeSimilarity', 'accuracy' for name but received undefined",
      ),
    );
  }
});

describe('another copy of the package', () => {
  const load = async () => {
    jest.resetModules();
    return { ...(await import('../../lib/index.js')), ...(await import('../../lib/tfjs.js')) };
  };
  const advice = 'a program must use one copy of the package, npm ls warpdice lists them';

  test('its objects and classes are told apart', async () => {
    const other = await load();
    expect(other.Tensor).not.toBe(Tensor);
    const theirs = new other.DiceLoss();
    const cases: [() => unknown, string][] = [
      [() => loss.value(other.Tensor.from(x.data, x.shape), y), 'a Tensor'],
      [() => loss.fromStatistics(theirs.statistics(x, y) as Any), 'a Statistics'],
      [() => new DeepSupervision(theirs as Any, [1]), 'a DiceLoss'],
      [
        () =>
          objects.SegmentationMetrics.merge(new other.SegmentationMetrics({ classes: 3 }) as Any),
        'a SegmentationMetrics',
      ],
      [() => objects.Tensor.to(other.Device.cpu as Any), 'a Device'],
    ];
    for (const [call, what] of cases) {
      expect(call).toThrow(TypeError);
      expect(call).toThrow(`but received ${what} of another copy of warpdice: ${advice}`);
    }
    const tf = { customGrad() {}, tensor() {}, zeros() {} };
    expect(() => other.tfLoss(tf as Any, DiceLoss as Any)).toThrow(
      `but received the class DiceLoss of another copy of warpdice: ${advice}`,
    );
  });

  test('the symbol alone is no proof', () => {
    const forged = { ...x, [Symbol.for('warpdice.copy')]: 1 };
    expect(() => loss.value(forged, y)).toThrow('Expected a Tensor or { data, shape }');
  });
});

describe('an inherited enumerable property', () => {
  afterEach(() => {
    Reflect.deleteProperty(Object.prototype, 'extend');
  });

  test('is no option, key or axis', () => {
    Object.defineProperty(Object.prototype, 'extend', {
      value: () => 1,
      enumerable: true,
      configurable: true,
    });
    const sure = new DiceLoss({ activation: 'softmax', crossEntropy: {} });
    const { scales } = new DeepSupervision(sure, [1], {}).valueAndGrad([x], y, { out: {} });
    expect(scales.length).toBe(1);
    expect(sure.plan(x, y, { gradScale: 2 }).execute().grad.size).toBe(12);
    const metrics = new SegmentationMetrics({ classes: 3 }).update(x, y, {});
    expect(SegmentationMetrics.fromJSON(metrics.toJSON()).samples).toBe(1);
    const statistics = sure.statistics(x, y);
    expect(Statistics.fromJSON(statistics.toJSON()).samples).toBe(1);
  });
});

test('fields cannot be overwritten', () => {
  const error = new WarpDiceError('ERR_CUDA', 'text', { count: 1 });
  const fields: [object, string[]][] = [
    [objects.Tensor, ['shape', 'dtype', 'size', 'device']],
    [objects.Tensor.shape, ['0']],
    [objects.Statistics, ['shape', 'samples', 'signature', 'pooled', 'data']],
    [objects.Plan, ['value', 'grad']],
    [objects.Device, ['kind', 'index', 'name']],
    [loss, ['channelsLast']],
    [objects.SegmentationMetrics, ['samples']],
    [objects.SegmentationMetrics.toJSON().options, ['classes']],
    [error, ['code', 'count', 'name']],
  ];
  for (const [object, names] of fields) {
    for (const name of names) {
      expect([name, Reflect.set(object, name, [9])]).toEqual([name, false]);
    }
  }
  expect(String(error)).toBe('WarpDiceError: text');
});

describe('messages are short', () => {
  const long = 'x'.repeat(600_000);
  const nested = Array.from({ length: 16 }, () => long);
  const cases: [string, () => unknown][] = [
    ['an option', () => new DiceLoss({ [long]: 1 } as Any)],
    ['a value', () => new DiceLoss({ activation: long as Any })],
    ['a list', () => new DiceLoss({ activation: nested as Any })],
    ['an object', () => new DiceLoss({ activation: { [long]: 1, [`${long}1`]: 2 } as Any })],
    ['a shape', () => loss.value({ ...x, shape: Array(200_000).fill(1) }, y)],
    ['a shape of texts', () => loss.value({ ...x, shape: nested as Any }, y)],
    [
      'axes of a target',
      () => {
        const shape = Array(200_000).fill(1);
        loss.value(Tensor.from(Float32Array.of(1), shape), Tensor.from(Uint8Array.of(1), [1, 2]));
      },
    ],
    [
      'axes of scales',
      () => {
        const [a, b] = [Array(2000).fill(1), Array(1999).fill(1)];
        const scales = [a, b].map((shape) => Tensor.from(Float32Array.of(1), shape));
        new DeepSupervision(loss, [1, 1]).value(scales, Tensor.from(Uint8Array.of(1), b));
      },
    ],
    [
      'a signature',
      () => {
        const json = { ...loss.statistics(x, y).toJSON(), signature: long };
        loss.fromStatistics(Statistics.fromJSON(json));
      },
    ],
    ['a name of a dtype', () => loss.value({ ...x, dtype: long as Any }, y)],
  ];
  test.each(cases)('%s', async (_, call) => {
    const message = await messageOf(call);
    expect(message).not.toBe('no error');
    expect(message.length).toBeLessThan(700);
  });
});

test('a Tensor that is posted: the advice comes first', () => {
  const message = /^Symbol\(Post \{ data, shape, dtype \} of a Tensor and call Tensor\.from there/;
  expect(() => structuredClone(objects.Tensor)).toThrow(message);
});

test('{ data, dims }, as ONNX Runtime has it', () => {
  const foreign = { type: 'float32', data: x.data, dims: [1, 3, 4], size: 12 };
  expect(() => loss.value(foreign as Any, y)).toThrow(
    'Expected a Tensor or { data, shape } for predictions but received { type, data, dims, size }: write { data: predictions.data, shape: predictions.dims }',
  );
  const supervision = new DeepSupervision(loss, [1]);
  expect(() => supervision.value([foreign as Any], y as Typed)).toThrow(
    'write { data: predictions[0].data, shape: predictions[0].dims }',
  );
});
