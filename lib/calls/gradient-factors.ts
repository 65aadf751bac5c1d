// What a gradient is multiplied by before it is rounded: dL/dvalue (upstream) and gradScale.
import { show, showShape, typeError } from '../common/check.js';
import type { Device } from '../devices/device.js';
import { checkShape, toTensor, toTensorOn } from '../tensors/argument.js';
import { codeOf } from '../tensors/dtype.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { memoryOf } from './native-call.js';
import type { PreparedCall } from './prepared-call.js';

/**
 * Puts what upstream and gradScale hold now into the call. On a GPU both are read there, by each execution.
 */
export function readFactors({ native, device, upstream, gradScale }: PreparedCall): void {
  if (device.kind === 'cuda') {
    if (upstream !== undefined) {
      native.upstream = memoryOf(upstream);
      native.upstreamType = codeOf(upstream.dtype);
    }
    if (typeof gradScale === 'number') {
      native.scale = gradScale;
    } else {
      native.scaleBuffer = memoryOf(gradScale);
      native.scaleType = codeOf(gradScale.dtype);
    }
    return;
  }
  if (upstream?.dtype === 'float32') {
    native.upstream ??= new Float64Array(upstream.size);
    (native.upstream as Float64Array).set(upstream.data as Float32Array);
  } else if (upstream !== undefined) {
    native.upstream = upstream.data;
  }
  native.scale =
    typeof gradScale === 'object' ? toTensor(gradScale, 'gradScale').itemSync() : gradScale;
}

/** shape: of the value; undefined for a loss that is reduced to one number. */
export function checkUpstream(
  like: TensorLike | undefined,
  shape: readonly number[] | undefined,
  device: Device,
): Tensor | undefined {
  if (shape === undefined) {
    if (like === undefined) return undefined;
    throw new TypeError(
      `Expected no upstream for a reduced loss (use gradScale) but received ${show(like)}`,
    );
  }
  if (like === undefined) {
    throw new TypeError(
      `Expected dL/dvalue of shape ${showShape(shape)} for upstream, as reduction is 'none', but received undefined`,
    );
  }
  const upstream = toTensorOn(device, like, 'upstream');
  if (upstream.dtype !== 'float64' && upstream.dtype !== 'float32') {
    throw new TypeError(
      `Expected dtype float64 or float32 for upstream but received ${upstream.dtype}`,
    );
  }
  checkShape(upstream, shape, 'upstream');
  return upstream;
}

export function checkScale(
  scale: number | TensorLike | undefined,
  device: Device,
): number | Tensor {
  if (scale === undefined) return 1;
  if (typeof scale === 'number') return scale;
  if (typeof scale !== 'object') throw typeError('a number or a scalar tensor', 'gradScale', scale);
  const tensor = toTensorOn(device, scale, 'gradScale');
  if (tensor.size !== 1 || (tensor.dtype !== 'float32' && tensor.dtype !== 'float64')) {
    throw new TypeError(
      `Expected one float32 or float64 for gradScale but received ${tensor.dtype} of shape ${showShape(tensor.shape)}`,
    );
  }
  return tensor;
}
