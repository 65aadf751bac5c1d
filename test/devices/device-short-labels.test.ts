/** @jest-environment ./test/support/emulated-environment.cjs */
// Labels of 16 bits on a GPU, where a call widens them to int32 in its workspace.
import { expect, test } from '@jest/globals';
import { DiceLoss, SegmentationMetrics, Tensor } from '../../lib/index.js';
import { gpu } from '../support/device.js';
import { tensor } from '../support/tensors.js';

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
