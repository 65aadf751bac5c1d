// Counts a batch on a GPU, and adds what it counted to the counts on the host.
import type { NativeCount, NativeCounts } from '../../binding.js';
import { cuda } from '../devices/cuda.js';
import type { Device } from '../devices/device.js';
import { callNative } from '../native/translate-error.js';
import { makeTensorData } from '../tensors/allocate.js';
import { Tensor } from '../tensors/tensor.js';
import { callCount } from './native-count.js';

/** Four words for the predictions and four for the target: the number of faults, the first one's index, its value as a double, a kind. */
const faultWords = 8;

/** With one more class a table of all pairs, which the GPU fills and the host reads at each update, would exceed 128 MiB. */
const mostPairedClasses = 4095;

/** Throws where the pairs of classes would be too many for a table. cells: as for countOnDevice. */
export function checkClassesOnDevice(device: Device, classes: number, cells: number): void {
  if (cells <= (mostPairedClasses + 1) ** 2) return;
  throw new RangeError(
    `Expected at most ${mostPairedClasses} classes for predictions on ${device} but received ${classes}: count tensors on the host, which has no table of all pairs of classes`,
  );
}

/** cells: how many numbers of all samples together there are. Counts, waits, and adds. */
export function countOnDevice(
  device: Device,
  call: NativeCount,
  to: NativeCounts,
  cells: number,
): void {
  const counts = enqueue(device, call, cells);
  try {
    const words = counts.readSync() as BigInt64Array;
    to.add(words, call.samples, call.mayBeOneHot, call.names);
  } finally {
    counts.dispose();
  }
}

/** Like countOnDevice, but resolves when the counts are added. */
export function countOnDeviceAsync(
  device: Device,
  call: NativeCount,
  to: NativeCounts,
  cells: number,
): Promise<void> {
  const counts = enqueue(device, call, cells);
  const { size } = counts;
  return Promise.resolve()
    .then(() => {
      // Shared memory, which addAsync() reads where it is.
      const words = makeTensorData('int64', size, true) as BigInt64Array;
      return counts.storage.buffer.read(words);
    })
    .finally(() => counts.dispose())
    .then((words) => to.addAsync(words, call.samples, call.mayBeOneHot, call.names));
}

function enqueue(device: Device, call: NativeCount, cells: number): Tensor {
  const rows = call.bySample ? call.samples * call.classes * 4 : 0;
  const counts = Tensor.forResult([cells + rows + faultWords], 'int64', device);
  const { native: stream } = device.stream;
  try {
    callNative(() =>
      callCount(cuda(), 'count', { ...call, counts: counts.storage.buffer, stream }),
    );
  } catch (error) {
    counts.dispose();
    throw error;
  }
  return counts;
}
