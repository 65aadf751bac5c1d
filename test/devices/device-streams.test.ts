/**
 * Every array of a call may come from another stream, and a loss may be used on several devices.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { describe, expect, test } from '@jest/globals';
import { cuda } from '../../lib/devices/cuda.js';
import {
  DeepSupervision,
  DiceLoss,
  GeneralizedWassersteinDiceLoss,
  SegmentationMetrics,
  Stream,
  Tensor,
} from '../../lib/index.js';
import {
  emulated,
  emulatedOnly,
  expectToWait,
  fake,
  gpu,
  onDevice,
  otherGpu,
  pause,
} from '../support/device.js';
import { full, tensor } from '../support/tensors.js';

const loss = new DiceLoss({ activation: 'softmax' });
const perClass = new DiceLoss({ activation: 'softmax', reduction: 'none' });

const x = onDevice(gpu, full([1, 3, 8], 0.25));
const y = onDevice(gpu, full([1, 8], 1, 'uint8'));
const scalar = () => Tensor.empty([], 'float64', { device: gpu });

/** sum += value, on a stream. */
const add = (sum: Tensor, value: Tensor, first: boolean, stream = gpu.stream) =>
  cuda().addWeighted(sum.storage.buffer, value.storage.buffer, 1, first, stream.native);

/** Makes an array on the current stream, which is held, and uses it on the device's own. */
const cases: [string, (side: Stream) => () => void][] = [
  [
    'a gradScale',
    (side) => {
      const gradScale = side.run(() => onDevice(gpu, full([], 2)));
      return () => loss.valueAndGrad(x, y, { gradScale });
    },
  ],
  [
    'an upstream',
    (side) => {
      const upstream = side.run(() => onDevice(gpu, full([1, 3], 2, 'float64')));
      return () => perClass.valueAndGrad(x, y, { upstream });
    },
  ],
  [
    'an out.value',
    (side) => {
      const value = side.run(scalar);
      return () => loss.value(x, y, { out: { value } });
    },
  ],
  [
    'an out.grad',
    (side) => {
      const grad = side.run(() => onDevice(gpu, full([1, 3, 8], 1)));
      return () => loss.valueAndGrad(x, y, { out: { grad }, accumulate: true });
    },
  ],
  [
    'an out.grad of a plan',
    (side) => {
      const grad = side.run(() => onDevice(gpu, full([1, 3, 8], 1)));
      return () => loss.plan(x, y, { out: { grad } }).execute();
    },
  ],
  [
    'statistics, for a value',
    (side) => {
      const statistics = side.run(() => loss.statistics(x, y));
      return () => loss.fromStatistics(statistics);
    },
  ],
  [
    'statistics, for a gradient',
    (side) => {
      const statistics = side.run(() => loss.statistics(x, y));
      return () => loss.gradient(x, y, statistics);
    },
  ],
  [
    'a term of a sum',
    (side) => {
      const value = side.run(() => onDevice(gpu, full([], 2, 'float64')));
      const sum = scalar();
      return () => add(sum, value, true);
    },
  ],
  [
    'the faults of a term',
    (side) => {
      const [value, sum] = [scalar(), scalar()];
      add(sum, value, true); // this stream knows the value
      side.run(() => loss.value(x, y, { out: { value } })); // and not the faults, which are new
      return () => add(sum, value, false);
    },
  ],
];

describe('work waits for another stream, which makes', () => {
  emulatedOnly.each(cases)('%s', async (_, prepare) => {
    using side = new Stream(gpu);
    await gpu.synchronize();
    side.run(() => loss.valueAndGrad(x, y)); // what the call reads beside it is no news
    await side.done();
    await expectToWait(side, async () => {
      const use = prepare(side);
      await gpu.synchronize();
      use();
    });
  });
});

emulatedOnly('a sum that another stream adds to is waited for', async () => {
  using side = new Stream(gpu);
  using third = new Stream(gpu);
  const [value, sum] = [onDevice(gpu, full([], 2, 'float64')), scalar()];
  add(sum, value, true);
  await gpu.synchronize();
  fake.hold(side.handle, true);
  add(sum, value, false, side);
  add(sum, value, false, third);
  const reading = third.run(() => sum.item());
  await pause();
  fake.hold(side.handle, false);
  expect(await reading).toBe(6);
});

emulatedOnly('a read waits for the faults of the call that wrote the values', async () => {
  using side = new Stream(gpu);
  const value = scalar();
  const wrong = onDevice(gpu, full([1, 8], 7, 'uint8'));
  const run = () => side.run(() => loss.value(x, wrong, { out: { value } }));
  const use = () => loss.valueAndGrad(x, y, { gradScale: value });
  run();
  use(); // both streams know the value
  await gpu.synchronize();
  fake.hold(side.handle, true);
  let settled = false;
  run(); // with new faults, which only this stream knows
  use();
  const reading = value.item().finally(() => {
    settled = true;
  });
  reading.catch(() => {});
  await pause();
  expect(settled).toBe(false);
  fake.hold(side.handle, false);
  await expect(reading).rejects.toThrow('the first 7 at index 0');
});

emulatedOnly('streams A, B, A: a read finds what the last one wrote', async () => {
  using side = new Stream(gpu);
  const z = onDevice(gpu, full([1], 1));
  side.run(() => z.write(Float32Array.of(2)));
  await side.done();
  await z.write(Float32Array.of(3));
  fake.hold(side.handle, true);
  try {
    expect(await z.read()).toEqual(Float32Array.of(3));
  } finally {
    fake.hold(side.handle, false);
  }
});

describe('the constants of a loss are on every device that uses it', () => {
  const options = { activation: 'softmax' } as const;
  const distances = [
    [0, 1, 2],
    [1, 0, 3],
    [2, 3, 0],
  ];
  emulatedOnly.each([
    ['class weights', new DiceLoss({ ...options, classWeights: [1, 2, 3] })],
    ['distances', new GeneralizedWassersteinDiceLoss({ ...options, distances })],
  ])('%s', async (_, constant) => {
    const predictions = tensor([0.5, -1, 2, 0.25, 1, 1.5], [1, 3, 2], 'float32');
    const target = tensor([0, 2], [1, 2], 'uint8');
    const want = constant.value(predictions, target).value.itemSync();
    for (const device of [gpu, otherGpu, gpu, otherGpu]) {
      const there = constant.valueAndGrad(onDevice(device, predictions), onDevice(device, target));
      expect(await there.value.item()).toBeCloseTo(want, 6);
    }
  });
});

// Whoever uses a tensor of another stream waits for what made it, and keeps it until its work is done.
describe('order', () => {
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
    test.each(['x', 'y', 'weight'] as const)(
      'waits for the stream that writes %s',
      async (late) => {
        using side = new Stream(gpu);
        await gpu.synchronize();
        await expectToWait(side, () => {
          const made = (name: keyof Inputs) =>
            name === late ? side.run(makers[name]) : makers[name]();
          use({ x: made('x'), y: made('y'), weight: made('weight') });
        });
      },
    );
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
});
