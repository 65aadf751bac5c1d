/**
 * The whole family on the emulated device against the reference, within the tolerances of the CPU: every loss and its
 * options, over activations; targets, dtypes, layouts, reductions and the rest take turns. (test/cuda/emulator has the kernels'
 * own matrix.)
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, SegmentationMetrics, Tensor } from '../../lib/index.js';
import type { ReferenceOptions } from '../reference/reference.js';
import { makeCase, type Spec } from '../support/cases.js';
import { gpu, solveOn } from '../support/device.js';
import { inThisRun } from '../support/in-this-run.js';
import { activationsOf, type Cell, cells, entryOf, lossKeys } from '../support/losses.js';
import { tensor } from '../support/tensors.js';

const dtypes = ['float32', 'float64', 'float16', 'bfloat16'] as const;
const reductions = ['mean', 'none', 'sum'] as const;

/** What takes turns, by a number. */
function turn(i: number): Spec & { options: ReferenceOptions } {
  const dtype = dtypes[i % 4] as (typeof dtypes)[number];
  const targets: Spec[] = [
    { target: 'labels', targetDtype: 'uint8' },
    { target: 'labels', targetDtype: 'int64' },
    { target: 'dense', targetDtype: dtype },
    { target: 'labels', targetDtype: 'int32' },
    { target: 'dense', targetDtype: 'uint8' },
  ];
  return {
    dtype,
    N: 1 + (i % 3),
    spatial: [i % 2 ? 31 : 33],
    ...targets[i % 5],
    ...(i % 7 < 3 && { weight: 'float32' }),
    gradDtype: dtype === 'float64' ? 'float64' : 'float32',
    seed: i,
    options: {
      reduction: reductions[i % 3] as 'mean',
      layout: i % 4 === 1 ? 'channels-last' : 'channels-first',
      batch: i % 6 === 5,
    },
  };
}

async function solve(spec: Spec): Promise<void> {
  try {
    await solveOn(gpu, makeCase(spec));
  } catch (error) {
    throw new Error(`${JSON.stringify(spec)}: ${(error as Error).message}`, { cause: error });
  }
}

let i = 0;
test.each(cells)('$key $variant', async (cell: Cell) => {
  for (const activation of activationsOf(cell)) {
    if (!inThisRun()) continue;
    const { options, ...spec } = turn(i++);
    await solve({
      ...spec,
      loss: cell.key,
      options: { ...options, ...cell.variant, activation },
    });
  }
});

describe('awkward shapes', () => {
  test.each([
    [1, 1, [1]],
    [2, 1, [4099]],
    [1, 2, [31, 3]],
    [3, 5, []],
    [1, 19, [257]],
    [1, 150, [33]],
    [2, 33, [7]],
  ] as [number, number, number[]][])('N=%d C=%d %j', async (N, C, spatial) => {
    const activation = C === 1 ? 'sigmoid' : 'softmax';
    for (const layout of ['channels-first', 'channels-last'] as const) {
      await solve({ N, C, spatial, options: { activation, layout } });
    }
  });
});

test('nothing is left, and there is no smoothing', async () => {
  for (const loss of lossKeys) {
    const { variants } = entryOf(loss);
    const options = { ...variants[0], ignoreIndex: 255, smoothDenominator: 0 };
    await solve({ loss, ignored: 1, options: { ...options, activation: 'softmax' } });
  }
});

// Labels of 16 bits on a GPU, where a call widens them to int32 in its workspace.
describe('labels of 16 bits', () => {
  const [N, C, S] = [2, 5, 301];
  const on = (data: Parameters<typeof Tensor.from>[0], shape: number[], dtype?: 'uint16') =>
    Tensor.from(data, shape, dtype && { dtype }).to(gpu);
  const { data, shape } = tensor(
    Array.from({ length: N * C * S }, (_, i) => Math.sin(i * i)),
    [N, C, S],
  );
  const x = on(data, [...shape]);
  const values = Array.from({ length: N * S }, (_, i) => (i * 7) % C);
  const wide = on(Int32Array.from(values), [N, S]);

  test.each([
    ['int16', on(Int16Array.from(values), [N, S])],
    ['uint16', on(Uint16Array.from(values), [N, S], 'uint16')],
  ])('%s', (_, short) => {
    const loss = new DiceLoss({ activation: 'softmax', crossEntropy: {} });
    const expected = loss.valueAndGrad(x, wide);
    const plan = loss.plan(x, short);
    for (const { value, grad } of [loss.valueAndGrad(x, short), plan.execute()]) {
      expect(value.itemSync()).toBe(expected.value.itemSync());
      expect([...grad.readSync()]).toEqual([...expected.grad.readSync()]);
    }
    plan.dispose();
    const count = (target: Tensor, maps: boolean) => {
      const metrics = new SegmentationMetrics({ classes: C, decision: maps ? 'labels' : 'argmax' });
      return [...metrics.update(maps ? target : x, target).confusion()];
    };
    for (const maps of [true, false]) expect(count(short, maps)).toEqual(count(wide, maps));
  });

  test('labels out of range are found', () => {
    const wrong = on(Int16Array.from(values.with(77, -5)), [N, S]);
    const { value } = new DiceLoss({ activation: 'softmax' }).value(x, wrong);
    expect(() => value.itemSync()).toThrow(/1 other value, the first -5 at index 77$/);
  });
});
