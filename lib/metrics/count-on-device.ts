// Counts a batch on a GPU. The result buffer holds the counts, then the label faults.
import type { NativeCount } from '../../binding.js';
import { cuda } from '../devices/cuda.js';
import type { Device } from '../devices/device.js';
import { callNative } from '../native/translate-error.js';
import { Tensor } from '../tensors/tensor.js';
import { callCount } from './native-count.js';

/** Three words for the predictions and three for the target: the number of faults, the first one's index and value. */
const faultWords = 6;

/** Counts, waits, and writes the counts to `to`. */
export function countOnDevice(
  device: Device,
  call: NativeCount,
  to: Float64Array,
  cells: number,
): void {
  const counts = enqueue(device, call, cells);
  try {
    take(counts.readSync() as BigInt64Array, to);
  } finally {
    counts.dispose();
  }
}

/** Like countOnDevice, but resolves when the counts are in `to`. */
export function countOnDeviceAsync(
  device: Device,
  call: NativeCount,
  to: Float64Array,
  cells: number,
): Promise<void> {
  const counts = enqueue(device, call, cells);
  return counts
    .read()
    .then((data) => take(data as BigInt64Array, to))
    .finally(() => counts.dispose());
}

function enqueue(device: Device, call: NativeCount, cells: number): Tensor {
  const counts = Tensor.forResult([call.samples * cells + faultWords], 'int64', device);
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

function take(data: BigInt64Array, counts: Float64Array): void {
  const size = data.length - faultWords;
  const [ofPredictions, ofTarget] = [data.subarray(size, size + 3), data.subarray(size + 3)];
  for (const [words, predictions] of [
    [ofPredictions, true],
    [ofTarget, false],
  ] as const) {
    const [count, index, value] = Array.from(words, Number);
    if (count === 0) continue;
    const code = 'ERR_LABEL_RANGE';
    throw Object.assign(new Error(code), { code, predictions, count, index, value });
  }
  for (let i = 0; i < size; i++) counts[i] = Number(data[i]);
}
