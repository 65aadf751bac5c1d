// From the rounds of a shape's visits to the results of its cases.
import { expect, test } from '@jest/globals';
import { type Group, groups } from '../../bench/cases/cases.js';
import { type RowTimes, timeRows } from '../../bench/measure/rows.js';
import { caseResults } from '../../bench/measure/times.js';

const row = (name: string, times: number[], owner = 0): RowTimes => ({ owner, name, times });
/** Copies of so many ms, exponentials, and our call on the cases of the group. */
const visit = (copy: number, exp: number, ...calls: number[]) => [
  row('memcpy', [9 * copy, 9 * copy]),
  row('non-temporal copy', [copy, copy]),
  row('exp', [exp, exp]),
  ...calls.map((ms, owner) => row('valueAndGrad', [ms, 2 * ms, 3 * ms], owner)),
];
const softmax = groups.find(({ name }) => name === '[4,4,512,512] softmax') as Group;
const groupOf = (...names: string[]): Group => ({
  ...softmax,
  cases: softmax.cases.filter(({ name }) => names.includes(name)),
});
const medians = (...visits: RowTimes[][]) =>
  caseResults(groupOf('float32, labels'), visits).map(({ calls }) => calls.at(-1)?.ms.median);

test('what is wrong is named and never timed; the others take turns', async () => {
  const runs: string[] = [];
  const rows = ['right', 'false', 'last'].map((name) => ({
    name,
    owner: 0,
    run: () => void runs.push(name),
    fault: () => (name === 'false' ? 'value 2 instead of 1' : undefined),
  }));
  const found = await timeRows(rows, 2, { seconds: 0, leastRounds: 1 });
  expect(found.map(({ name, fault, times }) => [name, fault, times.length])).toEqual([
    ['right', undefined, 1],
    ['false', 'value 2 instead of 1', 0],
    ['last', undefined, 1],
  ]);
  expect(new Set(runs)).toEqual(new Set(['right', 'last']));
});

test('the visit with the faster copy and exponentials counts, whatever our call took', () => {
  expect(medians(visit(1, 1, 9), visit(2, 1, 1))).toEqual([18]);
  expect(medians(visit(1, 2, 9), visit(1, 1, 8))).toEqual([16]);
  expect(medians(visit(1, 1, 9))).toEqual([18]);
  expect(medians()).toEqual([]);
});

test('ratios within each round: to the faster copy, and to the first case of the shape', () => {
  const [, half] = caseResults(groupOf('float32, labels', 'float16, labels'), [
    [...visit(1, 1, 4, 2), row('memcpy', [2, 4, 2], 1)],
  ]);
  expect(half).toMatchObject({ case: 'float16, labels', calls: [{ name: 'valueAndGrad' }, {}] });
  expect(half?.calls[0]).toMatchObject({ toCopy: { median: 1 }, toBase: { median: 0.5 } });
});

test('another loss has the tensors of the first case, and its copies', () => {
  const [, jaccard] = caseResults(groupOf('float32, labels', 'Jaccard'), [
    [...visit(1, 1, 4), row('valueAndGrad', [6, 6], 1)],
  ]);
  expect(jaccard?.calls).toMatchObject([{ toCopy: { median: 6 } }]);
});

test('a wrong result in any visit is a fault of the case, and has no times', () => {
  const wrong = [...visit(9, 9), { owner: 0, name: 'valueAndGrad', times: [], fault: 'wrong' }];
  for (const visits of [
    [visit(1, 1, 2), wrong],
    [wrong, visit(1, 1, 2)],
  ]) {
    const [result] = caseResults(groupOf('float32, labels'), visits);
    expect(result?.faults).toEqual(['valueAndGrad: wrong']);
    expect(result?.calls.map(({ name }) => name)).not.toContain('valueAndGrad');
  }
});
