// The factors of a gradient, applied before it is rounded: dL/dvalue (upstream) and gradScale.
import { cannotCombine, needs, rangeError, showShape, typeError } from '../common/check.js';
import type { Device } from '../devices/device.js';
import { nameOf, Reduction } from '../native/codes.js';
import { makeArray } from '../tensors/allocate.js';
import { checkShape, toTensor, toTensorOn } from '../tensors/argument.js';
import { codeOf, type DType } from '../tensors/dtype.js';
import { expectApart, type Place, placeOf } from '../tensors/overlap.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { memoryOf } from './native-call.js';
import type { PreparedCall } from './prepared-call.js';

/** The dtypes of upstream and gradScale. */
const factors: readonly DType[] = ['float64', 'float32'];

/**
 * Copies the current numbers of upstream and gradScale into the call. On a GPU the call gets their memory instead, which each
 * execution reads.
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
    native.upstream ??= makeArray('float64', upstream.size) as Float64Array;
    (native.upstream as Float64Array).set(upstream.data as Float32Array);
  } else if (upstream !== undefined) {
    native.upstream = upstream.data;
  }
  native.scale =
    typeof gradScale === 'object' ? toTensor(gradScale, 'gradScale').itemSync() : gradScale;
}

/** Throws when a result overlaps a factor, which later executions of a plan would read. */
export function expectFactorsApart(call: PreparedCall): void {
  const { pairs, upstream, gradScale, names } = call;
  const factors: Place[] = [];
  if (pairs !== undefined) factors.push(placeOf('sampleClassWeight', pairs));
  if (upstream !== undefined) factors.push(placeOf('upstream', upstream));
  if (typeof gradScale === 'object') factors.push(placeOf('gradScale', gradScale));
  if (factors.length === 0) return;
  for (const name of ['value', 'perClass', 'parts', 'grad'] as const) {
    const result = call[name];
    if (result !== undefined) expectApart(placeOf(names.out[name], result), factors);
  }
  for (const part of ['weight', 'bias'] as const) {
    const result = call.linearGrad?.[part];
    if (result != null) expectApart(placeOf(`${names.out.grad}.${part}`, result), factors);
  }
}

/** Throws for an upstream with a reduction to one number, whose dL/dvalue is 1. */
export function refuseUpstream(like: TensorLike | undefined, reduction: number): void {
  if (like === undefined) return;
  const name = nameOf(Reduction, reduction);
  throw cannotCombine('upstream', `reduction '${name}'`, 'scale its gradient by gradScale');
}

/** The upstream, checked. shape: the shape of the value. */
export function checkUpstream(
  like: TensorLike | undefined,
  shape: readonly number[],
  device: Device,
): Tensor {
  if (like === undefined) {
    const wanted = `upstream, dL/dvalue of shape ${showShape(shape)}, for a gradient`;
    throw needs("reduction 'none'", wanted);
  }
  const upstream = toTensorOn(device, like, 'upstream', factors);
  if (upstream.dtype !== 'float64' && upstream.dtype !== 'float32') {
    throw new TypeError(
      `Expected dtype float64 or float32 for upstream but received ${upstream.dtype}`,
    );
  }
  checkShape(upstream, shape, 'upstream');
  return upstream;
}

/** A number that gradients are multiplied by. */
export function checkScaleNumber(scale: unknown): number {
  if (typeof scale !== 'number') throw typeError('a number', 'gradScale', scale);
  if (!Number.isFinite(scale)) throw rangeError('a finite number', 'gradScale', scale);
  return scale;
}

export function checkScale(
  scale: number | TensorLike | undefined,
  device: Device,
): number | Tensor {
  if (scale === undefined) return 1;
  if (typeof scale === 'number') return checkScaleNumber(scale);
  if (typeof scale !== 'object') throw typeError('a number or a scalar tensor', 'gradScale', scale);
  const tensor = toTensorOn(device, scale, 'gradScale', factors);
  if (tensor.size !== 1 || (tensor.dtype !== 'float32' && tensor.dtype !== 'float64')) {
    throw new TypeError(
      `Expected one float32 or float64 for gradScale but received ${tensor.dtype} of shape ${showShape(tensor.shape)}`,
    );
  }
  return tensor;
}
