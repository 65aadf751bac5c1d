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
import { expectClose } from '../support/compare.js';
import { gpu, onDevice, solveOn } from '../support/device.js';
import { everyNth, inThisRun } from '../support/in-this-run.js';
import {
  activationsOf,
  type Cell,
  cells,
  entryOf,
  lossKeys,
  termFactors,
} from '../support/losses.js';
import { full, tensor } from '../support/tensors.js';

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
    ...(i % 7 < 3 && { weight: 'float32', weightOfClasses: i % 7 === 1 }),
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

const some = everyNth(5);
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

test.each(['sigmoid', 'softmax'] as const)('factors of terms, %s', async (activation) => {
  for (const part of termFactors[activation]) {
    for (const spatial of [[33], [4099]]) {
      if (!some()) continue;
      const { options, ...spec } = turn(i++);
      await solve({ ...spec, spatial, options: { ...options, ...part, activation } });
    }
  }
});

test.each(['uint8', ...dtypes] as const)('a %s weight per class and voxel', async (weight) => {
  for (const [i, dtype] of dtypes.entries())
    for (const activation of ['none', 'sigmoid', 'softmax'] as const) {
      if (!some()) continue;
      const C = [2, 3, 19, 300][i] as number;
      const layout = i % 2 ? 'channels-last' : 'channels-first';
      const compound = activation === 'none' ? {} : { crossEntropy: {}, focal: {} };
      const options = { activation, layout, ...compound } as const;
      await solve({
        C,
        dtype,
        spatial: [C > 99 ? 9 : 131],
        weight,
        weightOfClasses: true,
        options,
      });
    }
});

test('labels of voxels of which no class has a weight are not read', async () => {
  for (const C of [3, 19]) {
    const c = makeCase({ C, spatial: [600], options: { activation: 'softmax', crossEntropy: {} } });
    const weight = full(c.predictions.shape, 1, 'uint8');
    const labels = { ...c.target, data: c.target.data.slice() as Uint8Array };
    const some = full(c.predictions.shape, 1, 'uint8');
    for (let s = 0; s < 600; s += 7) {
      labels.data[s] = 255;
      for (let k = 0; k < C; k++) weight.data[k * 600 + s] = 0;
      some.data[s] = 0;
    }
    const [x, y] = [onDevice(gpu, c.predictions), onDevice(gpu, labels)];
    const there = (w: typeof weight) => ({ weight: onDevice(gpu, w) });
    const { value, grad } = c.loss.valueAndGrad(x, y, there(weight));
    const here = c.loss.valueAndGrad(c.predictions, c.target, { weight });
    expect(await value.item()).toBeCloseTo(here.value.itemSync(), 6);
    const slopes = (await grad.read()) as Float32Array;
    expectClose('grad', slopes, here.grad.data as Float32Array, 1e-6);
    await expect(c.loss.value(x, y, there(some)).value.item()).rejects.toThrow(
      'received 86 other values',
    );
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
