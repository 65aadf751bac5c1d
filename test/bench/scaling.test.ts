// The scaling's check: a volume that is so many repetitions of a small one has the small one's answer, and what is not is found.
import { expect, test } from '@jest/globals';
import { solve } from '../../bench/cases/answer.js';
import { base } from '../../bench/cases/cases.js';
import { makeProblem } from '../../bench/cases/problem.js';
import { checked, repeated } from '../../bench/measure/scaling.js';

const group = { activation: 'softmax' as const };
const shape = [1, 3, 67];
const answer = solve(group, shape, base.loss);
const small = () => makeProblem(group, base, shape);

test.each([1, 2, 5])('%d times behind itself', (times) => {
  const problem = repeated(small(), times);
  expect([problem.S, problem.logits.size, problem.target.size]).toEqual([
    67 * times,
    3 * 67 * times,
    67 * times,
  ]);
  expect(checked(problem, answer, times)).toBeUndefined();
});

test.each([1, 4])('one label that is another, the last of %d repetitions', (times) => {
  const problem = repeated(small(), times);
  const labels = problem.target.data as Uint8Array;
  const last = labels.length - 1;
  labels[last] = (Number(labels[last]) + 1) % 3;
  expect(checked(problem, answer, times)).toMatch(/instead of/);
});

test('each repetition is looked at', () => {
  const problem = repeated(small(), 3);
  const { loss, out } = problem;
  const data = out.grad.data as Float32Array;
  // The call is right; its last repetition is then spoilt by so little that the value cannot tell.
  const spoilt = {
    ...problem,
    loss: {
      valueAndGrad: (...args: Parameters<typeof loss.valueAndGrad>) => {
        loss.valueAndGrad(...args);
        data[data.length - 1] = Number(data[data.length - 1]) + 1e-4 * answer.largestGradient;
      },
    } as unknown as typeof loss,
  };
  expect(checked(spoilt, answer, 3)).toMatch(/^repetition 2: gradient .* class 2, voxel 66$/);
});
