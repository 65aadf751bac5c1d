// Visits of a shape: what is wrong is not timed, which visits count, and what is said of those that disagree.
import { expect, test } from '@jest/globals';
import { groups } from '../../bench/cases.js';
import { timesText } from '../../bench/report.js';
import { summariesOf } from '../../bench/summaries.js';
import { timeVerdicts } from '../../bench/targets.js';
import { type Contender, countedOf, type Row, rightInTurns, together } from '../../bench/visits.js';

const row = (name: string, times: number[], owner = 0): Row => ({
  owner,
  name,
  kind: name.includes('copy') || name === 'memcpy' ? 'limit' : 'call',
  elements: 4,
  times,
});
const wrong = (name: string): Row => ({ ...row(name, []), fault: 'it is wrong' });
/** Copies of so many ms, our call, and exponentials. */
const visit = (copy: number, call: number, exp?: number) => [
  row('memcpy', [9 * copy, 9 * copy]),
  row('non-temporal copy', [copy, copy]),
  row('valueAndGrad', [call, call]),
  ...(exp ? [row('exp', [9 * exp]), row('exp, non-temporal write', [exp])] : []),
];

test('what is wrong is named and never timed; the others take turns', async () => {
  const runs: string[] = [];
  const contender = (name: string, fault?: string): Contender & { owner: number } => ({
    owner: 0,
    name,
    kind: 'call',
    elements: 1,
    run: () => void runs.push(name),
    fault: () => fault,
  });
  const budget = { seconds: 0, leastRounds: 1 };
  const all = [contender('right'), contender('false', 'value 2 instead of 1'), contender('last')];
  const rows = await rightInTurns(all, budget, () => undefined);
  expect(rows.map(({ name, fault, times }) => [name, fault, times.length])).toEqual([
    ['right', undefined, 1],
    ['false', 'value 2 instead of 1', 0],
    ['last', undefined, 1],
  ]);
  expect(new Set(runs)).toEqual(new Set(['right', 'last']));
});

test.each([
  ['copies alike: both', [visit(1, 2), visit(1.19, 2)], [true, true]],
  ['a slower copy: the other', [visit(1.21, 2), visit(1, 2)], [false, true]],
  ['however fast our call was beside it', [visit(1, 20), visit(2, 1)], [true, false]],
  ['of three', [visit(1.05, 2), visit(1, 2), visit(3, 2)], [true, true, false]],
  ['slower exponentials: the other', [visit(1, 2, 1), visit(1, 2, 1.21)], [true, false]],
  ['exponentials alike', [visit(1, 2, 1), visit(1, 2, 1.19)], [true, true]],
  ['one has a slow copy, one slow exponentials', [visit(2, 2, 1), visit(1, 2, 2)], [true, true]],
  ['no copy in one', [[row('valueAndGrad', [1])], visit(1, 2)], [false, true]],
  ['no copy in any', [[row('valueAndGrad', [1])], [row('valueAndGrad', [9])]], [true, true]],
])('visits that count, %s', (_, visits, counted) => {
  expect(countedOf(visits)).toEqual(counted);
});

test('rounds of the visits that count stand together; what was wrong in one visit has none', () => {
  const names = (rows: readonly Row[]) => rows.map(({ name, times }) => [name, times]);
  expect(names(together([visit(1, 2), visit(1, 3), visit(5, 1)]))).toEqual([
    ['memcpy', [9, 9, 9, 9]],
    ['non-temporal copy', [1, 1, 1, 1]],
    ['valueAndGrad', [2, 2, 3, 3]],
  ]);
  const half = [row('memcpy', [1]), wrong('valueAndGrad')];
  for (const visits of [
    [half, visit(1, 2)],
    [visit(1, 2), half],
  ]) {
    const last = together(visits).find(({ name }) => name === 'valueAndGrad');
    expect(last).toMatchObject({ times: [], fault: 'it is wrong' });
  }
});

const [group] = groups
  .filter(({ name }) => name === '[4,4,512,512] softmax')
  .map(({ cases, ...rest }) => ({ ...rest, cases: cases.slice(0, 2) }));
if (!group) throw new Error('no such group');
/** Of float32 and float16. */
const both = (copy: number, call: number, half: number, exp?: number) => [
  ...visit(copy, call, exp),
  ...visit(copy, half).map((one) => ({ ...one, owner: 1 })),
];
const resultsOf = (...visits: Row[][]) => ({
  simd: 'avx512',
  threads: 2,
  cases: summariesOf(group, visits, 2),
});

test('results are of the visits that count, and name the others', () => {
  const [first, second] = resultsOf(both(1, 4, 2), both(2, 10, 30)).cases;
  expect(first?.calls.at(-1)).toMatchObject({
    ms: { median: 4, samples: 2 },
    toCopy: { median: 4 },
    visits: [
      { counted: true, ms: 4, copyMs: 1, toCopy: 4 },
      { counted: false, ms: 10, copyMs: 2, toCopy: 5 },
    ],
  });
  expect(second?.calls.at(-1)).toMatchObject({
    toBase: { median: 0.5 },
    visits: [{ toBase: 0.5 }, { toBase: 3 }],
  });
  const once = resultsOf(both(1, 4, 2)).cases[0];
  expect(once?.calls.at(-1)?.visits).toBeUndefined();
});

test('another loss has the tensors of the first case, and its copies', () => {
  const jaccard = groups.flatMap(({ cases }) => cases).filter(({ loss }) => loss === 'Jaccard');
  const losses = { ...group, cases: [...group.cases.slice(0, 1), ...jaccard.slice(0, 1)] };
  const rows = [...visit(2, 4), { ...row('valueAndGrad', [6, 6]), owner: 1 }];
  const [, second] = summariesOf(losses, [rows, rows], 2);
  expect(second).toMatchObject({ case: 'Jaccard', fastestCopy: 'non-temporal copy' });
  expect(second?.calls).toMatchObject([
    {
      toCopy: { median: 3 },
      visits: [
        { copyMs: 2, toCopy: 3 },
        { copyMs: 2, toCopy: 3 },
      ],
    },
  ]);
});

test('a wrong result of one visit is a fault of the case', () => {
  const bad = both(1, 4, 2).map((one) =>
    one.owner === 1 && one.name === 'valueAndGrad' ? { ...wrong(one.name), owner: 1 } : one,
  );
  const [first, second] = resultsOf(both(1, 4, 2), bad).cases;
  expect(first?.faults).toEqual([]);
  expect(second?.faults).toEqual(['valueAndGrad: it is wrong']);
  expect(second?.calls.map(({ name }) => name)).not.toContain('valueAndGrad');
});

test('visits of which one meets a target and the other does not are said, met or not', () => {
  const verdicts = (...visits: Row[][]) =>
    timeVerdicts(resultsOf(...visits)).map(({ met, because }) => [met, because]);
  const nothing = 'nothing in this run explains it';
  expect(verdicts(both(1, 1.5, 1), both(2, 5, 20))).toEqual([
    [true, 'its visits disagree: 1.50 and 2.50'],
    [true, 'its visits disagree: 0.67 and 4.00'],
  ]);
  expect(verdicts(both(2, 3, 3), both(1, 3, 3))).toEqual([
    [false, `${nothing}; its visits disagree: 1.50 and 3.00`],
    [true, undefined],
  ]);
  expect(verdicts(both(1, 3, 3), both(1, 4, 4))).toEqual([
    [false, nothing],
    [true, undefined],
  ]);
});

test('the table says which visit does not count, and how far apart those are that do', () => {
  const text = (...visits: Row[][]) => timesText(resultsOf(...visits));
  expect(text(both(1, 4, 2), both(2, 10, 30))).toContain(
    '[4,4,512,512] softmax: visit 2 does not count, its copy took 2.00 times as long, valueAndGrad 2.50 times.',
  );
  expect(text(both(1, 4, 2, 1), both(1, 6, 2, 1.5))).toContain(
    'visit 2 does not count, its copy took 1.00 times as long, its exponentials 1.50 times, valueAndGrad 1.50 times.',
  );
  expect(text(both(1, 4, 2), both(1, 5, 2))).toContain(
    '1 of 2 valueAndGrad differ by over a fifth between visits whose copies and exponentials do not, most [4,4,512,512] softmax float32, labels, 1.25 times',
  );
  expect(text(both(1, 4, 2), both(1, 4.2, 2))).not.toContain('visit');
});

test('a machine was disturbed when over a twentieth of the medians are far above their minimum', () => {
  const call = (ms: number[], name: string) => ({ ...row(name, ms), owner: 0 });
  const quiet = (count: number) =>
    Array.from({ length: count }, (_, i) => call([1, 1.4, 2], `quiet ${i}`));
  const disturbed = call([1, 1.6, 2], 'disturbed');
  const text = (rows: Row[]) => timesText(resultsOf(rows));
  expect(text([...quiet(18), disturbed])).toContain('1 of 19 medians are over 1.5 times');
  expect(text([...quiet(19), disturbed])).not.toContain('medians are over');
});
