// The three public steps, their fusion, and what statistics can be added and joined to.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, JaccardLoss, Statistics } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { callOptions, gradOptions, makeCase, type Spec } from '../support/cases.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { inOneForm } from '../support/errors.js';
import { makeLoss } from '../support/losses.js';
import { named } from '../support/named.js';
import { full, numbers, type Typed, tensor } from '../support/tensors.js';
import { gradTolerance, valueTolerance } from '../support/tolerance.js';

const specs: Spec[] = [
  { options: { activation: 'softmax' }, spatial: [301] },
  { options: { activation: 'softmax', batch: true, layout: 'channels-last' }, spatial: [301] },
  { options: { denominator: 'linear', background: false }, spatial: [301], weight: 'float32' },
  { C: 1, options: { activation: 'sigmoid', ignoreIndex: 9 }, spatial: [301], ignored: 0.2 },
  { C: 19, dtype: 'float64', options: { reduction: 'none' }, target: 'dense' },
  { dtype: 'float16', options: { activation: 'softmax', reduction: 'sum' }, spatial: [64] },
];

describe.each(named(specs))('%s', (_, spec) => {
  const c = makeCase(spec);
  const { loss, predictions, target } = c;
  const statistics = loss.statistics(predictions, target, callOptions(c));
  const fused = loss.valueAndGrad(predictions, target, gradOptions(c));

  test('the sums are those of the reference', () => {
    const { N, C } = c.problem;
    const groups = spec.options?.batch ? 1 : N;
    expect(statistics).toBeInstanceOf(Statistics);
    expect([...statistics.shape]).toEqual([groups, C, 8]);
    expect(statistics.samples).toBe(N);
    const expected = reference(c.problem).statistics;
    const relative = spec.dtype === 'float64' ? 1e-14 : 1e-6;
    expectClose('statistics', statistics.data, expected, (x) => relative * Math.max(x, 1));
  });

  test('step by step gives the bits of the fusion', () => {
    for (const { value, perClass } of [
      loss.fromStatistics(statistics),
      loss.value(predictions, target, callOptions(c)),
    ]) {
      expectSameBits('value', value.data as Typed['data'], fused.value.data as Typed['data']);
      expectSameBits(
        'perClass',
        perClass.data as Typed['data'],
        fused.perClass.data as Typed['data'],
      );
    }
    const grad = loss.gradient(predictions, target, statistics, gradOptions(c));
    expectSameBits('grad', grad.data as Typed['data'], fused.grad.data as Typed['data']);
  });

  test('out: overwritten and returned', () => {
    const out = loss.statistics(predictions, target, callOptions(c));
    out.data.fill(123);
    const again = loss.statistics(predictions, target, { ...callOptions(c), out });
    expect(again).toBe(out);
    expectSameBits('statistics', out.data, statistics.data);
  });

  test('statistics serve both losses', () => {
    const other = makeLoss(loss instanceof DiceLoss ? 'jaccard' : 'dice', spec.options ?? {});
    const { value } = other.fromStatistics(statistics);
    const solution = reference({
      ...c.problem,
      loss: loss instanceof DiceLoss ? 'jaccard' : 'dice',
    });
    const tolerance = valueTolerance(spec.dtype ?? 'float32');
    expectClose('value', numbers(value), solution.value, tolerance);
  });
});

describe('parts of a whole', () => {
  // One volume [2, 3, 600] and its tiles [2, 3, 200] and [2, 3, 400].
  const options = { activation: 'softmax' } as const;
  const whole = makeCase({ dtype: 'float64', spatial: [600], options });
  const cut = (from: number, to: number) => {
    const rows = (x: Typed, count: number) =>
      tensor(
        Array.from({ length: count }, (_, r) => [
          ...numbers(x).subarray(r * 600 + from, r * 600 + to),
        ]).flat(),
        count === 6 ? [2, 3, to - from] : [2, to - from],
        x.dtype,
      );
    return [rows(whole.predictions, 6), rows(whole.target, 2)] as const;
  };
  const tiles = [cut(0, 200), cut(200, 600)] as const;

  test.each([false, true])('tiles add up to the volume, value and gradient; pooled %s', (batch) => {
    const loss = new DiceLoss({ ...options, batch });
    const [a, b] = tiles;
    const sum = loss.statistics(...a).add(loss.statistics(...b));
    const all = loss.valueAndGrad(whole.predictions, whole.target);
    expectClose('value', numbers(loss.fromStatistics(sum).value), numbers(all.value), 1e-14);
    const grad = numbers(loss.gradient(...b, sum));
    const expected = numbers(all.grad);
    for (let row = 0; row < 6; row++) {
      const part = expected.subarray(row * 600 + 200, row * 600 + 600);
      expectClose(
        'grad',
        grad.subarray(row * 400, row * 400 + 400),
        part,
        gradTolerance('float64', expected),
      );
    }
    expect(sum.samples).toBe(batch ? 4 : 2);
  });

  test('samples join up to the batch', () => {
    const loss = new DiceLoss(options);
    const sample = (n: number) =>
      loss.statistics(
        tensor(
          numbers(whole.predictions).subarray(n * 1800, n * 1800 + 1800),
          [1, 3, 600],
          'float64',
        ),
        tensor(numbers(whole.target).subarray(n * 600, n * 600 + 600), [1, 600], 'uint8'),
      );
    const joined = Statistics.concat([sample(0), sample(1)]);
    const all = loss.statistics(whole.predictions, whole.target);
    expect(joined.samples).toBe(2);
    expect([...joined.shape]).toEqual([2, 3, 8]);
    expectClose('statistics', joined.data, all.data, 1e-12);
    const value = loss.fromStatistics(joined).value.itemSync();
    expect(value).toBeCloseTo(loss.value(whole.predictions, whole.target).value.itemSync(), 14);
    // Adding instead would pool the samples: another loss.
    expect(
      Math.abs(loss.fromStatistics(sample(0).add(sample(1))).value.itemSync() - value),
    ).toBeGreaterThan(1e-9);
  });

  test.each([
    ['DiceLoss', DiceLoss],
    ['JaccardLoss', JaccardLoss],
  ])('micro-batches of a pooled %s add up, value and gradient', (_, Loss) => {
    const loss = new Loss({ ...options, batch: true });
    const sample = (n: number) => {
      const x = numbers(whole.predictions).subarray(n * 1800, n * 1800 + 1800);
      const y = numbers(whole.target).subarray(n * 600, n * 600 + 600);
      return [tensor(x, [1, 3, 600], 'float64'), tensor(y, [1, 600], 'uint8')] as const;
    };
    const sum = loss.statistics(...sample(0)).add(loss.statistics(...sample(1)));
    expect(sum.samples).toBe(2);
    const all = loss.valueAndGrad(whole.predictions, whole.target);
    expectClose('value', numbers(loss.fromStatistics(sum).value), numbers(all.value), 1e-14);
    const expected = numbers(all.grad);
    const grad = [0, 1].flatMap((n) => [...numbers(loss.gradient(...sample(n), sum))]);
    expectClose('grad', grad, expected, gradTolerance('float64', expected));
    expect(() => Statistics.concat([sum, sum])).toThrow(TypeError);
  });

  test('adding changes neither part', () => {
    const loss = new DiceLoss(options);
    const [a, b] = tiles.map((tile) => loss.statistics(...tile)) as [Statistics, Statistics];
    const [before, after] = [a.data.slice(), b.data.slice()];
    a.add(b);
    expect(a.data).toEqual(before);
    expect(b.data).toEqual(after);
  });
});

describe('statistics that do not belong together', () => {
  const of = (options: ConstructorParameters<typeof DiceLoss>[0], C = 3, N = 2) => {
    const predictions = tensor(new Float64Array(N * C * 4).fill(0.5), [N, C, 4]);
    return new DiceLoss(options).statistics(
      predictions,
      tensor(new Float64Array(N * 4), [N, 4], 'uint8'),
    );
  };
  const plain = of({});

  test.each([
    ['another power', of({ denominator: 'linear' })],
    ['another activation', of({ activation: 'softmax' })],
    ['pooled', of({ batch: true })],
    ['another number of classes', of({}, 2)],
    ['another number of samples', of({}, 3, 1)],
  ])('add: %s', (_, other) => {
    const before = plain.data.slice();
    expect(() => plain.add(other)).toThrow(RangeError);
    expect(() => other.add(plain)).toThrow(RangeError);
    expect(plain.data).toEqual(before);
  });

  test.each([
    ['another power', of({ denominator: 'linear' })],
    ['another activation', of({ activation: 'softmax' })],
    ['pooled', of({ batch: true })],
    ['another number of classes', of({}, 2)],
  ])('concat: %s', (_, other) => {
    expect(() => Statistics.concat([plain, other])).toThrow(RangeError);
  });

  test('concat of nothing', () => {
    expect(() => Statistics.concat([])).toThrow(RangeError);
  });

  test.each([
    ['another power', of({ denominator: 'linear' })],
    ['another activation', of({ activation: 'softmax' })],
    ['pooled', of({ batch: true })],
  ])('fromStatistics and gradient: %s', (_, other) => {
    const x = tensor(new Float64Array(24).fill(0.5), [2, 3, 4]);
    const y = tensor(new Float64Array(8), [2, 4], 'uint8');
    for (const loss of [new DiceLoss(), new JaccardLoss()]) {
      expect(() => loss.fromStatistics(other)).toThrow(/^Expected statistics of \(.*received/);
      expect(() => loss.gradient(x, y, other)).toThrow(/^Expected statistics of \(.*received/);
      expect(() => loss.statistics(x, y, { out: other })).toThrow(
        /^Expected statistics of \(.*received/,
      );
    }
  });

  test('pooled statistics of another number of samples as out', () => {
    const loss = new DiceLoss({ batch: true });
    const of = (samples: number) =>
      [full([samples, 3, 4], 0.5), full([samples, 4], 1, 'uint8')] as const;
    const out = loss.statistics(...of(2));
    const before = [...out.data];
    expect(() => loss.statistics(...of(4), { out })).toThrow(
      new RangeError('Expected statistics of 4 samples for out but received 2'),
    );
    expect([...out.data]).toEqual(before);
    expect(loss.statistics(...of(2), { out })).toBe(out);
  });

  test('gradient and out: another shape', () => {
    const x = tensor(new Float64Array(24).fill(0.5), [2, 3, 4]);
    const y = tensor(new Float64Array(8), [2, 4], 'uint8');
    for (const other of [of({}, 2), of({}, 3, 1)]) {
      expect(() => new DiceLoss().gradient(x, y, other)).toThrow(RangeError);
      expect(() => new DiceLoss().statistics(x, y, { out: other })).toThrow(RangeError);
    }
  });

  test('class weights of another number of classes', () => {
    expect(() => new DiceLoss({ classWeights: [1, 2] }).fromStatistics(plain)).toThrow(
      /classWeights/,
    );
  });

  test('something else', () => {
    for (const other of [undefined, null, {}, new Float64Array(18), 3]) {
      expect(() => new DiceLoss().fromStatistics(other as never)).toThrow(
        /Expected Statistics for statistics/,
      );
      expect(() => plain.add(other as never)).toThrow(/Expected Statistics for other/);
    }
  });
});

// Statistics on their way between threads and machines: JSON and one typed array, and back to the bit.
describe('transport', () => {
  const made = (spec: Spec): Statistics => {
    const { loss, predictions, target } = makeCase(spec);
    return loss.statistics(predictions, target);
  };
  const throughJson = (statistics: Statistics) =>
    Statistics.fromJSON(JSON.parse(JSON.stringify(statistics)));
  const throughArray = (statistics: Statistics) =>
    Statistics.fromArray(structuredClone(statistics.toArray()));

  describe.each([
    ['JSON', throughJson],
    ['an array', throughArray],
  ])('through %s', (_, copy) => {
    test.each<Spec>([
      { options: { activation: 'softmax' } },
      { N: 3, C: 1, options: { activation: 'sigmoid', denominator: 'linear' } },
      { N: 5, C: 7, options: { batch: true } },
      { N: 64, C: 300, spatial: [1] }, // more sums than a function can take arguments
    ])('%j', (spec) => {
      const statistics = made(spec);
      const again = copy(statistics);
      expect(again).toBeInstanceOf(Statistics);
      expect(again.data).toEqual(statistics.data);
      expect(again.data).not.toBe(statistics.data);
      expect([...again.shape]).toEqual([...statistics.shape]);
      expect(again.samples).toBe(statistics.samples);
      expect(again.signature).toBe(statistics.signature);
      expect(again.add(statistics).data).toEqual(statistics.add(statistics).data);
    });

    test('NaN, the infinities, the smallest and the largest numbers', () => {
      const statistics = made({ N: 1, C: 1 });
      const extremes = [NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 0.1, 1 / 3, 0];
      statistics.data.set(extremes);
      expect([...copy(statistics).data]).toEqual(extremes);
    });

    test('the value and the gradient from the copy are those from the original', () => {
      const { loss, predictions, target } = makeCase({ options: { activation: 'softmax' } });
      const statistics = loss.statistics(predictions, target);
      const again = copy(statistics);
      expect(loss.fromStatistics(again).value.data).toEqual(
        loss.fromStatistics(statistics).value.data,
      );
      expect(loss.gradient(predictions, target, again).data).toEqual(
        loss.gradient(predictions, target, statistics).data,
      );
    });

    test('a copy of other statistics is refused like the original', () => {
      const other = copy(made({ options: { denominator: 'linear' } }));
      expect(() => new DiceLoss().fromStatistics(other)).toThrow(/^Expected statistics of \(/);
    });
  });

  describe('what is no statistics', () => {
    const good = made({ N: 2, C: 3 });
    const json = (changes: object) => ({ ...good.toJSON(), ...changes }) as never;

    test.each([
      ['undefined', undefined],
      ['null', null],
      ['an array', [1]],
      ['a text', JSON.stringify(good)],
      ['an unknown key', json({ extra: 1 })],
      ['no samples', json({ samples: undefined })],
      ['half a sample', json({ samples: 2.5 })],
      ['groups that are not the samples', json({ samples: 3 })],
      ['no shape', json({ shape: undefined })],
      ['a short shape', json({ shape: [2, 3] })],
      ['another number of sums', json({ shape: [2, 3, 3], data: new Array(18).fill(0) })],
      ['no classes', json({ shape: [2, 0, 8], data: [] })],
      ['no signature', json({ signature: undefined })],
      ['too few sums', json({ data: [1, 2] })],
      ['a sum that is a text', json({ data: new Array(48).fill('1') })],
      ['a sum that is null, as JSON writes NaN', json({ data: new Array(48).fill(null) })],
    ])('fromJSON: %s', (_, from) => {
      expect(() => Statistics.fromJSON(from as never)).toThrow(inOneForm);
    });

    const array = (at: number, value: number) => {
      const changed = good.toArray();
      changed[at] = value;
      return changed;
    };
    test.each([
      ['undefined', undefined],
      ['a plain array', [...good.toArray()]],
      ['single precision', Float32Array.from(good.toArray())],
      ['nothing', new Float64Array(0)],
      ['the start only', good.toArray().slice(0, 4)],
      ['one sum less', good.toArray().slice(0, -1)],
      ['half a sample', array(0, 1.5)],
      ['another number of groups', array(1, 1)],
      ['another number of classes', array(2, 4)],
      ['another number of sums', array(3, 4)],
      ['a signature without end', array(4, 1e9)],
      ['a signature of NaN letters', array(4, NaN)],
      ['a signature as long as a stack', new Float64Array(300_005).fill(300_000)],
    ])('fromArray: %s', (_, from) => {
      expect(() => Statistics.fromArray(from as never)).toThrow(/^Expected .* but received /);
    });

    test('sums alone, which do not say what they are', () => {
      expect(() => Statistics.fromArray(good.data)).toThrow(/^Expected /);
    });
  });
});
