/**
 * Devices, and tensors on them, on the emulated device.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { afterEach, describe, expect, test } from '@jest/globals';
import { Device, Stream, Tensor, type TypedArray, WarpDiceError } from '../../lib/index.js';
import { native } from '../../lib/native/load.js';
import { expectSameBits } from '../support/compare.js';
import { cudaError, emulatedOnly, fake, gpu, held, otherGpu } from '../support/device.js';
import { code } from '../support/errors.js';
import { bitsOf, type DType, numbers, tensor } from '../support/tensors.js';

const numbersOf = (from: { data: TypedArray; dtype: DType }) => [...numbers(from as never)];

afterEach(() => fake?.setTotalBytes(64 << 20));

describe('devices', () => {
  emulatedOnly('are listed after the CPU, and the first one is the default', () => {
    expect(Device.list().map(String)).toEqual([
      Device.cpu.name,
      'cuda:0 (emulated GPU)',
      'cuda:1 (emulated GPU)',
    ]);
    expect(Device.default()).toBe(gpu);
    expect(Device.cuda()).toBe(gpu);
    expect(gpu.kind).toBe('cuda');
    expect([gpu.index, otherGpu.index]).toEqual([0, 1]);
    expect(gpu.computeCapability).toBe('9.0');
    expect(Device.whyNoGpu).toBeUndefined();
    expect(Device.cudaVersions).toEqual({ driver: '13.0', runtime: '13.0' });
  });

  test('there is none of that number', () => {
    expect(() => Device.cuda(2)).toThrow(
      'Expected a GPU for cuda:2, but there is only cuda:0, cuda:1',
    );
    expect(() => Device.cuda(2)).toThrow(code('ERR_NO_DEVICE'));
    expect(() => Device.cuda(-1)).toThrow(RangeError);
    expect(() => Device.cuda('0' as never)).toThrow(TypeError);
  });

  emulatedOnly.each([
    ['no driver', 0, 0, cudaError.insufficientDriver, 'no NVIDIA driver was found'],
    [
      'a driver that is too old',
      0,
      12020,
      cudaError.insufficientDriver,
      'CUDA says "CUDA driver version is insufficient for CUDA runtime version" (driver for CUDA 12.2, built with CUDA 13.0)',
    ],
    [
      'no device',
      0,
      13000,
      cudaError.noDevice,
      'CUDA says "no CUDA-capable device is detected" (driver for CUDA 13.0, built with CUDA 13.0)',
    ],
  ])('why there is none: %s', (_, count, driver, status, why) => {
    fake.setDevices(count, driver, status);
    try {
      expect(Device.whyNoGpu).toBe(why);
    } finally {
      fake.setDevices(2, 13000, 0);
    }
  });

  emulatedOnly('why there is none: a build without CUDA', () => {
    const { cuda } = native;
    Reflect.set(native, 'cuda', undefined);
    try {
      expect(Device.whyNoGpu).toMatch(
        /^this build of warpdice has no CUDA: when it was compiled, there was no NVIDIA GPU/,
      );
      expect(Device.cudaVersions).toBeUndefined();
      expect(() => new Stream(gpu)).toThrow(code('ERR_NO_DEVICE'));
      expect(() => new Stream(gpu)).toThrow('this build of warpdice has no CUDA');
    } finally {
      Reflect.set(native, 'cuda', cuda);
    }
  });

  emulatedOnly('one that cannot be asked is left out, and the others keep their numbers', () => {
    fake.failNext('cudaGetDeviceProperties', cudaError.noDevice);
    expect(native.cuda?.devices().devices.map(({ index }) => index)).toEqual([1]);
    expect(native.cuda?.devices().devices.map(({ index }) => index)).toEqual([0, 1]);
  });

  emulatedOnly('memory is the driver’s count and our own', () => {
    const before = gpu.memory();
    const other = otherGpu.memory();
    expect(before.totalBytes).toBe(64 << 20);
    const x = Tensor.empty([1000], 'float64', { device: gpu, exportable: true });
    const block = 2 ** 21; // exportable memory takes whole blocks
    expect(gpu.memory().aliveBytes).toBe(before.aliveBytes + block);
    expect(gpu.memory().freeBytes).toBe(before.freeBytes - block);
    expect(otherGpu.memory().aliveBytes).toBe(other.aliveBytes);
    x.dispose();
    expect(gpu.memory().aliveBytes).toBe(before.aliveBytes);
    expect(gpu.memory().freeBytes).toBe(before.freeBytes);
    expect(gpu.memory().peakBytes).toBeGreaterThanOrEqual(before.aliveBytes + 8000);
    expect(() => Device.cpu.memory()).toThrow(TypeError);
    expect(() => Device.cpu.stream).toThrow(TypeError);
  });
});

describe('a tensor goes to a device and back', () => {
  test.each(['float32', 'float64', 'float16', 'bfloat16', 'uint8', 'int32', 'int64'] as const)(
    '%s',
    async (dtype) => {
      const { data } = tensor([1, 2, 3, 250, 0, 6], [2, 3], dtype);
      using x = Tensor.from(data, [2, 3], { dtype }).to(gpu);
      expect([x.device, x.dtype, x.shape, x.size]).toEqual([gpu, dtype, [2, 3], 6]);
      const like = (read: TypedArray) => (dtype === 'float16' ? bitsOf(read) : read);
      expect(like(await x.read())).toEqual(data);
      expect(like(x.readSync())).toEqual(data);
      expect(like(x.to(Device.cpu).data)).toEqual(data);
      using y = x.to(otherGpu);
      expect(y.device).toBe(otherGpu);
      expect(like(await y.read())).toEqual(data);
    },
  );

  test('item', async () => {
    using x = Tensor.from(Uint16Array.of(0x3555), [], { dtype: 'float16' }).to(gpu);
    expect(await x.item()).toBe(1365 / 4096);
    expect(x.itemSync()).toBe(1365 / 4096);
    using two = Tensor.empty([2], 'float32', { device: gpu });
    await expect(two.item()).rejects.toThrow(RangeError);
  });

  test('empty is zeros, also in memory that was used before', async () => {
    Tensor.from(new Float32Array(7).fill(9), [7]).to(gpu).dispose();
    using x = Tensor.empty([7], 'float32', { device: gpu });
    expect(await x.read()).toEqual(new Float32Array(7));
  });

  emulatedOnly('more than one chunk of the staging memory', async () => {
    fake.setTotalBytes(512 << 20);
    const data = Float64Array.from({ length: (9 << 20) + 5 }, (_, i) => i % 1013); // 72 MB
    using x = Tensor.from(data, [data.length]).to(gpu);
    const back = (await x.read()) as Float64Array;
    expectSameBits('data', back, data);
  });

  test('what the array holds at the call counts, not what it holds when the copy is made', async () => {
    const data = Float32Array.of(1, 2, 3);
    const x = await held(() => {
      const made = Tensor.from(data, [3]).to(gpu);
      data.fill(9);
      return made;
    });
    expect(await x.read()).toEqual(Float32Array.of(1, 2, 3));
    x.dispose();
  });
});

test('write replaces what is there', async () => {
  using x = Tensor.empty([3], 'float32', { device: gpu });
  const data = Float32Array.of(4, 5, 6);
  const written = x.write(data);
  data.fill(0);
  await written;
  expect(x.readSync()).toEqual(Float32Array.of(4, 5, 6));
  await expect(x.write(new Float32Array(4))).rejects.toThrow(RangeError);
  await expect(x.write(new Float64Array(3))).rejects.toThrow(TypeError);
  const host = Tensor.from(Float32Array.of(1, 2, 3), [3]);
  await host.write(Float32Array.of(7, 8, 9));
  expect([...host.data]).toEqual([7, 8, 9]);
});

describe.each([
  ['host', () => Device.cpu],
  ['device', () => gpu],
])('view, %s', (_, device) => {
  const make = () => Tensor.from(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]).to(device());

  test('shares the memory', async () => {
    const x = make();
    const part = x.view([2, 1], 3);
    expect(part.shape).toEqual([2, 1]);
    expect([...(await part.read())].map(Number)).toEqual([4, 5]);
    await part.write(Float32Array.of(40, 50));
    expect([...(await x.read())].map(Number)).toEqual([1, 2, 3, 40, 50, 6]);
    x.dispose();
    expect([...(await part.read())].map(Number)).toEqual([40, 50]);
    part.dispose();
  });

  test('must be inside', () => {
    const x = make();
    expect(() => x.view([4], 3)).toThrow('Expected at most 3 elements for shape but received [4]');
    expect(() => x.view([1], 7)).toThrow(RangeError);
    expect(() => x.view([1], -1)).toThrow(RangeError);
    expect(() => x.view([1], 0.5)).toThrow(RangeError);
    expect(() => x.view([0])).toThrow(RangeError);
    x.dispose();
  });
});

describe('reads wait without blocking', () => {
  emulatedOnly('the event loop goes on while the device does not', async () => {
    using x = Tensor.from(Float32Array.of(1, 2), [2]).to(gpu);
    let settled = false;
    const reading = await held(async () => {
      const read = x.read().then((data) => {
        settled = true;
        return data;
      });
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(settled).toBe(false);
      return { read };
    });
    expect(await reading.read).toEqual(Float32Array.of(1, 2));
  });

  test('many at once, each with its own data', async () => {
    const tensors = Array.from({ length: 100 }, (_, i) =>
      Tensor.from(Float32Array.of(i), [1]).to(gpu),
    );
    const values = await Promise.all(tensors.map((x) => x.item()));
    expect(values).toEqual(tensors.map((_, i) => i));
    for (const x of tensors) x.dispose();
  });

  test('dispose during a read: the read is done', async () => {
    const x = Tensor.from(Float32Array.of(5), [1]).to(gpu);
    const reading = await held(() => {
      const read = x.read();
      x.dispose();
      return { read };
    });
    expect(await reading.read).toEqual(Float32Array.of(5));
  });
});

describe('dispose', () => {
  test('twice is fine; every use is then an error', async () => {
    const x = Tensor.from(Float32Array.of(1, 2), [2]).to(gpu);
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    const uses: (() => unknown)[] = [
      () => x.data,
      () => x.readSync(),
      () => x.to(gpu),
      () => x.to(Device.cpu),
      () => x.view([1]),
      () => x.devicePointer,
      () => x.ipcHandle(),
    ];
    for (const use of uses) {
      expect(use).toThrow(WarpDiceError);
      expect(use).toThrow(code('ERR_DISPOSED'));
    }
    await expect(x.read()).rejects.toThrow(code('ERR_DISPOSED'));
    await expect(x.write(new Float32Array(2))).rejects.toThrow(code('ERR_DISPOSED'));
  });

  test('frees the memory when the last handle goes', async () => {
    const before = gpu.memory().aliveBytes;
    const x = Tensor.empty([10], 'float32', { device: gpu });
    const y = x.to(gpu);
    const z = x.view([2], 4);
    x.dispose();
    y.dispose();
    expect(gpu.memory().aliveBytes).toBe(before + 40);
    z.dispose();
    expect(gpu.memory().aliveBytes).toBe(before);
    await gpu.synchronize();
  });

  emulatedOnly('in steady state nothing but the pool is asked for memory', async () => {
    const step = () => Tensor.from(new Float32Array(1000), [1000]).to(gpu).dispose();
    for (let i = 0; i < 5; i++) step();
    await gpu.synchronize();
    const calls = () =>
      ['a pool grows', 'cudaMalloc', 'cudaHostAlloc', 'cudaFree', 'cudaFreeHost'].map(fake.calls);
    const before = calls();
    for (let i = 0; i < 50; i++) {
      step();
      await gpu.synchronize();
    }
    expect(calls()).toEqual(before);
  });
});

test('a tensor on a device has no host data, and says so', () => {
  using x = Tensor.empty([2], 'float32', { device: gpu });
  expect(() => x.data).toThrow(
    'Expected a tensor on the host for data but received one on cuda:0 (emulated GPU): read() copies it',
  );
  expect(() => Tensor.from(new Float32Array(1), [1]).devicePointer).toThrow(TypeError);
  expect(String(x)).toBe('Tensor float32 [2] on cuda:0 (emulated GPU)');
  expect(numbersOf(x.to(Device.cpu))).toEqual([0, 0]);
});

describe('faults', () => {
  emulatedOnly(
    'out of memory says what was asked and free, and the next smaller one works',
    async () => {
      for (const device of [gpu, otherGpu]) await device.synchronize(); // frees what is queued
      // At least: what the pool kept is given back, other devices have some, and the garbage collector may free more meanwhile.
      const free = (64 << 20) - fake.allocatedBytes();
      const tooMuch = () => Tensor.empty([1 << 25], 'float32', { device: gpu });
      let message = '';
      try {
        tooMuch();
      } catch (error) {
        message = (error as Error).message;
      }
      const [, said] =
        /^Out of memory on cuda:0: 134217728 bytes were asked for, (\d+) of 67108864 are free$/.exec(
          message,
        ) ?? [];
      expect(Number(said)).toBeGreaterThanOrEqual(free);
      expect(Number(said)).toBeLessThanOrEqual(64 << 20);
      expect(tooMuch).toThrow(code('ERR_OUT_OF_MEMORY'));
      Tensor.empty([1 << 10], 'float32', { device: gpu }).dispose();
    },
  );

  emulatedOnly.each([
    ['cudaMallocFromPoolAsync', () => Tensor.empty([2], 'float32', { device: gpu })],
    ['cudaMemsetAsync', () => Tensor.empty([2], 'float32', { device: gpu })],
    ['cudaMemcpyAsync', () => Tensor.from(new Float32Array(3), [3]).to(gpu)],
    ['cudaSetDevice', () => Tensor.from(new Float32Array(3), [3]).to(gpu)],
    ['cudaStreamCreateWithFlags', () => new Stream(gpu)],
    ['cudaMemGetInfo', () => gpu.memory()],
  ])('%s that fails is named and leaves nothing, and the next call works', (name, use) => {
    const before = gpu.memory().aliveBytes;
    fake.failNext(name, cudaError.noDevice);
    expect(use).toThrow(code('ERR_CUDA'));
    fake.failNext(name, cudaError.noDevice);
    expect(use).toThrow(new RegExp(`^${name} failed with \\w+: no CUDA-capable device`));
    expect(gpu.memory().aliveBytes).toBeLessThanOrEqual(before);
    use();
  });

  emulatedOnly(
    'a sticky fault: pending and later reads say that the context is lost; the CPU goes on',
    async () => {
      using x = Tensor.from(Float32Array.of(1), [1]).to(gpu);
      try {
        const reading = await held(() => {
          const read = x.read();
          fake.setFault(cudaError.illegalAddress);
          return { read };
        });
        const lost =
          /cudaErrorIllegalAddress.*the CUDA context of this process is lost, only the CPU goes on/;
        await expect(reading.read).rejects.toThrow(lost);
        await expect(x.read()).rejects.toThrow(code('ERR_CUDA'));
        expect(() => x.readSync()).toThrow(lost);
        expect(Tensor.from(Float32Array.of(3), [1]).itemSync()).toBe(3);
      } finally {
        fake.setFault(0);
      }
    },
  );
});
