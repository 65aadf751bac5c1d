// updateAsync: the counts of update, off the event loop, overlapping, on memory that JavaScript may take away meanwhile.
import { describe, expect, test } from '@jest/globals';
import {
  type MetricsOptions,
  SegmentationMetrics,
  type Tensor,
  WarpDiceError,
} from '../../lib/index.js';
import { Random } from '../support/random.js';
import { copyOf, detach, full, onShared, type Typed, tensor } from '../support/tensors.js';

const [N, C, S] = [2, 3, 200_003];

/** Random logits, labels and weights; large enough that calls are under way together. */
function make(seed: number): { x: Typed; y: Typed; weight: Typed } {
  const random = new Random(seed);
  const values = Float64Array.from({ length: N * C * S }, () => random.integer(9) - 4);
  const labels = Float64Array.from({ length: N * S }, () => random.integer(C));
  const weights = Float64Array.from({ length: N * S }, () => random.integer(2));
  return {
    x: tensor(values, [N, C, S]),
    y: tensor(labels, [N, S], 'uint8'),
    weight: tensor(weights, [N, S], 'uint8'),
  };
}

const options: MetricsOptions = { classes: C, aggregate: 'samples' };
const batches = [1, 2, 3].map(make);
const [batch] = batches as [(typeof batches)[0]];
const counted = ({ x, y, weight }: typeof batch) =>
  new SegmentationMetrics(options).update(x, y, { weight }).toJSON();
const expected = counted(batch);

test('resolves to the metrics themselves, off the event loop', async () => {
  const metrics = new SegmentationMetrics(options);
  let resolved = false;
  const pending = metrics.updateAsync(batch.x, batch.y, { weight: batch.weight }).finally(() => {
    resolved = true;
  });
  // All that is ready runs before the event loop turns; what is done elsewhere comes in after.
  for (let i = 0; i < 100; i++) await undefined;
  expect(resolved).toBe(false);
  expect(await pending).toBe(metrics);
  expect(metrics.toJSON()).toEqual(expected);
});

test('many under way together, with synchronous ones between', async () => {
  const metrics = new SegmentationMetrics({ classes: C });
  const alone = new SegmentationMetrics({ classes: C });
  const pending: Promise<unknown>[] = [];
  for (const { x, y, weight } of [...batches, ...batches]) {
    pending.push(metrics.updateAsync(x, y, { weight }));
    metrics.update(x, y);
    alone.update(x, y, { weight }).update(x, y);
  }
  await Promise.all(pending);
  expect(metrics.toJSON()).toEqual(alone.toJSON());
});

describe('during a call', () => {
  test('inputs may be transferred and overwritten', async () => {
    for (const take of [(t: Typed) => detach(t.data), (t: Typed) => t.data.fill(NaN as never)]) {
      const [x, y, weight] = [copyOf(batch.x), copyOf(batch.y), copyOf(batch.weight)];
      const pending = new SegmentationMetrics(options).updateAsync(x, y, { weight });
      for (const t of [x, y, weight]) take(t);
      expect((await pending).toJSON()).toEqual(expected);
    }
  });

  test('shared memory is used where it is, and may be disposed', async () => {
    const inputs = [batch.x, batch.y, batch.weight].map(onShared) as [Tensor, Tensor, Tensor];
    const [x, y, weight] = inputs;
    const pending = new SegmentationMetrics(options).updateAsync(x, y, { weight });
    for (const input of inputs) input.dispose();
    expect((await pending).toJSON()).toEqual(expected);
  });
});

test('labels out of range reject, count nothing, and the next call works', async () => {
  const y = copyOf(batch.y);
  y.data[N * S - 1] = 9;
  for (const bad of [y, onShared(y)]) {
    const metrics = new SegmentationMetrics(options);
    const pending = metrics.updateAsync(batch.x, bad);
    await expect(pending).rejects.toThrow(WarpDiceError);
    await expect(pending).rejects.toThrow(`for target but received 1 other value, the first 9 at`);
    expect(metrics.samples).toBe(0);
    await metrics.updateAsync(batch.x, batch.y, { weight: batch.weight });
    expect(metrics.toJSON()).toEqual(expected);
  }
});

test('wrong arguments throw at the call, they do not reject', () => {
  const metrics = new SegmentationMetrics(options);
  expect(() => metrics.updateAsync(batch.x, full([2, 5], 0, 'uint8'))).toThrow(RangeError);
  expect(() => metrics.updateAsync(batch.x, batch.y, { weights: 1 } as never)).toThrow(TypeError);
});
