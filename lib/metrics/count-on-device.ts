// Counting a batch on a GPU: enqueued at once; the counts come with the faults behind them.
import type { CountArguments } from '../../binding.js';
import { cuda } from '../devices/cuda.js';
import type { Device } from '../devices/device.js';
import { callNative } from '../native/translate-error.js';
import { Tensor } from '../tensors/tensor.js';

/** Of predictions and of the target: how many, the index of the first, its value. */
const faultWords = 6;

/** Writes the counts to the last of the arguments. */
export function countOnDevice(device: Device, args: CountArguments, cells: number): void {
  const counts = enqueue(device, args, cells);
  try {
    take(counts.readSync() as BigInt64Array, args[14]);
  } finally {
    counts.dispose();
  }
}

/** The same when it is done. */
export function countOnDeviceAsync(
  device: Device,
  args: CountArguments,
  cells: number,
): Promise<void> {
  const counts = enqueue(device, args, cells);
  return counts
    .read()
    .then((data) => take(data as BigInt64Array, args[14]))
    .finally(() => counts.dispose());
}

function enqueue(device: Device, args: CountArguments, cells: number): Tensor {
  const counts = Tensor.forResult([args[2] * cells + faultWords], 'int64', device);
  const onDevice: CountArguments = [...args];
  onDevice[14] = counts.storage.buffer as unknown as Float64Array;
  try {
    callNative(() => cuda().count(...onDevice, device.stream.native));
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
