// Lists as options and arguments: holes, too many values (refused before anything is copied, since V8 ends the process when an
// array grows too large), and classes that were made of nothing.
import { describe, expect, test } from '@jest/globals';
import * as library from '../../lib/index.js';
import { full, tensor } from '../support/tensors.js';

const {
  BoundaryLoss,
  HausdorffLoss,
  linearLogits,
  report,
  SegmentationMetrics,
  SurfaceMetrics,
  Tensor,
} = library;
const logits = linearLogits(full([1, 2, 4], 0.5), full([2, 2], 1));
const metrics = new SegmentationMetrics({ classes: 2, aggregate: 'samples' });
type Any = never;

const takers: [string, (list: unknown[]) => unknown][] = [
  ['classes', (list) => logits.probabilities(list as Any)],
  ['tolerance', (list) => new SurfaceMetrics({ classes: 2, tolerance: list as Any })],
  ['spacing', (list) => new SurfaceMetrics({ classes: 2, spacing: list as Any })],
  ['spacing', (list) => new BoundaryLoss({ spacing: list as Any })],
  ['spacing', (list) => new HausdorffLoss({ spacing: list as Any })],
  ["regions['a']", (list) => new SegmentationMetrics({ classes: 3, regions: { a: list as Any } })],
  ['classNames', (list) => new SegmentationMetrics({ classes: 2, classNames: list as Any })],
  [
    'threshold',
    (list) =>
      new SegmentationMetrics({ classes: 1, decision: 'threshold', threshold: list as Any }),
  ],
  ['scores', (list) => report(metrics, { scores: list as Any })],
];

test.each(takers)('a hole is no value: %s', (name, take) => {
  const holed = new Array(2);
  holed[1] = 1;
  expect(() => take(holed)).toThrow(`for ${name}[0] but received`);
});

test.each([...takers, ['metrics', (list: unknown[]) => report(list as Any)] as const])(
  '2^32 - 1 values: %s',
  (name, take) => {
    const begin = performance.now();
    expect(() => take(new Array(2 ** 32 - 1))).toThrow(name);
    expect(performance.now() - begin).toBeLessThan(2000); // to copy them takes a minute, or ends the process
  },
);

test.each([1e-200, 1e200])('spacing %d, whose square is no number', (spacing) => {
  expect(() => new BoundaryLoss({ spacing: [spacing, 1] })).toThrow(
    /from 1e-100 to 1e\+?100 for spacing\[0\]/,
  );
});

describe.each([null, undefined, 3, 'x'])('new of every class with %p', (value) => {
  const classes = Object.entries(library).filter(
    ([name, one]) => typeof one === 'function' && /^[A-Z]/.test(name),
  );
  test.each(classes)('%s', (_, Class) => {
    let message = 'none';
    try {
      new (Class as new (value: unknown) => object)(value);
    } catch (error) {
      ({ message } = error as Error);
    }
    expect(message).not.toMatch(/Cannot read|not iterable|is not a function|undefined \(reading/);
  });
});

test('names of scores cannot be changed', () => {
  expect(() => (metrics.scoreNames as string[]).push('other')).toThrow('not extensible');
});

test('names of regions, and other options, are cut in messages', () => {
  const long = 'x'.repeat(600_000);
  const make = (members: number[]) =>
    new SegmentationMetrics({ classes: 2, regions: { [long]: members } });
  for (const wrong of [() => make([9]), () => make([1]).merge(metrics)]) {
    let message = '';
    try {
      wrong();
    } catch (error) {
      ({ message } = error as Error);
    }
    expect(message).toMatch(/^Expected/);
    expect(message.length).toBeLessThan(500);
  }
});

test('the scores of many samples', () => {
  const samples = 150_000;
  const x = Tensor.from(
    new Float32Array(2 * samples).map((_, i) => i % 3),
    [samples, 2, 1],
  );
  const labels = new Uint8Array(samples).map((_, i) => i % 2);
  const many = new SegmentationMetrics({ classes: 2, aggregate: 'samples' });
  many.update(x, tensor(labels, [samples, 1], 'uint8'));
  expect(report(many, { scores: ['dice'] }).toSvg()).toContain('</svg>');
  const names = Array.from({ length: 20_000 }, (_, n) => `${n}`);
  const flat = full([20_000, 2, 2, 2], 0.5);
  const surfaces = new SurfaceMetrics({ classes: 2, tolerance: 1 });
  surfaces.update(flat, tensor(new Uint8Array(80_000), [20_000, 2, 2], 'uint8'), { sample: names });
  expect(surfaces.sampleNames).toEqual(names);
});

test('linearLogits of integers', () => {
  const features = Tensor.from(new Uint8Array(8), [1, 2, 4]);
  expect(() => linearLogits(features, full([2, 2], 1))).toThrow('for features but received uint8');
});

test('a loss without sums where sums are needed', () => {
  expect(() => new library.DeepSupervision(new library.LovaszLoss() as Any, [1])).toThrow(
    'an instance of LovaszLoss: call its own valueAndGrad(), as it is no function of sums',
  );
});
