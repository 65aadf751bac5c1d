// A call on its way to the addon: its arguments, and the caller's buffers or new ones.
import type { RunArguments } from '../../binding.js';
import { needs, showShape, typeError } from '../common/check.js';
import type { Device } from '../devices/device.js';
import { checkShape, toTensor, toTensorOn } from '../tensors/argument.js';
import { type DType, isFloat, isHalf, type TypedArray } from '../tensors/dtype.js';
import { Tensor, type TensorLike } from '../tensors/tensor.js';
import type { Statistics } from './statistics.js';

// The steps of native/math/call.h.
export const STATISTICS = 1;
export const FINALIZE = 2;
export const GRADIENT = 4;
export const TARGET_GRADIENT = 8;

/** The arrays of one call after all checks. */
export interface Prepared {
  args: RunArguments;
  /** Read again by every execute() of a plan: they may hold other numbers then. */
  upstream: Tensor | undefined;
  gradScale: number | Tensor;
  value: Tensor | undefined;
  perClass: Tensor | undefined;
  parts: Tensor | undefined;
  /** dL/dpredictions or, of TARGET_GRADIENT, dL/dtarget. */
  grad: Tensor | undefined;
  statistics: Statistics | undefined;
  /** Those of the results that are not the caller's. */
  made: Tensor[];
  /** Where it runs; every array of `args` is there, as a NativeBuffer on a GPU. */
  device: Device;
}

export const ALL = STATISTICS | FINALIZE | GRADIENT;
export const REDUCTION_NONE = 0;

export interface Keys {
  options: readonly string[];
  out: readonly string[];
}

export const valueOutKeys = ['value', 'perClass', 'parts'];
const gradientOptionKeys = ['weight', 'gradScale', 'gradDtype', 'accumulate', 'upstream', 'out'];
export const valueKeys: Keys = { options: ['weight', 'out'], out: valueOutKeys };
export const statisticsKeys: Keys = { options: ['weight', 'out'], out: [] };
export const gradientKeys: Keys = {
  options: [...gradientOptionKeys, 'sampleOffset'],
  out: ['grad'],
};
export const targetGradientKeys: Keys = {
  options: ['weight', 'gradScale', 'accumulate', 'upstream', 'sampleOffset', 'out'],
  out: ['targetGrad'],
};
export const valueAndGradKeys: Keys = {
  options: gradientOptionKeys,
  out: [...valueOutKeys, 'grad'],
};

export function blankArguments(steps: number): RunArguments {
  return [
    steps,
    0,
    0,
    0,
    undefined,
    0,
    undefined,
    0,
    false,
    undefined,
    0,
    undefined,
    undefined,
    1,
    undefined,
    undefined,
    undefined,
    0,
    false,
    undefined,
    undefined,
    0,
    0,
  ];
}

/** What the addon takes for a tensor: its array or, on a GPU (and then for DeviceLoss alone), its NativeBuffer. */
export const memoryOf = (tensor: Tensor): TypedArray =>
  tensor.device.kind === 'cpu' ? tensor.data : (tensor.storage.buffer as unknown as TypedArray);

/** Lets go of the results of a call that failed: the garbage collector would do so late, and on a GPU too late. */
export function release({ made }: Prepared): void {
  for (const result of made) result.dispose();
}

/** The caller's float64 buffer, or a new one. */
export function float64Buffer(
  out: TensorLike | undefined,
  name: string,
  shape: number[],
  device: Device,
  made: Tensor[] = [],
): Tensor {
  if (out === undefined) return makeResult(shape, 'float64', device, made);
  const tensor = toTensorOn(device, out, name);
  if (tensor.dtype !== 'float64') {
    throw new TypeError(`Expected dtype float64 for ${name} but received ${tensor.dtype}`);
  }
  checkShape(tensor, shape, name);
  return tensor;
}

function makeResult(
  shape: readonly number[],
  dtype: DType,
  device: Device,
  made: Tensor[],
): Tensor {
  const result = Tensor.forResult(shape, dtype, device);
  made.push(result);
  return result;
}

/** The caller's gradient buffer, or a new one. */
export function gradBuffer(
  predictions: Tensor,
  out: TensorLike | undefined,
  dtype: DType | undefined,
  accumulate: boolean,
  made: Tensor[],
): Tensor {
  const { dtype: own } = predictions;
  const allowed: DType[] = isHalf(own) ? [own, 'float32'] : [own];
  if (dtype !== undefined && !allowed.includes(dtype)) {
    const expected = allowed.map((name) => `'${name}'`).join(' or ');
    throw typeError(`${expected}, as predictions are ${own},`, 'gradDtype', dtype);
  }
  return slopeBuffer(predictions, 'out.grad', out, dtype ? [dtype] : allowed, accumulate, made);
}

/** The same for the gradient with respect to the target. */
export function targetGradBuffer(
  target: Tensor,
  out: TensorLike | undefined,
  accumulate: boolean,
  made: Tensor[],
): Tensor {
  if (!isFloat(target.dtype)) {
    throw new TypeError(
      `Expected a dense target of floats for target, as its gradient is wanted, but received ${target.dtype} of shape ${showShape(target.shape)}`,
    );
  }
  return slopeBuffer(target, 'out.targetGrad', out, [target.dtype], accumulate, made);
}

/** In the shape of `like`; of the first of the allowed dtypes when new. */
function slopeBuffer(
  like: Tensor,
  name: string,
  out: TensorLike | undefined,
  allowed: DType[],
  accumulate: boolean,
  made: Tensor[],
): Tensor {
  const { shape, device } = like;
  if (out === undefined) {
    if (accumulate) throw needs('accumulate: true', `${name}, the gradient to add to`);
    return makeResult(shape, allowed[0] as DType, device, made);
  }
  const tensor = toTensorOn(device, out, name);
  if (!allowed.includes(tensor.dtype)) {
    throw new TypeError(
      `Expected dtype ${allowed.join(' or ')} for ${name} but received ${tensor.dtype}`,
    );
  }
  checkShape(tensor, shape, name);
  return tensor;
}

/**
 * Puts what the upstream and the scale hold now into the arguments. On a GPU both are read there, by each execution.
 */
export function readUpstream(call: Prepared): void {
  const { args, upstream, gradScale } = call;
  if (call.device.kind === 'cuda') {
    if (upstream !== undefined) args[12] = memoryOf(upstream) as Float64Array;
    args[13] = typeof gradScale === 'number' ? gradScale : 1;
    return;
  }
  if (upstream?.dtype === 'float32') {
    args[12] ??= new Float64Array(upstream.size);
    args[12].set(upstream.data as Float32Array);
  } else if (upstream !== undefined) {
    args[12] = upstream.data as Float64Array;
  }
  args[13] =
    typeof gradScale === 'object' ? toTensor(gradScale, 'gradScale').itemSync() : gradScale;
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
