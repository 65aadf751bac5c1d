// Calls on arrays of 2^31 and more elements. What is only read is zeros that nothing has touched, which take no memory; the
// largest array that is written has 4.4 GB. Where the machine has less memory than that, the tests are skipped.
import { afterAll, describe, expect } from '@jest/globals';
import { DeepSupervision, DiceLoss, SegmentationMetrics, Tensor } from '../../lib/index.js';
import { testWithMemory as test } from '../support/memory.js';

afterAll(() => (globalThis as { gc?: () => void }).gc?.());

/** One class, logits of 0; all targets are 0 but for the last ones. */
function problem(S: number, ones: number) {
  const x = Tensor.empty([1, 1, S], 'float16');
  const y = Tensor.empty([1, S], 'uint8');
  y.data.fill(1 as never, S - ones);
  return { x, y };
}

describe('2^32 elements, 8.6 GB', () => {
  const [S, ones] = [2 ** 32, 5];

  test('statistics of one class', () => {
    const { x, y } = problem(S, ones);
    const loss = new DiceLoss({ activation: 'sigmoid', smoothDenominator: 0 });
    const [I, P, T, , W] = loss.statistics(x, y).data;
    expect([I, P, T, W]).toEqual([0.5 * ones, 0.25 * S, ones, S]);
  });

  test('a label out of range at the very end', () => {
    const { x, y } = problem(S, ones);
    y.data[S - 1] = 7;
    expect(() => new DiceLoss({ activation: 'sigmoid' }).value(x, y)).toThrow(
      expect.objectContaining({ count: 1, index: S - 1, value: 7 }),
    );
  });

  test('two classes of 2^31 voxels, in both layouts', () => {
    const y = Tensor.empty([1, S / 2], 'uint8');
    y.data.fill(1 as never, S / 2 - ones);
    for (const layout of ['channels-first', 'channels-last'] as const) {
      const shape = layout === 'channels-first' ? [1, 2, S / 2] : [1, S / 2, 2];
      const x = Tensor.empty(shape, 'float16');
      x.data[S - 1] = 0x7bff as never; // class 1 of the last voxel: 65504
      const loss = new DiceLoss({ activation: 'softmax', layout });
      const sums = loss.statistics(x, y).data;
      expect(sums[8]).toBe(0.5 * (ones - 1) + 1);
      expect(sums[0]).toBe(0.5 * (S / 2 - ones));
    }
  });

  test('label maps', () => {
    const [x, y] = [Tensor.empty([1, S], 'uint8'), Tensor.empty([1, S], 'uint8')];
    y.data.fill(1 as never, S - ones);
    x.data.fill(1 as never, S - ones + 2);
    const metrics = new SegmentationMetrics({ classes: 2, decision: 'labels' }).update(x, y);
    expect([...metrics.confusion()]).toEqual([S - ones, 0, 2, ones - 2]);
  });
});

describe('2.2e9 elements, of which 4.4 GB are written', () => {
  const [S, ones] = [2.2e9, 3];

  test('a gradient', () => {
    const { x, y } = problem(S, ones);
    const loss = new DiceLoss({ activation: 'sigmoid', smoothDenominator: 0 });
    const { value, grad } = loss.valueAndGrad(x, y, { gradScale: 1e12 });
    const D = 0.25 * S + ones;
    expect(value.itemSync()).toBeCloseTo(1 - ones / D, 15);
    expect(grad.byteLength).toBe(4.4e9);
    const ends = [0, S / 2, S - ones - 1, S - ones, S - 1].map((at) =>
      grad.view([], at).itemSync(),
    );
    const [zero, one] = [ends[0] as number, ends[4] as number];
    expect(one).toBeLessThan(zero);
    expect(ends).toEqual([zero, zero, zero, one, one]);
    expect(Math.abs(one / ((-2 * 0.25 * 1e12) / D) - 1)).toBeLessThan(1e-3);
  });

  test('a target that is resampled', () => {
    const fine = Tensor.empty([1, 1, S], 'float16');
    const y = Tensor.empty([1, S], 'uint8');
    y.data.fill(1 as never, S - 200);
    const coarse = Tensor.empty([1, 1, S / 100], 'float16');
    const loss = new DiceLoss({ activation: 'sigmoid', smoothDenominator: 0 });
    const { scales } = new DeepSupervision(loss, [1, 1]).value([fine, coarse], y);
    expect(scales[1]?.value.itemSync()).toBeCloseTo(1 - (2 * 0.5 * 2) / (0.25 * (S / 100) + 2), 15);
  });
});
