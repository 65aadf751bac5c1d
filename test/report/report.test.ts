// Reports of metrics: the table in its forms, by hand.
import { describe, expect, test } from '@jest/globals';
import { report, SegmentationMetrics, SurfaceMetrics } from '../../lib/index.js';
import { boxPlot } from '../../lib/report/box-plot.js';
import { summarize } from '../../lib/report/statistics.js';
import { inOneForm } from '../support/errors.js';
import { type Typed, tensor } from '../support/tensors.js';

const shared = { classes: 3, decision: 'labels', background: false } as const;
const classNames = ['background', 'a, b', 'say "c"'];
const image = (...labels: number[]) => tensor(labels, [1, 1, 6], 'uint8');
const cases: [string, Typed, Typed][] = [
  ['x', image(1, 1, 0, 0, 2, 2), image(1, 0, 0, 0, 2, 2)], // Dice 2/3 and 1
  ['y', image(0, 1, 1, 0, 0, 0), image(1, 1, 1, 0, 0, 0)], // 4/5, and class 2 is nowhere
];

function bothOf(options: object = { classNames }) {
  const overlap = new SegmentationMetrics({ ...shared, ...options, aggregate: 'samples' });
  const surfaces = new SurfaceMetrics({ ...shared, ...options, tolerance: 0 });
  for (const [sample, p, t] of cases) {
    overlap.update(p, t, { sample });
    surfaces.update(p, t, { sample });
  }
  return [overlap, surfaces] as const;
}

const made = report(bothOf(), { scores: ['dice', 'hausdorff'] });

describe('by hand', () => {
  test('text', () => {
    expect(`\n${made}`).toBe(`
sample  class      dice  hausdorff
x       a, b     0.6667     1.0000
        say "c"  1.0000     0.0000
y       a, b     0.8000     1.0000
        say "c"       -          -
mean    a, b     0.7333     1.0000
        say "c"  1.0000     0.0000
        all      0.8222     0.6667
sd      a, b     0.0943     0.0000
        say "c"       -          -
median  a, b     0.7333     1.0000
        say "c"  1.0000     0.0000
`);
    expect(made.toString({ samples: false }).split('\n')[1]).toMatch(/^mean +a, b +0.7333 /);
  });

  test('CSV', () => {
    expect(made.toCsv().split('\n').slice(0, 6)).toEqual([
      'sample,class,dice,hausdorff',
      'x,"a, b",0.6666666666666666,1',
      'x,"say ""c""",1,0',
      'y,"a, b",0.8,1',
      'y,"say ""c""",,',
      `mean,"a, b",${(2 / 3 + 0.8) / 2},1`,
    ]);
  });

  test('JSON', () => {
    const json = JSON.parse(JSON.stringify(made));
    expect(json).toMatchObject({
      classes: ['a, b', 'say "c"'],
      scores: ['dice', 'hausdorff'],
      mean: { dice: (2 / 3 + 0.8 + 1) / 3, hausdorff: 2 / 3 },
      perSample: [
        { sample: 'x', class: 'a, b', dice: 2 / 3, hausdorff: 1 },
        { sample: 'x', class: 'say "c"', dice: 1, hausdorff: 0 },
        { sample: 'y', class: 'a, b', dice: 0.8, hausdorff: 1 },
        { sample: 'y', class: 'say "c"', dice: null, hausdorff: null },
      ],
    });
    expect(json.perClass[1]).toEqual({
      class: 'say "c"',
      dice: { count: 1, mean: 1, sd: null, min: 1, q1: 1, median: 1, q3: 1, max: 1 },
      hausdorff: { count: 1, mean: 0, sd: null, min: 0, q1: 0, median: 0, q3: 0, max: 0 },
    });
  });

  test('an infinite distance', () => {
    const metrics = new SurfaceMetrics({ classes: 2, decision: 'labels', background: false });
    metrics.update(image(0, 0, 0, 0, 0, 0), image(1, 0, 0, 0, 0, 0));
    const one = report(metrics, { scores: ['hausdorff'] });
    expect(`${one}`).toBe(
      'sample  class  hausdorff\n0       1       Infinity\nmean    1       Infinity\n',
    );
    expect(one.toJSON().mean).toEqual({ hausdorff: 'Infinity' });
    expect(one.toCsv()).toContain('0,1,Infinity\n');
    expect(one.toSvg()).not.toMatch(/NaN|Infinity/);
  });

  test('counts of all samples together have no rows of samples', () => {
    const metrics = new SegmentationMetrics({ classes: 2, decision: 'labels' });
    metrics.update(image(0, 1, 1, 0, 0, 0), image(1, 1, 1, 0, 0, 0));
    const one = report(metrics, { scores: ['dice'] });
    expect(`${one}`).toBe(
      'sample  class    dice\nmean    0      0.8571\n        1      0.8000\n        all    0.8286\n',
    );
    expect(one.toJSON()).toMatchObject({ perSample: [], perClass: [{}, { dice: { mean: 0.8 } }] });
    expect(() => one.toSvg()).toThrow("toSvg() needs aggregate 'samples'");
  });

  test('the scores by default, and regions', () => {
    const regions = { both: [1, 2], second: [2] };
    const all = bothOf({ regions, background: true });
    expect(report(all).toJSON()).toMatchObject({
      classes: ['both', 'second'],
      scores: [
        ...['dice', 'iou', 'precision', 'recall'],
        ...['hausdorffPercentile', 'averageSymmetricDistance', 'surfaceDice'],
      ],
    });
    expect(report(all[0], { scores: ['accuracy'] }).toJSON().scores).toEqual(['accuracy']);
  });
});

describe('statistics', () => {
  test('quartiles as NumPy has them', () => {
    expect(summarize([4, Number.NaN, 1, 2, 10])).toEqual({
      count: 4,
      mean: 4.25,
      sd: Math.sqrt((3.25 ** 2 + 2.25 ** 2 + 0.25 ** 2 + 5.75 ** 2) / 3),
      min: 1,
      q1: 1.75,
      median: 3,
      q3: 5.5,
      max: 10,
    });
  });

  test('of nothing', () => {
    const { count, ...rest } = summarize([Number.NaN]);
    expect(count).toBe(0);
    expect(Object.values(rest).every(Number.isNaN)).toBe(true);
  });
});

describe('the picture', () => {
  const attributes = (svg: string, name: string, tag: string) =>
    [...svg.matchAll(new RegExp(`<${tag}[^>]* ${name}="([^"]*)"`, 'g'))].map(([, x]) => Number(x));

  test('a box spans the quartiles, its lines end 1.5 boxes away, dots are beyond', () => {
    const values = [0, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, Number.NaN];
    const svg = boxPlot([{ title: 'dice', boxes: [{ name: '<x>', values }] }]);
    expect(svg).toContain('&lt;x&gt;');
    const place = (x: number) => 45 + x * (640 - 24 - 45); // names of 3 letters take 45
    const [x, width] = [attributes(svg, 'x', 'rect')[0], attributes(svg, 'width', 'rect')[0]];
    const quartile = [0.5375, 0.7125];
    expect(x).toBeCloseTo(place(quartile[0] as number), 0);
    expect((x as number) + (width as number)).toBeCloseTo(place(quartile[1] as number), 0);
    expect(attributes(svg, 'cx', 'circle')).toEqual([place(0)]);
    const ends = (name: string) => attributes(svg, name, 'line class="line"');
    expect(Math.min(...ends('x1'))).toBeCloseTo(place(0.5), 0);
    expect(Math.max(...ends('x2'))).toBeCloseTo(place(0.8), 0);
  });

  test('a panel for each score, a box for each class that is counted', () => {
    const svg = made.toSvg();
    expect(svg.match(/<rect/g)).toHaveLength(4);
    expect(svg).toContain('>hausdorff</text>');
    expect(svg).not.toContain('NaN');
    expect(made.toSvg()).toBe(svg);
  });

  test.each([1, 1.5, 3, 7.2, 40, 999, 1e6])('an axis to %d has round marks and room', (most) => {
    const svg = boxPlot([{ title: 'd', boxes: [{ name: 'a', values: [0, most] }] }]);
    const marks = [...svg.matchAll(/middle">([^<]*)</g)].map(([, mark]) => Number(mark));
    expect(marks.length).toBeGreaterThan(2);
    expect(marks.length).toBeLessThan(8);
    expect(marks.at(-1)).toBeGreaterThanOrEqual(most);
    expect(Math.max(...attributes(svg, 'x', 'text'))).toBeLessThanOrEqual(640 - 24);
  });
});

describe('errors', () => {
  const [overlap, surfaces] = bothOf();
  const refused: [string, () => unknown, string][] = [
    ['nothing', () => report([]), 'Expected one or more for metrics but received []'],
    [
      'no metrics',
      () => report({} as never),
      'Expected SegmentationMetrics, SurfaceMetrics or ComponentMetrics for metrics but received {}',
    ],
    ['an option', () => report(overlap, { score: ['dice'] } as never), "Unknown option 'score'"],
    [
      'no array',
      () => report(overlap, { scores: 'dice' as never }),
      "Expected an array of scores for scores but received 'dice'",
    ],
    [
      'a score of others',
      () => report(overlap, { scores: ['hausdorff'] }),
      "for scores[0] but received 'hausdorff'",
    ],
    [
      'a score that needs an option',
      () => report(surfaces, { scores: ['boundaryIou'] }),
      "for scores[0] but received 'boundaryIou'",
    ],
    [
      'other classes',
      () => report([overlap, bothOf({})[1]]),
      'Expected metrics of the same classes and samples',
    ],
    [
      'other samples',
      () => report([overlap, new SurfaceMetrics({ ...shared, classNames })]),
      'Expected metrics of the same classes and samples',
    ],
    [
      'other names',
      () => {
        const other = new SurfaceMetrics({ ...shared, classNames });
        for (const [, p, t] of cases) other.update(p, t);
        return report([overlap, other]);
      },
      'Expected metrics of the same classes and samples',
    ],
  ];

  test.each(refused)('%s', (_, call, message) => {
    expect(call).toThrow(message);
    expect(call).toThrow(inOneForm);
  });
});
