/**
 * A class of weight 0 contributes nothing on a device either (forbidden.test.ts).
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, Tensor } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { callOptions } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { gpu, onDevice, solveOn } from '../support/device.js';
import { forbiddenCase, forbiddenCells } from '../support/forbidden.js';
import { everyNth } from '../support/in-this-run.js';
import { numbers } from '../support/tensors.js';
import { gradTolerance } from '../support/tolerance.js';

const there = (from: Parameters<typeof onDevice>[1]) => onDevice(gpu, from);

const some = everyNth(2);

describe.each(['softmax', 'sigmoid'] as const)('%s', (activation) => {
  test.each(forbiddenCells)('$key $variant', async (cell) => {
    for (let i = 0; i < 3; i++) {
      if (!some()) continue;
      await solveOn(gpu, forbiddenCase(cell, activation, 'labels', 2 * i));
      const c = forbiddenCase(cell, activation, 'dense', i + 3);
      await solveOn(gpu, c);

      const [x, y] = [there(c.predictions), there(c.target)];
      const { weight } = callOptions(c);
      const given = weight ? { weight: there(weight) } : {};
      const slope = c.loss.targetGradient(x, y, c.loss.statistics(x, y, given), {
        ...given,
        ...(c.upstream && { upstream: there(c.upstream) }),
      });
      const { targetGradient } = reference(c.problem);
      const read = { data: slope.readSync(), dtype: slope.dtype };
      expectClose(
        'targetGrad',
        numbers(read),
        targetGradient,
        gradTolerance('float32', targetGradient),
      );
    }
  });
});

test('a class of weight 0 whose overlap is 0/0', () => {
  const loss = new DiceLoss({ smoothDenominator: 0, classWeights: [0, 1] });
  const p = Tensor.from(Float64Array.of(0, 0, 1, 0.5), [1, 2, 2]).to(gpu);
  const { value, grad } = loss.valueAndGrad(p, p);
  expect(value.itemSync()).toBe(0);
  expect([...grad.readSync()].map((g) => Math.abs(g as number) < 1e-15)).toEqual(
    Array(4).fill(true),
  );
});
