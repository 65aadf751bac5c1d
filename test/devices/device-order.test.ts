/**
 * Whoever uses a tensor of another stream waits for what made it, and keeps it until its work is done.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import {
  DeepSupervision,
  DiceLoss,
  SegmentationMetrics,
  Stream,
  StreamEvent,
  type Tensor,
} from '../../lib/index.js';
import { emulated, fake, gpu, onDevice } from '../support/device.js';
import { full } from '../support/tensors.js';

const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
const loss = new DiceLoss({ activation: 'softmax' });

interface Inputs {
  x: Tensor;
  y: Tensor;
  weight: Tensor;
}

const makers: { [Name in keyof Inputs]: () => Tensor } = {
  x: () => onDevice(gpu, full([1, 3, 8], 0.25)),
  y: () => onDevice(gpu, full([1, 8], 1, 'uint8')),
  weight: () => onDevice(gpu, full([1, 8], 1)),
};

const uses: [string, (inputs: Inputs) => unknown][] = [
  ['a loss', ({ x, y, weight }) => loss.valueAndGrad(x, y, { weight })],
  ['a plan', ({ x, y, weight }) => loss.plan(x, y, { weight }).execute()],
  [
    'a plan that was bound',
    ({ x, y, weight }) => loss.plan(makers.x(), makers.y(), { weight }).bind(x, y).execute(),
  ],
  [
    'metrics',
    ({ x, y, weight }) => {
      const metrics = new SegmentationMetrics({ classes: 3, decision: 'argmax' });
      metrics.updateAsync(x, y, { weight }).catch(() => {});
    },
  ],
  [
    'deep supervision',
    ({ x, y, weight }) => {
      // y and weight are read by resampling alone
      const supervision = new DeepSupervision(loss, [1], { fullSize: false });
      supervision.value([x.view([1, 3, 4])], y, { weight });
    },
  ],
];

(emulated ? describe : describe.skip).each(uses)('%s', (_, use) => {
  test.each(['x', 'y', 'weight'] as const)('waits for the stream that writes %s', async (late) => {
    using side = new Stream(gpu);
    using after = new StreamEvent(gpu);
    await gpu.synchronize();
    fake.hold(side.handle, true);
    try {
      const made = (name: keyof Inputs) =>
        name === late ? side.run(makers[name]) : makers[name]();
      use({ x: made('x'), y: made('y'), weight: made('weight') });
      after.record(gpu.stream);
      await pause();
      expect(after.reached).toBe(false);
    } finally {
      fake.hold(side.handle, false);
    }
    await gpu.synchronize();
    expect(after.reached).toBe(true);
  });
});

(emulated ? test : test.skip)(
  'a plan that is disposed while another stream runs it keeps its workspace until then',
  async () => {
    using side = new Stream(gpu);
    const [x, y] = [makers.x(), makers.y()];
    const plan = loss.plan(x, y);
    const grad = plan.grad.to(gpu);
    await gpu.synchronize();
    fake.hold(side.handle, true);
    try {
      side.run(() => plan.execute());
      plan.dispose();
      await pause();
    } finally {
      fake.hold(side.handle, false);
    }
    await side.done(); // work on freed memory would be a fault
    expect(await grad.read()).toEqual(await loss.valueAndGrad(x, y).grad.read());
  },
);
