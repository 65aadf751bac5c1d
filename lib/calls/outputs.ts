// The buffers for a call's results: those of the caller, checked, or new ones.
import { needs, showShape, typeError } from '../common/check.js';
import { checkShape, toTensorOn } from '../tensors/argument.js';
import { type DType, isFloat, isHalf } from '../tensors/dtype.js';
import { Tensor, type TensorLike } from '../tensors/tensor.js';
import type { PreparedCall } from './prepared-call.js';

/** Where new results go, and the list of those. Async calls write them where they are: see Tensor.forResult. */
export type Results = Pick<PreparedCall, 'device' | 'async' | 'made'>;

/** The caller's float64 buffer, or a new one. */
export function float64Buffer(
  out: TensorLike | undefined,
  name: string,
  shape: number[],
  results: Results,
): Tensor {
  if (out === undefined) return makeResult(shape, 'float64', results);
  const tensor = toTensorOn(results.device, out, name, ['float64']);
  if (tensor.dtype !== 'float64') {
    throw new TypeError(`Expected dtype float64 for ${name} but received ${tensor.dtype}`);
  }
  checkShape(tensor, shape, name);
  return tensor;
}

function makeResult(
  shape: readonly number[],
  dtype: DType,
  { device, async, made }: Results,
): Tensor {
  const result = Tensor.forResult(shape, dtype, device, async);
  made.push(result);
  return result;
}

/** The caller's gradient buffer, or a new one. */
export function gradBuffer(
  predictions: Tensor,
  name: string,
  out: TensorLike | undefined,
  dtype: DType | undefined,
  accumulate: boolean,
  results: Results,
): Tensor {
  const { dtype: own } = predictions;
  const allowed: DType[] = isHalf(own) ? [own, 'float32'] : [own];
  if (dtype !== undefined && !allowed.includes(dtype)) {
    const expected = allowed.map((name) => `'${name}'`).join(' or ');
    throw typeError(`${expected}, as predictions are ${own},`, 'gradDtype', dtype);
  }
  return slopeBuffer(predictions, name, out, dtype ? [dtype] : allowed, accumulate, results);
}

/** The same for the gradient with respect to the target. */
export function targetGradBuffer(
  target: Tensor,
  name: string,
  out: TensorLike | undefined,
  accumulate: boolean,
  results: Results,
): Tensor {
  if (!isFloat(target.dtype)) {
    throw new TypeError(
      `Expected a dense target of floats for target, as its gradient is wanted, but received ${target.dtype} of shape ${showShape(target.shape)}`,
    );
  }
  return slopeBuffer(target, name, out, [target.dtype], accumulate, results);
}

/** The caller's buffer in the shape of `like`, or a new one with the first of the allowed dtypes. */
function slopeBuffer(
  like: Tensor,
  name: string,
  out: TensorLike | undefined,
  allowed: DType[],
  accumulate: boolean,
  results: Results,
): Tensor {
  const { shape } = like;
  if (out === undefined) {
    if (accumulate) throw needs('accumulate: true', `${name}, the gradient to add to`);
    return makeResult(shape, allowed[0] as DType, results);
  }
  const tensor = toTensorOn(results.device, out, name, allowed);
  if (!allowed.includes(tensor.dtype)) {
    throw new TypeError(
      `Expected dtype ${allowed.join(' or ')} for ${name} but received ${tensor.dtype}`,
    );
  }
  checkShape(tensor, shape, name);
  return tensor;
}
