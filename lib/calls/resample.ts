// Resamples targets to the sizes of coarser predictions: along each axis the voxel that holds the middle of voxel i, index
// floor((i + 1/2) * from / to).
import type { InOrder, NativeResampling } from '../../binding.js';
import { sameShape } from '../common/check.js';
import { cuda } from '../devices/cuda.js';
import type { Device } from '../devices/device.js';
import type { Shaped } from '../head/linear-logits.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';
import { bytesOf } from '../tensors/dtype.js';
import { Tensor } from '../tensors/tensor.js';
import { memoryOf } from './native-call.js';

/**
 * Resamples targets or weights. On the host it reuses one buffer per scale. On a GPU it allocates new buffers, because another
 * stream may still read the old ones.
 */
export class Resampler {
  readonly #channelsLast: boolean;
  readonly #buffers: Tensor[] = [];

  constructor(channelsLast: boolean) {
    this.#channelsLast = channelsLast;
  }

  /**
   * Returns `full` at the size of the predictions; `full` itself when it has that size. Its shape must be theirs with other
   * spatial sizes, with or without the class axis. New tensors on a GPU are added to `made`; the caller disposes them.
   */
  at(scale: number, full: Tensor, predictions: Shaped, made: Tensor[]): Tensor {
    const { shape } = predictions;
    const dense = full.shape.length === shape.length;
    const classAxis = this.#channelsLast ? shape.length - 1 : 1;
    const wanted = dense ? [...shape] : shape.filter((_, axis) => axis !== classAxis);
    const first = dense && !this.#channelsLast ? 2 : 1;
    const last = dense && this.#channelsLast ? wanted.length - 1 : wanted.length;
    if (sameShape(full.shape, wanted)) return full;

    const to = this.#buffer(scale, full, wanted);
    if (to.device.kind === 'cuda') made.push(to);
    resample(to.device, {
      from: memoryOf(full),
      elementBytes: bytesOf(full.dtype),
      outer: product(wanted.slice(0, first)),
      fromSizes: full.shape.slice(first, last),
      toSizes: wanted.slice(first, last),
      inner: product(wanted.slice(last)),
      to: memoryOf(to),
      stream: to.device.kind === 'cuda' ? to.device.stream.native : undefined,
    });
    return to;
  }

  #buffer(scale: number, { dtype, device }: Tensor, shape: number[]): Tensor {
    const kept = this.#buffers[scale];
    if (device.kind === 'cpu' && kept?.dtype === dtype && sameShape(kept.shape, shape)) return kept;
    const made = Tensor.forResult(shape, dtype, device);
    if (device.kind === 'cpu') this.#buffers[scale] = made;
    return made;
  }
}

function resample(device: Device, resampling: NativeResampling): void {
  const addon = device.kind === 'cpu' ? native : cuda();
  callNative(() => callResample(addon, resampling));
}

/** Calls the addon: the one place of lib/ that knows the order of a resampling's values. */
export const callResample = (
  addon: { resampleNearest(...values: InOrder<NativeResampling>): void },
  { from, elementBytes, outer, fromSizes, toSizes, inner, to, stream }: NativeResampling,
): void => addon.resampleNearest(from, elementBytes, outer, fromSizes, toSizes, inner, to, stream);

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
