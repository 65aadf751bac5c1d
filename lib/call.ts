// A call on its way to the addon: its arguments, and the caller's buffers or new ones.
import type { RunArguments } from '../binding.js';
import { sameShape, showShape, typeError } from './check.js';
import { type DType, isHalf, makeArray } from './dtype.js';
import type { Statistics } from './statistics.js';
import { Tensor, type TensorLike, toTensor } from './tensor.js';

// The three steps of native/call.h.
export const STATISTICS = 1;
export const FINALIZE = 2;
export const GRADIENT = 4;

/** The arrays of one call after all checks. */
export interface Prepared {
  args: RunArguments;
  /** Read again by every execute() of a plan: they may hold other numbers then. */
  upstream: Tensor | undefined;
  gradScale: number | Tensor;
  value: Tensor | undefined;
  perClass: Tensor | undefined;
  parts: Tensor | undefined;
  grad: Tensor | undefined;
  statistics: Statistics | undefined;
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

export function checkShape(tensor: Tensor, shape: readonly number[], name: string): void {
  if (sameShape(tensor.shape, shape)) return;
  throw new RangeError(
    `Expected shape ${showShape(shape)} for ${name} but received ${showShape(tensor.shape)}`,
  );
}

/** The caller's float64 buffer, or a new one. */
export function float64Buffer(out: TensorLike | undefined, name: string, shape: number[]): Tensor {
  if (out === undefined) {
    const size = shape.reduce((product, length) => product * length, 1);
    return Tensor.from(makeArray('float64', size), shape);
  }
  const tensor = toTensor(out, name);
  if (tensor.dtype !== 'float64') {
    throw new TypeError(`Expected dtype float64 for ${name} but received ${tensor.dtype}`);
  }
  checkShape(tensor, shape, name);
  return tensor;
}

/** The caller's gradient buffer, or a new one. */
export function gradBuffer(
  predictions: Tensor,
  out: TensorLike | undefined,
  dtype: DType | undefined,
  accumulate: boolean,
): Tensor {
  const { dtype: own, shape } = predictions;
  const allowed = isHalf(own) ? [own, 'float32'] : [own];
  const wanted = allowed.join(' or ');
  if (dtype !== undefined && !allowed.includes(dtype)) {
    throw typeError(`${wanted} (predictions are ${own})`, 'gradDtype', dtype);
  }
  if (out === undefined) {
    if (accumulate) {
      throw new TypeError(
        'Expected a tensor for out.grad, as accumulate is set, but received undefined',
      );
    }
    const type = dtype ?? own;
    return Tensor.from(makeArray(type, predictions.size), shape, { dtype: type });
  }
  const tensor = toTensor(out, 'out.grad');
  if (!allowed.includes(tensor.dtype) || (dtype !== undefined && tensor.dtype !== dtype)) {
    throw new TypeError(
      `Expected dtype ${dtype ?? wanted} for out.grad but received ${tensor.dtype}`,
    );
  }
  checkShape(tensor, shape, 'out.grad');
  return tensor;
}

/** Puts what the upstream and the scale hold now into the arguments. */
export function readUpstream(call: Prepared): void {
  const { args, upstream } = call;
  if (upstream?.dtype === 'float32') {
    args[12] ??= new Float64Array(upstream.size);
    args[12].set(upstream.data as Float32Array);
  } else if (upstream !== undefined) {
    args[12] = upstream.data as Float64Array;
  }
  const { gradScale } = call;
  args[13] =
    typeof gradScale === 'object' ? toTensor(gradScale, 'gradScale').itemSync() : gradScale;
}

export function checkScale(scale: number | TensorLike | undefined): number | Tensor {
  if (scale === undefined) return 1;
  if (typeof scale === 'number') return scale;
  if (typeof scale !== 'object') throw typeError('a number or a scalar tensor', 'gradScale', scale);
  const tensor = toTensor(scale, 'gradScale');
  if (tensor.size !== 1 || (tensor.dtype !== 'float32' && tensor.dtype !== 'float64')) {
    throw new TypeError(
      `Expected one float32 or float64 for gradScale but received ${tensor.dtype} of shape ${showShape(tensor.shape)}`,
    );
  }
  return tensor;
}
