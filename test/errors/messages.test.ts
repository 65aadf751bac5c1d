// What an error says of the value that was passed, and that sizes are compared before anything is done with values.
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  Device,
  DiceLoss,
  GeneralizedWassersteinDiceLoss,
  SegmentationMetrics,
  Statistics,
  Tensor,
} from '../../lib/index.js';
import { type Any, loss, x, y } from '../support/errors.js';
import { detach, full } from '../support/tensors.js';

// Whatever is passed, the error is one short sentence of the library: none of JavaScript's own, no novel.
describe('values in messages', () => {
  const own = (view: Any) => Tensor.from(view.data, view.shape);

  describe('a value that is hard to name', () => {
    const values: [string, Any, RegExp][] = [
      ['a long string', 'y'.repeat(1000), /received 'y{80}\.\.\.'$/],
      ['two lines', 'a\n\tb', /received 'a b'$/],
      ['an object without prototype', Object.create(null), /received an instance of Object$/],
      ['such an object in an array', [Object.create(null)], /received \[an instance of Object\]$/],
      ['strings in an array', ['2', 3], /received \['2', 3\]$/],
      [
        'a constructor without a name',
        Object.create({ constructor: null }),
        /an instance of Object$/,
      ],
      [
        'a constructor with a symbol',
        Object.create({ constructor: { name: Symbol('n') } }),
        /Symbol\(n\)$/,
      ],
      ['a device', Device.cpu, /received cpu \(\w+\)$/],
      ['an object', { data: 1, shape: 2 }, /received \{ data, shape \}$/],
      ['an object of many keys', { a: 1, b: 2, c: 3, d: 4, e: 5 }, /\{ a, b, c, d, \.\.\. \}$/],
      ['an empty object', {}, /received \{\}$/],
      ['a promise', Promise.resolve(1), /received a promise: await it$/],
      ['an array of a vowel', new Int8Array(2), /received an Int8Array of 2$/],
      [
        'a getter that throws',
        new Proxy(Object.create({}), {
          get() {
            throw new Error('mine');
          },
        }),
        /received an object that does not say what it is$/,
      ],
      ['a detached array in an array', [detach(new Float32Array(2))], /\[a Float32Array of 0\]$/],
      ['a class', class A {}, /received the function A$/],
    ];
    test.each(values)('%s', (_, value, words) => {
      for (const call of [
        () => new DiceLoss({ smoothNumerator: value }),
        () => loss.value(x, y, { weight: { data: value, shape: [1] } }),
        () => Tensor.empty([value]),
      ]) {
        expect(call).toThrow(TypeError);
        expect(call).toThrow(/^Expected [^\n]{1,250}$/);
      }
      expect(() => new DiceLoss({ smoothNumerator: value })).toThrow(words);
    });
  });

  test('a Proxy of a tensor or of statistics, as reactive frameworks make them', () => {
    const proxy = new Proxy(own(x), {});
    for (const call of [
      () => loss.value(proxy, y),
      () => loss.value(x, new Proxy(own(y), {})),
      () => loss.valueAndGrad(x, y, { out: { grad: proxy } }),
      () => loss.valueAsync(proxy, y),
      () => new SegmentationMetrics({ classes: 3 }).update(proxy, y),
      () => loss.value(Object.create(Tensor.prototype), y),
    ]) {
      expect(call).toThrow(TypeError);
      expect(call).toThrow(/^Expected a Tensor for (predictions|target|out\.grad) but .*Proxy/);
    }
    const statistics = loss.statistics(x, y);
    const wrapped = new Proxy(statistics, {});
    for (const call of [
      () => loss.fromStatistics(wrapped),
      () => loss.gradient(x, y, wrapped),
      () => statistics.add(wrapped),
      () => Statistics.concat([statistics, wrapped]),
    ]) {
      expect(call).toThrow(/^Expected Statistics for (statistics|other|list\[1\]) but .*Proxy/);
    }
  });

  test('statistics of anything', () => {
    for (const list of [null, 1, 'ab', new Set()] as Any[]) {
      expect(() => Statistics.concat(list)).toThrow(/^Expected an array of statistics for list/);
    }
    for (const first of [undefined, null, 1, {}] as Any[]) {
      expect(() => Statistics.concat([first])).toThrow(/^Expected Statistics for list\[0\]/);
    }
  });

  test('distances with holes or rows too long, or more than there is memory for', () => {
    const make = (distances: Any) => () => new GeneralizedWassersteinDiceLoss({ distances });
    expect(make(new Array(3))).toThrow(/distances\[0\] but received undefined/);
    const hole = [[0, 1, 1]];
    hole[2] = [1, 1, 0];
    expect(make(hole)).toThrow(/distances\[1\] but received undefined/);
    expect(
      make([
        [0, 1, 1],
        [1, 0],
      ]),
    ).toThrow(/^Expected 2 numbers.*distances\[0\] but received \[0, 1, 1\]$/);
    expect(make(new Array(1e6).fill([0]))).toThrow(/^Expected 1000000 numbers.*distances\[0\]/);
  });

  test('arrays that were detached, and what is no array', () => {
    const gone = detach(new Float32Array(3));
    expect(() => new DiceLoss({ classWeights: gone as Any })).toThrow(/^Expected .*classWeights/);
    expect(() => Tensor.copyOf(gone, [3])).toThrow(/^Expected 3 elements for tensor\.data/);
    expect(() => Tensor.copyOf(new DataView(new ArrayBuffer(8)) as Any, [2])).toThrow(
      /^Expected one of .*tensor\.data but received a DataView of 8$/,
    );
    expect(() => Tensor.empty([2], 'float32', { device: null as Any })).toThrow(
      /^Expected a Device for device but received null$/,
    );
  });
});

// Sizes are compared before anything is converted or copied: huge arguments are refused at once, and V8 does not run out of memory.
describe('sizes first', () => {
  const [x, y] = [full([1, 2, 2], 0.5), full([1, 2], 0, 'uint8')];
  const json = new DiceLoss().statistics(x, y).toJSON();
  /** As long as an array can be; it takes no memory. */
  const endless = new Array<never>(2 ** 32 - 1);
  /** Takes no memory either: nothing touches it. */
  const zeros = new Float64Array(2 ** 28);
  const options = { classes: 3, decision: 'labels' } as const;
  const counts: number[] = new Array(16).fill(0);
  /** Class weights, each of which is read: 20 s for the longest array. */
  const longest = process.env.WARPDICE_TEST_ALL ? 2 ** 24 : 2 ** 18;

  test.each<[string, () => unknown, RegExp]>([
    [
      'fromJSON',
      () => Statistics.fromJSON({ ...json, data: endless }),
      /16 sums for json .* 4294967295$/,
    ],
    [
      'fromJSON, many classes',
      () => Statistics.fromJSON({ ...json, shape: [1, 2 ** 40, 8], data: endless }),
      /8796093022208 sums for json .* 4294967295$/,
    ],
    [
      'fromJSON, a long signature',
      () => Statistics.fromJSON({ ...json, signature: 'x'.repeat(2 ** 28) }),
      /at most 1000 letters for json\.signature/,
    ],
    ['fromArray', () => Statistics.fromArray(zeros), /array: samples but received 0$/],
    [
      'metrics, fromJSON: counts',
      () => SegmentationMetrics.fromJSON({ options, samples: 1, counts: endless, perSample: [] }),
      /16 counts for state\.counts but received an array of 4294967295$/,
    ],
    [
      'metrics, fromJSON: perSample',
      () =>
        SegmentationMetrics.fromJSON({
          options: { ...options, aggregate: 'samples' },
          samples: 1,
          counts,
          perSample: endless,
        }),
      /12 counts for state\.perSample but received an array of 4294967295$/,
    ],
    [
      'metrics, toJSON',
      () => JSON.stringify(new SegmentationMetrics({ classes: 12_000, decision: 'labels' })),
      /at most 16777216 numbers for the counts in JSON but received 144024001: /,
    ],
    [
      'classWeights',
      () => new DiceLoss({ classWeights: endless }),
      /at most 16777216 numbers for classWeights/,
    ],
    [
      'classWeights of other classes',
      () => new DiceLoss({ classWeights: new Float64Array(longest) as never }).value(x, y),
      RegExp(
        `2 numbers, one per class, for classWeights but received a Float64Array of ${longest}:`,
      ),
    ],
    [
      'distances',
      () => new GeneralizedWassersteinDiceLoss({ distances: [endless, endless] }),
      /at most 16777216 numbers for distances\[0\]/,
    ],
    [
      'weights of scales',
      () => new DeepSupervision(new DiceLoss(), endless),
      /at most 16777216 numbers for weights/,
    ],
    [
      'a shape',
      () => Tensor.empty(endless),
      /at most 64 sizes for shape but received an array of 4294967295$/,
    ],
    [
      'a list',
      () => Statistics.concat(endless),
      /Statistics for list\[0\] but received undefined$/,
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(/^Expected .* but received /);
  });

  test('an unknown key of many letters', () => {
    const key = 'smooth'.repeat(2 ** 22);
    expect(() => new DiceLoss({ [key]: 1 } as object)).toThrow(
      /^Unknown option 'smooth.{74}\.\.\.': the options are/,
    );
  });
});
