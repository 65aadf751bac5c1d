/**
 * Memory and events shared with other native code and other processes, on the emulated device.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Device, type IpcHandle, Stream, StreamEvent, Tensor } from '../lib/index.js';
import { cudaError, emulated, fake, gpu, held, otherGpu, planted } from './util-device.js';
import { code } from './util-errors.js';

describe('memory of somebody else', () => {
  test('is used where it is, and not freed', async () => {
    const owner = Tensor.from(Float32Array.of(1, 2, 3, 4), [4]).to(gpu);
    await owner.read();
    const before = gpu.memory().aliveBytes;
    const x = Tensor.fromDevicePointer(owner.devicePointer + 4n, 12, [3], 'float32', {
      device: gpu,
    });
    expect(x.devicePointer).toBe(owner.devicePointer + 4n);
    expect(gpu.memory().aliveBytes).toBe(before);
    expect(await x.read()).toEqual(Float32Array.of(2, 3, 4));
    x.dispose();
    expect(await owner.read()).toEqual(Float32Array.of(1, 2, 3, 4));
    owner.dispose();
  });

  planted('is checked: address, size, device', async () => {
    using owner = Tensor.empty([4], 'float32', { device: gpu });
    const p = owner.devicePointer;
    const wrap = (...args: unknown[]) =>
      (Tensor.fromDevicePointer as never as (...a: unknown[]) => Tensor)(...args);
    const on = { device: gpu };
    expect(() => wrap(p, 16, [4], 'float32', { device: otherGpu })).toThrow(code('ERR_CUDA'));
    expect(() => wrap(p, 32, [8], 'float32', on)).toThrow(/cuda:0 at the pointer and 32 bytes/);
    expect(() => wrap(12345n * 8n, 16, [4], 'float32', on)).toThrow(code('ERR_CUDA'));
    expect(() => wrap(p, 12, [4], 'float32', on)).toThrow(RangeError);
    expect(() => wrap(p + 1n, 16, [3], 'float32', on)).toThrow(RangeError);
    expect(() => wrap(0n, 16, [4], 'float32', on)).toThrow(RangeError);
    expect(() => wrap(Number(p), 16, [4], 'float32', on)).toThrow(TypeError);
    expect(() => wrap(p, 16, [4], 'float32', { device: Device.cpu })).toThrow(TypeError);
    expect(() => wrap(p, 16, [4], 'float32')).toThrow(TypeError);
    expect(() => wrap(p, 16, [4], 'float33', on)).toThrow(RangeError);
  });
});

describe('sharing with another process', () => {
  test('an exportable tensor has a handle, and its views have the offset', () => {
    using x = Tensor.empty([8], 'float32', { device: gpu, exportable: true });
    using part = x.view([4], 3);
    expect(x.ipcHandle().handle).toHaveLength(64);
    expect(x.ipcHandle().offsetBytes).toBe(0);
    expect(part.ipcHandle()).toEqual({ handle: x.ipcHandle().handle, offsetBytes: 12 });
  });

  planted('pooled memory has none, and a process cannot open its own', () => {
    using pooled = Tensor.empty([8], 'float32', { device: gpu });
    expect(() => pooled.ipcHandle()).toThrow(/cudaIpcGetMemHandle failed/);
    expect(() => pooled.ipcHandle()).toThrow(code('ERR_CUDA'));
    using x = Tensor.empty([8], 'float32', { device: gpu, exportable: true });
    expect(() => Tensor.fromIpcHandle(x.ipcHandle(), [8], 'float32', { device: gpu })).toThrow(
      /cudaIpcOpenMemHandle failed with cudaErrorDeviceUninitialized/,
    );
    expect(() =>
      Tensor.fromIpcHandle({ handle: new Uint8Array(3), offsetBytes: 0 }, [8], 'float32', {
        device: gpu,
      }),
    ).toThrow(TypeError);
    expect(() => Tensor.empty([8], 'float32', { exportable: true })).toThrow(TypeError);
  });
});

(emulated ? describe : describe.skip)('the other process', () => {
  const open = (ipc: IpcHandle, shape: number[]) =>
    Tensor.fromIpcHandle(ipc, shape, 'float32', { device: gpu });
  const closed = () => fake.calls('cudaIpcCloseMemHandle');

  beforeAll(() => fake.actAsAnotherProcess(true));
  afterAll(() => fake.actAsAnotherProcess(false));

  test('reads and writes what was exported, from the offset on, and does not count it as its own', async () => {
    const mine = Tensor.empty([8], 'float32', { device: gpu, exportable: true });
    await mine.write(Float32Array.from({ length: 8 }, (_, i) => i));
    const alive = gpu.memory().aliveBytes;
    const theirs = open({ ...mine.ipcHandle(), offsetBytes: 12 }, [3]);
    expect(await theirs.read()).toEqual(Float32Array.of(3, 4, 5));
    await theirs.write(Float32Array.of(30, 40, 50));
    expect(gpu.memory().aliveBytes).toBe(alive);
    theirs.dispose();
    expect(await mine.read()).toEqual(Float32Array.of(0, 1, 2, 30, 40, 50, 6, 7));
    mine.dispose();
  });

  planted('opens it twice, and closes each once', async () => {
    const mine = Tensor.from(Float32Array.of(1, 2), [2]).to(gpu);
    using shared = Tensor.empty([2], 'float32', { device: gpu, exportable: true });
    await shared.write((await mine.read()) as Float32Array);
    const before = closed();
    const [first, second] = [open(shared.ipcHandle(), [2]), open(shared.ipcHandle(), [2])];
    const view = first.view([1], 1);
    first.dispose();
    first.dispose();
    expect(closed()).toBe(before); // its view is in use
    view.dispose();
    expect(closed()).toBe(before + 1);
    expect(await second.read()).toEqual(Float32Array.of(1, 2));
    second.dispose();
    expect(closed()).toBe(before + 2);
    mine.dispose();
  });

  planted('cannot go beyond what was exported, nor between its elements', () => {
    using mine = Tensor.empty([8], 'float32', { device: gpu, exportable: true });
    const { handle } = mine.ipcHandle();
    const before = closed();
    expect(() => open({ handle, offsetBytes: 4 }, [8])).toThrow(
      'Expected memory of cuda:0 at the pointer and 36 bytes from it',
    );
    expect(() => open({ handle, offsetBytes: 4 }, [8])).toThrow(code('ERR_CUDA'));
    expect(closed()).toBe(before + 2);
    expect(() => open({ handle, offsetBytes: 2 }, [3])).toThrow(
      'Expected a multiple of 4 for ipc.offsetBytes but received 2',
    );
    expect(() =>
      Tensor.fromIpcHandle({ handle, offsetBytes: 0 }, [8], 'float32', { device: otherGpu }),
    ).toThrow('Expected memory of cuda:1 at the pointer and 32 bytes from it');
    open({ handle, offsetBytes: 4 }, [7]).dispose();
  });

  planted('a handle that the driver refuses is an error, and the next one opens', () => {
    using mine = Tensor.empty([8], 'float32', { device: gpu, exportable: true });
    fake.failNext('cudaIpcOpenMemHandle', cudaError.memoryAllocation);
    expect(() => open(mine.ipcHandle(), [8])).toThrow(/^cudaIpcOpenMemHandle failed/);
    expect(() => open({ handle: new Uint8Array(64), offsetBytes: 0 }, [8])).toThrow(
      code('ERR_CUDA'),
    );
    open(mine.ipcHandle(), [8]).dispose();
  });

  test('waits for the exporter by an event', async () => {
    using done = new StreamEvent(gpu, { interprocess: true });
    using opened = StreamEvent.fromIpcHandle(gpu, done.ipcHandle());
    using side = new Stream(gpu);
    await held(async () => {
      done.record(gpu.stream);
      side.wait(opened);
      using after = new StreamEvent(gpu);
      after.record(side);
      expect([opened.reached, after.reached]).toEqual([false, false]);
    });
    await side.done();
    expect(opened.reached).toBe(true);
  });
});
