/**
 * Memory and events shared with other native code and other processes, on the emulated device.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Device, DiceLoss, type IpcHandle, StreamEvent, Tensor } from '../../lib/index.js';
import { cudaError, emulated, emulatedOnly, fake, gpu, otherGpu } from '../support/device.js';
import { code } from '../support/errors.js';
import { script } from '../support/process.js';

const addon = process.env.WARPDICE_TEST_ADDON as string;

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

  emulatedOnly('is checked: address, size, device', async () => {
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

  emulatedOnly('pooled memory has none, and a process cannot open its own', () => {
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

/** Another process, which has exported eight floats and an event. */
class Exporter {
  readonly #process = fork(script('device-exporter.mjs'), {
    env: { ...process.env, WARPDICE_TEST_ADDON: addon },
    serialization: 'advanced',
  });

  async #next<Message>(): Promise<Message> {
    return ((await once(this.#process, 'message')) as [Message])[0];
  }
  exported(): Promise<IpcHandle & { event: Uint8Array }> {
    return this.#next();
  }
  async ask<Answer = void>(what: 'read' | 'later' | 'now'): Promise<Answer> {
    this.#process.send(what);
    return (await this.#next<{ answer: Answer }>()).answer;
  }
  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    this.#process.send('end');
    await once(this.#process, 'exit');
  }
}

(emulated ? describe : describe.skip)('with another process', () => {
  let exporter: Exporter;
  let theirs: IpcHandle & { event: Uint8Array };

  beforeEach(async () => {
    exporter = new Exporter();
    theirs = await exporter.exported();
  });
  afterEach(() => exporter.end());

  const open = (ipc: Partial<IpcHandle>, shape: number[], device = gpu) =>
    Tensor.fromIpcHandle(
      { handle: theirs.handle, offsetBytes: theirs.offsetBytes, ...ipc },
      shape,
      'float32',
      { device },
    );
  const closed = () => fake.calls('cudaIpcCloseMemHandle');
  const floats = (...numbers: number[]) => Float32Array.from(numbers);

  test('its memory is read and written, from the offset on, and does not count as our own', async () => {
    const alive = gpu.memory().aliveBytes;
    const part = open({ offsetBytes: 12 }, [3]);
    expect(await part.read()).toEqual(floats(3, 4, 5));
    await part.write(floats(30, 40, 50));
    expect(gpu.memory().aliveBytes).toBe(alive);
    part.dispose();
    expect(await exporter.ask('read')).toEqual(floats(0, 1, 2, 30, 40, 50, 6, 7));
  });

  test('a loss reads its logits and writes the gradient there', async () => {
    using p = open({}, [1, 2, 4]);
    using y = Tensor.from(Uint8Array.of(0, 1, 1, 0), [1, 4]).to(gpu);
    const loss = new DiceLoss({ activation: 'softmax' });
    const { grad } = loss.valueAndGrad(p.to(Device.cpu), y.to(Device.cpu));
    using written = open({}, [1, 2, 4]);
    loss.valueAndGrad(p, y, { out: { grad: written } });
    await gpu.synchronize();
    const there = await exporter.ask<Float32Array>('read');
    there.forEach((g, i) => {
      expect(g).toBeCloseTo(Number(grad.data[i]), 6);
    });
  });

  test('it is opened twice, and each is closed once', async () => {
    const before = closed();
    const [first, second] = [open({}, [2]), open({}, [2])];
    const view = first.view([1], 1);
    first.dispose();
    first.dispose();
    expect(closed()).toBe(before); // its view is in use
    view.dispose();
    expect(closed()).toBe(before + 1);
    expect(await second.read()).toEqual(floats(0, 1));
    second.dispose();
    expect(closed()).toBe(before + 2);
    const again = open({}, [8]);
    expect(await again.read()).toEqual(floats(0, 1, 2, 3, 4, 5, 6, 7));
    again.dispose();
  });

  test('nobody goes beyond what was exported, nor between its elements, nor passes it on', () => {
    const before = closed();
    // The eight floats have a block of 2 MB of their own.
    const beyond = { offsetBytes: 2 ** 21 - 28 };
    expect(() => open(beyond, [8])).toThrow(
      'Expected memory of cuda:0 at the pointer and 2097156 bytes from it',
    );
    expect(() => open(beyond, [8])).toThrow(code('ERR_CUDA'));
    expect(closed()).toBe(before + 2);
    expect(() => open({ offsetBytes: 2 }, [3])).toThrow(
      'Expected a multiple of 4 for ipc.offsetBytes but received 2',
    );
    expect(() => open({}, [8], otherGpu)).toThrow(
      'Expected memory of cuda:1 at the pointer and 32 bytes from it',
    );
    using all = open({ offsetBytes: 4 }, [7]);
    expect(() => all.ipcHandle()).toThrow(/^cudaIpcGetMemHandle failed/);
  });

  test('a handle that the driver refuses is an error, and the next one opens', () => {
    fake.failNext('cudaIpcOpenMemHandle', cudaError.memoryAllocation);
    expect(() => open({}, [8])).toThrow(/^cudaIpcOpenMemHandle failed/);
    expect(() => open({ handle: new Uint8Array(64) }, [8])).toThrow(code('ERR_CUDA'));
    open({}, [8]).dispose();
  });

  test('an event of it orders our work after its own', async () => {
    using x = open({}, [8]);
    using event = StreamEvent.fromIpcHandle(gpu, theirs.event);
    await exporter.ask('later');
    gpu.stream.wait(event);
    let settled = false;
    const reading = x.read().finally(() => {
      settled = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([event.reached, settled]).toEqual([false, false]);
    await exporter.ask('now');
    expect(await reading).toEqual(new Float32Array(8).fill(7));
    expect(event.reached).toBe(true);
  });

  test('when it has ended its handles are an error; what was open can still be let go', async () => {
    const x = open({}, [8]);
    await exporter.end();
    expect(() => StreamEvent.fromIpcHandle(gpu, theirs.event)).toThrow(code('ERR_CUDA'));
    x.dispose();
    expect(() => open({}, [8])).toThrow(/^cudaIpcOpenMemHandle failed/);
    expect(await Tensor.from(floats(3), [1]).to(gpu).item()).toBe(3);
  });
});
