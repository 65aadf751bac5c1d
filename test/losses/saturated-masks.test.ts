// Dense masks and a sigmoid that is sure of them. Near t = 1 the gradient is made of 1 - p, which p itself has lost: it has the
// digits that labels have.
import { describe, expect, test } from '@jest/globals';
import { reference } from '../reference/reference.js';
import { expectClose } from '../support/compare.js';
import { type LossKey, makeLoss } from '../support/losses.js';
import { Random } from '../support/random.js';
import { type DType, type FloatDType, numbers, tensor } from '../support/tensors.js';
import { expectSolution } from '../support/tolerance.js';

const [N, C, S] = [2, 2, 203];
const random = new Random(7);
const labels = random.array(N * S, () => random.integer(C));
const voxelWeights = random.array(N * S, () => random.integer(3));
const sure = random.array(N * C * S, () => 10 + 6 * random.uniform());

const layouts = ['channels-first', 'channels-last'] as const;
const floats: FloatDType[] = ['float32', 'float64', 'float16'];
const targetDtypes: DType[] = ['uint8', 'float32', 'bfloat16'];

function solve(key: LossKey, dtype: FloatDType, layout: 'channels-first', weighted: boolean) {
  const first = layout === 'channels-first';
  const [shape, mask] = [first ? [N, C, S] : [N, S, C], new Float64Array(N * C * S)];
  for (let i = 0; i < N * S; i++) {
    const [n, s, c] = [Math.floor(i / S), i % S, labels[i] as number];
    mask[first ? (n * C + c) * S + s : i * C + c] = 1;
  }
  const x = tensor(
    sure.map((z, i) => (mask[i] === 1 ? z : -z)),
    shape,
    dtype,
  );
  const weight = tensor(voxelWeights, [N, S], 'uint8');
  const loss = makeLoss(key, { activation: 'sigmoid', layout });
  const solved = (target: ReturnType<typeof tensor>) =>
    loss.valueAndGrad(x, target, {
      ...(dtype === 'float16' && { gradDtype: 'float32' as const }),
      ...(weighted && { weight }),
    });
  const byLabels = solved(tensor(labels, [N, S], 'uint8'));
  const problem = {
    loss: 'dice' as const,
    ...{ N, C, S, predictions: numbers(x), dense: mask },
    ...(weighted && { weight: voxelWeights }),
  };
  return { byLabels, byMask: (type: DType) => solved(tensor(mask, shape, type)), problem };
}

describe.each(floats)('%s', (dtype) => {
  test.each(['dice', 'jaccard', 'diceFocal'] as const)('%s: as with labels', (key) => {
    for (const layout of layouts)
      for (const weighted of [false, true]) {
        const { byLabels, byMask } = solve(key, dtype, layout as 'channels-first', weighted);
        const expected = numbers(byLabels.grad);
        const most = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        expect(most).toBeGreaterThan(0);
        for (const type of targetDtypes) {
          const { grad } = byMask(type);
          expectClose('grad', numbers(grad), expected, (dtype === 'float64' ? 1e-13 : 1e-6) * most);
        }
      }
  });

  test('cross-entropy: as exact as ever', () => {
    for (const layout of layouts)
      for (const weighted of [false, true]) {
        const given = solve('diceCE', dtype, layout as 'channels-first', weighted);
        const options = { activation: 'sigmoid', layout, crossEntropy: {} } as const;
        const solution = reference({ ...given.problem, options });
        expectSolution(given.byLabels, solution, dtype);
        for (const type of targetDtypes) expectSolution(given.byMask(type), solution, dtype);
      }
  });
});
