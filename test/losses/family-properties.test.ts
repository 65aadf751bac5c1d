// What must hold for any input, for every loss of the family: tried on random ones.
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { expectClose } from '../support/compare.js';
import { cells, makeLoss } from '../support/losses.js';
import { numbers, tensor } from '../support/tensors.js';

const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });

/** One sample of three classes: logits by voxel, and labels. */
const voxels = fc.array(
  fc.record({
    z: fc.tuple(number(-9, 9), number(-9, 9), number(-9, 9)),
    y: fc.integer({ min: 0, max: 2 }),
    w: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 1, maxLength: 70 },
);
type Voxel = { z: [number, number, number]; y: number; w: number };

describe.each(cells)('$key $variant', ({ key, variant }) => {
  const loss = makeLoss(key, {
    activation: 'softmax',
    layout: 'channels-last',
    classWeights: [1, 0.5, 2],
    ...variant,
  });
  const solve = (list: Voxel[], weigh: (voxel: Voxel) => number) => {
    const S = list.length;
    const x = tensor(
      list.flatMap(({ z }) => z),
      [1, S, 3],
      'float64',
    );
    const y = tensor(
      list.map((voxel) => voxel.y),
      [1, S],
      'uint8',
    );
    const weight = tensor(list.map(weigh), [1, S], 'float64');
    const { value, grad } = loss.valueAndGrad(x, y, { weight });
    return { value: numbers(value), grad: numbers(grad) };
  };
  /** As far as the order of a sum changes it, and what a root of a small number makes of that. */
  const near = (from: ArrayLike<number>) => 1e-9 * Math.max(1, ...Array.from(from, Math.abs));
  const check = (property: (list: Voxel[]) => void) =>
    fc.assert(fc.property(voxels, property), { seed: 21, numRuns: 40 });

  test('the order of the voxels does not matter', () => {
    check((list) => {
      const one = solve(list, ({ w }) => w);
      const other = solve([...list].reverse(), ({ w }) => w);
      expectClose('value', other.value, one.value, near(one.value));
      const moved = list.flatMap((_, s) => [
        ...other.grad.subarray(3 * (list.length - 1 - s), 3 * (list.length - s)),
      ]);
      expectClose('grad', moved, one.grad, near(one.grad));
    });
  });

  test('a voxel of weight w counts as w voxels', () => {
    check((list) => {
      const weighted = solve(list, ({ w }) => w);
      const repeated = list.flatMap((voxel) => new Array<Voxel>(voxel.w).fill(voxel));
      const { value, grad } = solve(repeated, () => 1);
      expectClose('value', weighted.value, value, near(value));
      let at = 0;
      const sums = list.flatMap(({ w }) => {
        const first = grad.subarray(3 * at, 3 * at + 3);
        at += w;
        return Array.from(first, (g) => w * g);
      });
      expectClose('grad', weighted.grad, sums, near(sums));
    });
  });
});
