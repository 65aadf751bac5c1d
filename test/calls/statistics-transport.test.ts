// Statistics on their way between threads and machines: JSON and one typed array, and back to the bit.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Statistics } from '../../lib/index.js';
import { makeCase, type Spec } from '../support/cases.js';
import { inOneForm } from '../support/errors.js';

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
