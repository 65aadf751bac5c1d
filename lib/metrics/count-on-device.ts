// Counts a batch on a GPU, and adds what it counted to the counts on the host.
import type { NativeBuffer, NativeCount, NativeCounts, NativeMemory } from '../../binding.js';
import { cuda } from '../devices/cuda.js';
import type { Device } from '../devices/device.js';
import { Decision } from '../native/codes.js';
import { callNative } from '../native/translate-error.js';
import { makeTensorData } from '../tensors/allocate.js';
import { Tensor } from '../tensors/tensor.js';
import { callCount } from './native-count.js';

/** What the counts are of, beside what a call says. */
export interface CountKind {
  /** How many numbers of all samples together there are. */
  readonly cells: number;
  readonly thresholds: readonly number[] | undefined;
  /** Whether each sample has a row of regions, which follows from its cells. */
  readonly regionsOfSamples: boolean;
}

/** Four words for the predictions and four for the target: the number of faults, the first one's index, its value as a double, a kind. */
const faultWords = 8;

/** With one more class a table of all pairs, which the GPU fills and the host reads at each update, would exceed 128 MiB. */
const mostPairedClasses = 4095;

/** Throws where the pairs of classes would be too many for a table. */
export function checkClassesOnDevice(device: Device, classes: number, decision: number): void {
  if (classes <= mostPairedClasses || decision === Decision.threshold) return;
  throw new RangeError(
    `Expected at most ${mostPairedClasses} classes for predictions on ${device} but received ${classes}: count tensors on the host, which has no table of all pairs of classes`,
  );
}

/** Counts, waits, and adds. */
export function countOnDevice(
  device: Device,
  call: NativeCount,
  to: NativeCounts,
  kind: CountKind,
): void {
  const counts = enqueue(device, call, kind);
  try {
    const words = counts.readSync() as BigInt64Array;
    placeFaults(words, call, kind);
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
  kind: CountKind,
): Promise<void> {
  const counts = enqueue(device, call, kind);
  const { size } = counts;
  return Promise.resolve()
    .then(() => {
      // Shared memory, which addAsync() reads where it is.
      const words = makeTensorData('int64', size, true) as BigInt64Array;
      return counts.storage.buffer.read(words);
    })
    .finally(() => counts.dispose())
    .then((words) => {
      placeFaults(words, call, kind);
      return to.addAsync(words, call.samples, call.mayBeOneHot, call.names);
    });
}

/** Enqueues a count for each threshold, or for each sample whose regions have a row, or one. What each writes is a part of the result. */
function enqueue(device: Device, call: NativeCount, kind: CountKind): Tensor {
  const parts = partsOf(call, kind);
  const { cells, thresholds } = kind;
  const ofPart = {
    ...call,
    ...(kind.regionsOfSamples && { samples: 1, bySample: false, names: undefined }),
  };
  const rows = ofPart.bySample ? call.samples * call.classes * 4 : 0;
  const words = cells / (thresholds?.length ?? 1) + rows + faultWords;
  const counts = Tensor.forResult([parts * words], 'int64', device);
  const { native: stream } = device.stream;
  try {
    callNative(() => {
      for (let part = 0; part < parts; part++) {
        withPartsOf(parts, part, (take) => {
          const sample = kind.regionsOfSamples && {
            predictions: take(call.predictions),
            target: take(call.target),
            weight: call.weight && take(call.weight),
          };
          const threshold = thresholds?.[part] ?? call.threshold;
          const to = take(counts.storage.buffer);
          callCount(cuda(), 'count', { ...ofPart, ...sample, threshold, counts: to, stream });
        });
      }
    });
  } catch (error) {
    counts.dispose();
    throw error;
  }
  return counts;
}

const partsOf = ({ samples }: NativeCount, { thresholds, regionsOfSamples }: CountKind): number =>
  regionsOfSamples ? samples : (thresholds?.length ?? 1);

/** take: gives that one of the equal parts of a buffer, until `use` returns. What was enqueued keeps its memory. */
function withPartsOf(
  parts: number,
  part: number,
  use: (take: (memory: NativeMemory) => NativeBuffer) => void,
): void {
  const taken: NativeBuffer[] = [];
  try {
    use((memory) => {
      const buffer = memory as NativeBuffer;
      const size = buffer.sizeBytes / parts;
      const view = buffer.view(part * size, size);
      taken.push(view);
      return view;
    });
  } finally {
    for (const view of taken) view.dispose();
  }
}

/** Faults of a sample that was counted alone have their index in it: makes that the index in the batch. */
function placeFaults(words: BigInt64Array, call: NativeCount, kind: CountKind): void {
  if (!kind.regionsOfSamples) return;
  const { samples, classes, voxels, decision, targetIsLabels } = call;
  const predictions = voxels * (decision === Decision.labels ? 1 : classes);
  const target = voxels * (targetIsLabels ? 1 : classes);
  const size = words.length / samples;
  for (let n = 0; n < samples; n++) {
    const at = (n + 1) * size - faultWords;
    words[at + 1] = (words[at + 1] as bigint) + BigInt(n * predictions);
    words[at + 5] = (words[at + 5] as bigint) + BigInt(n * target);
  }
}
