// Turns the caller's arguments into tensors.
import { checkKeys, isPromise, sameShape, showShape, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { isOfAnotherCopy } from '../common/own.js';
import type { Device } from '../devices/device.js';
import type { DType } from './dtype.js';
import { Tensor, type TensorLike } from './tensor.js';
import { lengthOf, type TypedArray } from './typed-array.js';

/** The tensor that an argument stands for, checked to still have its memory. takes: the dtypes of the argument. */
export function toTensor(value: TensorLike, name: string, takes?: readonly DType[]): Tensor {
  if (Tensor.isWhole(value)) {
    expectMemory(value, name);
    return value;
  }
  if (value instanceof Tensor) {
    throw new TypeError(
      `Expected a Tensor for ${name} but received a Proxy of one, or its prototype alone: pass the Tensor itself`,
    );
  }
  if (!describesTensor(value)) throw notATensor(value, name);
  checkKeys(value, name, ['data', 'shape', 'dtype']);
  return Tensor.fromNamed(value.data, value.shape, value.dtype, name, takes);
}

/** Throws for a disposed tensor. */
export function expectLive(tensor: Tensor, name: string): void {
  if (Tensor.memoryOf(tensor) !== undefined) return;
  throw new WarpDiceError(
    'ERR_DISPOSED',
    `Expected a live tensor for ${name} but received a disposed one`,
  );
}

/** Throws for a tensor that was disposed, or whose array has another number of elements by now. */
export function expectMemory(tensor: Tensor, name: string): void {
  expectLive(tensor, name);
  if (tensor.device.kind !== 'cpu') return;
  const length = lengthOf(Tensor.memoryOf(tensor) as TypedArray);
  if (length === tensor.size) return;
  throw new TypeError(
    `Expected ${tensor.size} elements for ${name} but its ArrayBuffer was detached or resized and holds ${length}`,
  );
}

/** Whether the value looks like { data, shape }, even with wrong parts. An array of numbers does not. */
function describesTensor(value: unknown): value is Exclude<TensorLike, Tensor> {
  if (typeof value !== 'object' || value === null) return false;
  if (ArrayBuffer.isView(value) || Array.isArray(value) || isPromise(value)) return false;
  if (isOfAnotherCopy(value) || hasDims(value)) return false;
  return 'data' in value || ('shape' in value && !isTensorFlows(value));
}

const isTensorFlows = (value: object): value is { dataSync: unknown } =>
  typeof (value as { dataSync?: unknown }).dataSync === 'function';

/** As tensors of ONNX Runtime have. */
const hasDims = (value: object): boolean =>
  Array.isArray((value as { dims?: unknown }).dims) && !Object.hasOwn(value, 'shape');

/** The error for a value that is not a tensor, with advice for common mistakes. */
function notATensor(value: unknown, name: string): TypeError {
  let advice: string | undefined;
  if (ArrayBuffer.isView(value)) {
    advice = 'add its shape, as in { data, shape: [samples, classes, height, width] }';
  } else if (Array.isArray(value)) {
    advice = 'put the numbers into a typed array, Float32Array.from(numbers), and add its shape';
  } else if (typeof value === 'object' && value !== null && isTensorFlows(value)) {
    advice =
      'use tfLoss of warpdice/tfjs, or pass { data: tensor.dataSync(), shape: tensor.shape }';
  } else if (typeof value === 'object' && value !== null && hasDims(value)) {
    advice = `write { data: ${name}.data, shape: ${name}.dims }`;
  } else if (name === 'target' && typeof value === 'object' && value !== null) {
    advice = 'the target comes second, the options of a call third';
  }
  return typeError('a Tensor or { data, shape }', name, value, advice);
}

/** {@link toTensor}, on the device of the predictions. */
export function toTensorOn(
  device: Device,
  value: TensorLike,
  name: string,
  takes?: readonly DType[],
): Tensor {
  const tensor = toTensor(value, name, takes);
  if (tensor.device === device) return tensor;
  throw new TypeError(
    `Expected a tensor on ${device}, as the predictions are, for ${name} but received one on ${tensor.device}: use to(device)`,
  );
}

export function checkShape(tensor: Tensor, shape: readonly number[], name: string): void {
  if (sameShape(tensor.shape, shape)) return;
  throw new RangeError(
    `Expected shape ${showShape(shape)} for ${name} but received ${showShape(tensor.shape)}`,
  );
}
