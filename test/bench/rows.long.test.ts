// What the benchmark times is checked first: every row is right on every case, and a wrong result is found wherever it lies.
import { expect, test } from '@jest/globals';
import { type Answer, faultOf, solve } from '../../bench/cases/answer.js';
import { type Case, type Group, groups } from '../../bench/cases/cases.js';
import { bytesOf, makeProblem, type Problem } from '../../bench/cases/problem.js';
import { loadPasses } from '../../bench/measure/passes.js';
import { rowsOf } from '../../bench/measure/rows.js';

const passes = loadPasses(2);

/** The cases of a main shape, on so few voxels that one missing shows. */
const small = (name: string, shape: readonly number[]): Group => ({
  ...(groups.find((group) => group.name.startsWith(name)) as Group),
  shape,
});
const sigmoid = small('[8,1,512,512]', [3, 1, 5, 7]);
const softmax = small('[4,4,512,512]', [2, 4, 5, 7]);

test.each(
  [sigmoid, softmax].flatMap((group) =>
    group.cases.map((c) => [group.activation, c.name, group, c] as const),
  ),
)('every row of %s, %s is right', (_, __, group, c) => {
  const rows = rowsOf(group, c, solve(group, group.shape, c.loss), passes);
  const isFirst = c === group.cases[0];
  expect(rows).toHaveLength(isFirst ? 11 : c.loss === 'Dice' ? 5 : 3);
  for (const row of rows) expect([row.name, row.fault()]).toEqual([row.name, undefined]);
});

test('against an answer that is a little another, every call of ours is wrong; a copy copies what is there', () => {
  const [base] = softmax.cases as [Case];
  const answer = solve(softmax, softmax.shape, 'Dice');
  const another: Answer = {
    ...answer,
    value: answer.value * (1 + 3e-6),
    gradient: answer.gradient.map((g, i) => (i === 100 ? g + 2e-5 * answer.largestGradient : g)),
  };
  const rows = rowsOf(softmax, base, another, passes);
  const faults = new Map(rows.map((row) => [row.name, row.fault()]));
  for (const name of ['valueAndGrad', 'valueAndGrad, allocating', 'plan.execute', 'value']) {
    expect(faults.get(name)).toMatch(/^value .* instead of /);
  }
  // [2,4,35]: place 100 is voxel 30 of class 2 of the first sample.
  expect(faults.get('gradient')).toMatch(/^gradient .* at sample 0, class 2, voxel 30$/);
  expect(faults.get('memcpy')).toBeUndefined();
});

test('a pass that leaves out one byte, or number, is wrong', () => {
  const [base] = softmax.cases as [Case];
  const lazy = {
    ...passes,
    copy: (to: Uint8Array, from: Uint8Array) => to.set(from.subarray(0, -1)),
    fill: (to: Uint8Array, byte: number) => void to.subarray(1).fill(byte),
    exponentials: (to: Float32Array, from: Float32Array, streaming: boolean) =>
      passes.exponentials(to.subarray(0, -1), from.subarray(0, -1), streaming),
  } as typeof passes;
  const rows = rowsOf(softmax, base, solve(softmax, softmax.shape, 'Dice'), lazy);
  const wrong = rows.flatMap((row) => row.fault() ?? []);
  const twice = ['copy', 'write', 'exponential'].flatMap((of) => [
    `a wrong ${of}`,
    `a wrong ${of}`,
  ]);
  expect(wrong).toEqual(twice);
});

function solved(group: Group, c: Case): { problem: Problem; answer: Answer } {
  const problem = makeProblem(group, c, group.shape);
  const { loss, logits, target, out } = problem;
  loss.valueAndGrad(logits, target, { out });
  return { problem, answer: solve(group, group.shape, c.loss) };
}
const caseNamed = (name: string) => softmax.cases.find((c) => c.name === name) as Case;

test.each([
  ['float32, labels', 'sample 1, class 3, voxel 34'],
  ['float64, labels', 'sample 1, class 3, voxel 34'],
  ['float32, labels, channels last', 'sample 1, class 3, voxel 34'],
])('the last element of the gradient, of %s, is looked at', (name, place) => {
  const { problem, answer } = solved(softmax, caseNamed(name));
  const { out } = problem;
  expect(faultOf(problem, answer, out, 1)).toBeUndefined();
  const data = out.grad.data as Float32Array;
  const last = data.length - 1;
  const right = Number(data[last]);
  for (const bad of [
    right + 1.1e-5 * answer.largestGradient,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ]) {
    data[last] = bad;
    expect(faultOf(problem, answer, out, 1)).toContain(place);
  }
  data[last] = right + 0.9e-5 * answer.largestGradient;
  expect(faultOf(problem, answer, out, 1)).toBeUndefined();
});

test.each(['float16, labels', 'bfloat16, labels'])(
  '%s: rounding is allowed, two ulps more are not',
  (name) => {
    const { problem, answer } = solved(softmax, caseNamed(name));
    const bits = problem.out.grad.data as Uint16Array;
    expect(faultOf(problem, answer, problem.out, 1)).toBeUndefined();
    const largest = answer.gradient.findIndex((g) => Math.abs(g) === answer.largestGradient);
    bits[largest] = Number(bits[largest]) + 2;
    expect(faultOf(problem, answer, problem.out, 1)).toMatch(/^gradient /);
  },
);

test('value, a class, and outputs that no call has written', () => {
  const { problem, answer } = solved(softmax, softmax.cases[0] as Case);
  const { out } = problem;
  const perClass = out.perClass.data as Float64Array;
  perClass[7] = Number(perClass[7]) + 1e-5;
  expect(faultOf(problem, answer, out, 1)).toMatch(/^perClass\[7\] /);
  (out.value.data as Float64Array)[0] = Number.NaN;
  expect(faultOf(problem, answer, out, 1)).toMatch(/^value NaN instead of /);
  bytesOf(out.grad.data).fill(0xff);
  expect(faultOf(problem, answer, { grad: out.grad }, 1)).toMatch(
    / at sample 0, class 0, voxel 0$/,
  );
});

const many = { ...softmax, shape: [2, 3, 2 ** 16] }; // of many tiles
test.each(softmax.cases.map((c) => [c.name, c] as const))('%s of many tiles is right', (_, c) => {
  const answer = solve(many, many.shape, c.loss);
  const row = rowsOf(many, c, answer, passes).find(({ name }) => name === 'valueAndGrad');
  expect([row?.name, row?.fault()]).toEqual(['valueAndGrad', undefined]);
});

test('each voxel of many tiles is compared with its own', () => {
  const { problem, answer } = solved(many, many.cases[0] as Case);
  expect(answer.gradient).toHaveLength(3 * 2 ** 14);
  const data = problem.out.grad.data as Float32Array;
  // Neighbours in the last tile of the last sample change places.
  data.set([data[data.length - 1] as number, data[data.length - 2] as number], data.length - 2);
  expect(faultOf(problem, answer, problem.out, 1)).toContain(
    `sample 1, class 2, voxel ${2 ** 16 - 2}`,
  );
});
