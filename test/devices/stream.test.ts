/**
 * Streams and events on the emulated device.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { expect, test } from '@jest/globals';
import { Device, DiceLoss, Stream, StreamEvent, Tensor } from '../../lib/index.js';
import { emulatedOnly, fake, gpu, held, onDevice, pause } from '../support/device.js';
import { code } from '../support/errors.js';
import { full } from '../support/tensors.js';

test('run makes a stream current, also when what it runs throws', () => {
  const own = gpu.stream;
  expect(gpu.stream).toBe(own);
  using side = new Stream(gpu);
  expect(side.run(() => gpu.stream)).toBe(side);
  expect(() =>
    side.run(() => {
      throw new Error('thrown');
    }),
  ).toThrow('thrown');
  using inner = new Stream(gpu);
  side.run(() => {
    expect(inner.run(() => gpu.stream)).toBe(inner);
    expect(gpu.stream).toBe(side);
  });
  expect(gpu.stream).toBe(own);
});

test('streams run side by side', async () => {
  using side = new Stream(gpu);
  await held(async () => {
    const x = side.run(() => Tensor.from(Float32Array.of(1, 2), [2]).to(gpu));
    expect(await x.read()).toEqual(Float32Array.of(1, 2)); // the device's own stream is held
    await side.done();
    x.dispose();
  });
});

emulatedOnly('an event orders two streams', async () => {
  using side = new Stream(gpu);
  const x = onDevice(gpu, full([3], 1));
  side.run(() => x.view([3]).write(Float32Array.of(2, 2, 2))); // side has used x
  await x.read();
  let event: StreamEvent | undefined;
  await held(async () => {
    const written = x.write(Float32Array.of(3, 3, 3));
    event = gpu.stream.record();
    expect(event.reached).toBe(false);
    side.wait(event);
    const copy = side.run(() => x.to(gpu));
    const reading = side.run(() => copy.write(Float32Array.of(4, 4, 4)));
    await pause();
    expect(event.reached).toBe(false);
    return { written, reading };
  });
  await side.done();
  await gpu.synchronize();
  expect(event?.reached).toBe(true);
  expect(await x.read()).toEqual(Float32Array.of(4, 4, 4));
  event?.dispose();
  event?.dispose();
  expect(() => event?.reached).toThrow(code('ERR_DISPOSED'));
});

emulatedOnly(
  'the first use of a tensor on another stream waits for the one that made it',
  async () => {
    using side = new Stream(gpu);
    const { reading } = await held(async () => {
      const x = Tensor.from(Float32Array.of(0.5), [1]).to(gpu);
      const y = side.run(() => new DiceLoss().value(x, full2()));
      let read = false;
      const reading = y.value.item().then((value) => {
        read = true;
        return value;
      });
      await pause();
      expect(read).toBe(false);
      return { reading };
    });
    expect(await reading).toBe(1 - (2 * 0.5) / (0.25 + 1 + 1e-7));
    function full2() {
      return Tensor.from(Uint8Array.of(1), [1]).to(gpu);
    }
  },
);

emulatedOnly('a raw handle goes out and in', async () => {
  using side = new Stream(gpu);
  expect(typeof side.handle).toBe('bigint');
  using same = Stream.fromHandle(gpu, side.handle);
  expect(same.handle).toBe(side.handle);
  const x = same.run(() => Tensor.from(Float32Array.of(7), [1]).to(gpu));
  expect(await x.item()).toBe(7);
  x.dispose();
  const destroyed = fake.calls('cudaStreamDestroy');
  same.dispose();
  expect(fake.calls('cudaStreamDestroy')).toBe(destroyed); // not ours
  expect(() => Stream.fromHandle(gpu, 5 as never)).toThrow(TypeError);
});

test('dispose; the device’s own stream is made anew', async () => {
  const side = new Stream(gpu);
  side.dispose();
  side.dispose();
  expect(side.disposed).toBe(true);
  expect(() => side.handle).toThrow(code('ERR_DISPOSED'));
  expect(() => side.synchronizeSync()).toThrow(code('ERR_DISPOSED'));
  await expect(side.done()).rejects.toThrow(code('ERR_DISPOSED'));
  expect(() => side.run(() => Tensor.empty([1], 'float32', { device: gpu }))).toThrow(
    code('ERR_DISPOSED'),
  );
  gpu.stream.dispose();
  Tensor.empty([1], 'float32', { device: gpu }).dispose();
  gpu.stream.synchronizeSync();
});

test('wrong arguments', () => {
  const make = (...args: unknown[]) =>
    new (Stream as never as new (...a: unknown[]) => Stream)(...args);
  expect(() => make(Device.cpu)).toThrow('Expected a CUDA device for device but received');
  expect(() => make()).toThrow(TypeError);
  expect(() => gpu.stream.wait({} as never)).toThrow(TypeError);
  expect(() => new StreamEvent(Device.cpu)).toThrow(TypeError);
  using event = new StreamEvent(gpu);
  expect(event.reached).toBe(true); // never recorded
  expect(() => event.record({} as never)).toThrow(TypeError);
});

emulatedOnly('events between processes have handles; a process cannot open its own', () => {
  using event = new StreamEvent(gpu, { interprocess: true });
  event.record(gpu.stream);
  event.synchronizeSync();
  expect(event.ipcHandle()).toHaveLength(64);
  expect(() => StreamEvent.fromIpcHandle(gpu, event.ipcHandle())).toThrow(
    /cudaIpcOpenEventHandle failed with cudaErrorDeviceUninitialized/,
  );
  expect(() => StreamEvent.fromIpcHandle(gpu, 'abc' as never)).toThrow(TypeError);
});
