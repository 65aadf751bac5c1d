/**
 * What V8 is told of memory on a device, on the emulated device.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from '@jest/globals';
import type { NativeCall } from '../../binding.js';
import { callLoss } from '../../lib/calls/native-call.js';
import { callResample } from '../../lib/calls/resample.js';
import { cuda } from '../../lib/devices/cuda.js';
import { DeepSupervision, Device, DiceCELoss, DiceLoss, Tensor } from '../../lib/index.js';
import { DTypeCode } from '../../lib/native/codes.js';
import { emulatedOnly, fake, gpu } from '../support/device.js';
import { nativeCall, plainOptions, valueAndGradSteps } from '../support/native.js';
import { numbers } from '../support/tensors.js';

const MB = 2 ** 20;
const make = (bytes: number) => Tensor.empty([bytes], 'uint8', { device: gpu });

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What becomes garbage at once. */
function forget(count: number, use: (tensor: Tensor) => void): void {
  for (let i = 0; i < count; i++) use(make(MB));
}

/** Collects until nothing more is found. Finalizers run on the event loop. */
async function collected(): Promise<void> {
  let before = Number.POSITIVE_INFINITY;
  for (let quiet = 0; quiet < 3; quiet++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const now = gpu.memory().aliveBytes + fake.externalBytes();
    if (now < before) quiet = 0;
    before = now;
  }
}

/** Since `before`, in MB; Node's own numbers move it a little. */
const grown = (before: number) => Math.round(((fake.externalBytes() - before) * 8) / MB) / 8 + 0; // no -0

test('read() writes shared memory while the event loop is busy', async () => {
  const { buffer } = Tensor.from(new Uint8Array(MB).fill(7), [MB]).to(gpu).storage;
  const array = new Uint8Array(new SharedArrayBuffer(MB));
  const reading = buffer.read(array);
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 10_000 && array[MB - 1] !== 7; i++) Atomics.wait(clock, 0, 0, 1); // blocks this thread
  expect(array.every((x) => x === 7)).toBe(true);
  expect(await reading).toBe(array);
});

test.each([
  [2 ** 14 - 1, ArrayBuffer],
  [2 ** 14, SharedArrayBuffer],
])('Tensor.read() of %d floats is on %p', async (size, kind) => {
  const data = Float32Array.from({ length: size }, (_, i) => i);
  const read = await Tensor.from(data, [size]).to(gpu).read();
  expect(read).toEqual(data);
  expect(Object.prototype.toString.call(read.buffer)).toBe(`[object ${kind.name}]`);
});

emulatedOnly('a handle counts with its bytes, but at most 1 MB, until it is disposed', () => {
  const before = fake.externalBytes();
  const whole = make(2 * MB);
  const tensors = [make(1000), make(MB / 2), make(5 * MB), whole, whole.view([3], 7)];
  expect(grown(before)).toBe(2.5);
  for (let i = 0; i < 2; i++) {
    tensors[2]?.dispose();
    expect(grown(before)).toBe(1.5);
  }
  for (const tensor of tensors) tensor.dispose();
  expect(grown(before)).toBe(0);
});

emulatedOnly(
  'the garbage collector frees what nobody disposed, and returns what was counted',
  async () => {
    await collected(); // what other tests have left
    const [alive, before] = [gpu.memory().aliveBytes, fake.externalBytes()];
    forget(20, () => {});
    await collected();
    const left = (gpu.memory().aliveBytes - alive) / MB;
    expect(left).toBeLessThanOrEqual(1); // the last one may still be seen on the stack
    expect(grown(before)).toBe(left);
  },
);

emulatedOnly('what was disposed is not returned again by the garbage collector', async () => {
  await collected();
  const before = fake.externalBytes();
  forget(20, (tensor) => tensor.dispose());
  await collected();
  expect(grown(before)).toBe(0);
});

// Memory on a GPU that does not begin at a multiple of its element size: kernels could not read it.
describe('alignment', () => {
  const stream = gpu.stream.native;
  const allocate = () => cuda().allocate(stream, 64, false);

  test('a call', () => {
    const loss = new (cuda().DeviceLoss)({ ...plainOptions, activation: 1 });
    const good = nativeCall({
      steps: valueAndGradSteps,
      samples: 1,
      classes: 1,
      voxels: 4,
      predictions: allocate(),
      target: allocate(),
      targetType: DTypeCode.int32,
      targetIsLabels: true,
      value: allocate(),
      grad: allocate(),
      stream,
    });
    const check = (changes: Partial<NativeCall>) => () =>
      callLoss(loss, 'check', { ...good, ...changes });
    expect(check({})).not.toThrow();
    for (const name of ['predictions', 'target', 'value', 'grad'] as const) {
      const changed = { [name]: allocate().view(2, 32) };
      expect(check(changed)).toThrow(/^Expected memory for .* multiple of its element size$/);
      expect(check(changed)).toThrow(name);
    }
  });

  test('a resampling', () => {
    const resampling = {
      from: allocate(),
      elementBytes: 4,
      outer: 1,
      fromSizes: [4],
      toSizes: [2],
      inner: 1,
      to: allocate(),
      stream,
    };
    expect(() => callResample(cuda(), resampling)).not.toThrow();
    expect(() => callResample(cuda(), { ...resampling, to: allocate().view(2, 32) })).toThrow(
      /^Expected memory for to /,
    );
  });

  test('a weighted sum', () => {
    const [sum, value] = [allocate().view(0, 8), allocate().view(4, 8)];
    expect(() => cuda().addWeighted(sum, value, 1, true, stream)).toThrow(/multiple of 8 bytes$/);
  });
});

// Tensors that are given twice where one of them is written: refused, with nothing written, on the host and on the
// emulated device.
describe('a tensor that is given twice', () => {
  const sizes = [33, 16];
  const supervision = new DeepSupervision(
    new DiceCELoss({ activation: 'softmax', reduction: 'none' }),
    [0.75, 0.25],
  );

  describe.each([
    ['host', () => Device.cpu],
    ['device', () => gpu],
  ])('deep supervision, %s', (_, device) => {
    /** All tensors of a call. */
    function setUp() {
      const make = (shape: number[], at: (i: number) => number) => {
        const data = Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) =>
          at(i),
        );
        return Tensor.from(data, shape).to(device());
      };
      const logits = (S: number) => make([2, 3, S], Math.sin);
      const scale = (S: number) => ({
        value: make([2], () => 7),
        perClass: make([2, 3], () => 7),
        parts: make([2, 3], () => 7),
        grad: make([2, 3, S], () => 7),
      });
      const mask = Float64Array.from({ length: 2 * 3 * 33 }, (_, i) => (i % 3 === 0 ? 1 : 0));
      return {
        predictions: sizes.map(logits),
        target: Tensor.from(mask, [2, 3, 33]).to(device()),
        weight: make([2, 33], () => 1),
        upstream: make([2], () => 1),
        value: make([2], () => 7),
        scales: sizes.map(scale),
      };
    }
    type Given = ReturnType<typeof setUp>;
    type Scale = Given['scales'][0];

    const call = ({ predictions, target, weight, upstream, value, scales }: Given) =>
      supervision.valueAndGrad(predictions, target, { weight, upstream, out: { value, scales } });

    function refused(change: (given: Given, first: Scale, second: Scale) => void, message: string) {
      const given = setUp();
      const tensors = [given.value, ...given.scales.flatMap((scale) => Object.values(scale))];
      const [first, second] = given.scales as [Scale, Scale];
      change(given, first, second);
      const attempt = () => call(given);
      expect(attempt).toThrow(RangeError);
      expect(attempt).toThrow(`Expected memory of its own for ${message}`);
      for (const tensor of tensors)
        expect(numbers({ data: tensor.readSync() }).every((x) => x === 7)).toBe(true);
      expect(Number(call(setUp()).value.readSync()[0])).toBeGreaterThan(0);
    }

    const x = (given: Given, i: number) => given.predictions[i] as Tensor;
    test.each<[string, Parameters<typeof refused>[0]]>([
      [
        'out.scales[0].value but received an array that overlaps out.value',
        (given, first) => Object.assign(first, { value: given.value }),
      ],
      [
        'out.scales[1].value but received an array that overlaps out.scales[0].value',
        (_, first, second) => Object.assign(second, { value: first.value }),
      ],
      [
        'out.scales[1].perClass but received an array that overlaps out.scales[0].parts',
        (_, first, second) => Object.assign(second, { perClass: first.parts }),
      ],
      [
        'out.scales[1].grad but received an array that overlaps out.scales[0].grad',
        (_, first, second) => Object.assign(second, { grad: first.grad.view([2, 3, 16], 100) }),
      ],
      [
        'out.scales[1].grad but received an array that overlaps predictions[0]',
        (given, _, second) => Object.assign(second, { grad: x(given, 0).view([2, 3, 16]) }),
      ],
      [
        'out.scales[0].grad but received an array that overlaps predictions[0]',
        (given, first) => {
          const both = Tensor.from(new Float64Array(199).fill(7), [199]).to(device());
          given.predictions[0] = both.view([2, 3, 33]);
          Object.assign(first, { grad: both.view([2, 3, 33], 1) });
        },
      ],
      [
        'out.scales[0].grad but received an array that overlaps target',
        (given, first) => Object.assign(first, { grad: given.target }),
      ],
      [
        'out.scales[1].parts but received an array that overlaps weight',
        (given, _, second) => Object.assign(second, { parts: given.weight.view([2, 3], 59) }),
      ],
      [
        'out.value but received an array that overlaps upstream',
        (given) => Object.assign(given, { value: given.upstream }),
      ],
    ])('%s', (message, change) => refused(change, message));

    test('neighbours and a gradient in place of its own predictions are fine', () => {
      const expected = call(setUp());
      const given = setUp();
      const both = Tensor.from(new Float64Array(4), [4]).to(device());
      given.value = both.view([2]);
      const [first] = given.scales as [Scale];
      Object.assign(first, { value: both.view([2], 2), grad: x(given, 0) });
      const got = call(given);
      expect(got.value.readSync()).toEqual(expected.value.readSync());
      const gradients = [got, expected].map((one) => one.scales.map(({ grad }) => grad.readSync()));
      expect(gradients[0]).toEqual(gradients[1]);
    });
  });

  describe('gradScale on a device', () => {
    test('must not lie in what is written', () => {
      const x = Tensor.from(Float64Array.of(0.5, 0.25, 1), [3]).to(gpu);
      const y = Tensor.from(Uint8Array.of(1, 0, 1), [3]).to(gpu);
      const loss = new DiceLoss();
      const grad = Tensor.from(Float64Array.of(7, 7, 7), [3]).to(gpu);
      const gradScale = grad.view([], 2);
      const refusal =
        'Expected memory of its own for out.grad but received an array that overlaps gradScale';
      expect(() => loss.valueAndGrad(x, y, { gradScale, out: { grad } })).toThrow(refusal);
      expect(() => loss.plan(x, y, { gradScale, out: { grad } })).toThrow(refusal);
      const value = Tensor.from(Float64Array.of(7), []).to(gpu);
      expect(() => loss.valueAndGrad(x, y, { gradScale: value, out: { value } })).toThrow(
        'Expected memory of its own for out.value but received an array that overlaps gradScale',
      );
      expect([...grad.readSync(), value.itemSync()]).toEqual([7, 7, 7, 7]);
    });
  });
});
