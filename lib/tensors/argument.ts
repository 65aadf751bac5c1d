// From what the caller gives to tensors that can be used.
import { checkKeys, sameShape, showShape, typeError } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import type { Device } from '../devices/device.js';
import { DeviceStorage } from './device-storage.js';
import { Tensor, type TensorLike } from './tensor.js';

/** The tensor that an argument stands for, checked to still have its memory. */
export function toTensor(value: TensorLike, name: string): Tensor {
  if (!(value instanceof Tensor)) {
    if (typeof value !== 'object' || value === null) {
      throw typeError('a Tensor or { data, shape, dtype? }', name, value);
    }
    checkKeys(value, name, ['data', 'shape', 'dtype']);
    return Tensor.fromNamed(value.data, value.shape, value.dtype, name);
  }
  if (!Tensor.isWhole(value)) {
    throw new TypeError(
      `Expected a Tensor for ${name} but received a Proxy of one, or its prototype alone`,
    );
  }
  const { memory } = value;
  if (memory === undefined) {
    throw new WarpDiceError(
      'ERR_DISPOSED',
      `Expected a live tensor for ${name} but received a disposed one`,
    );
  }
  if (!(memory instanceof DeviceStorage) && memory.length !== value.size) {
    throw new TypeError(
      `Expected ${value.size} elements for ${name} but its ArrayBuffer was detached or resized and has ${memory.length}`,
    );
  }
  return value;
}

/** {@link toTensor}, on the device of the predictions. */
export function toTensorOn(device: Device, value: TensorLike, name: string): Tensor {
  const tensor = toTensor(value, name);
  if (tensor.device === device) return tensor;
  throw new TypeError(
    `Expected a tensor on ${device}, as the predictions are, for ${name} but received one on ${tensor.device}`,
  );
}

export function checkShape(tensor: Tensor, shape: readonly number[], name: string): void {
  if (sameShape(tensor.shape, shape)) return;
  throw new RangeError(
    `Expected shape ${showShape(shape)} for ${name} but received ${showShape(tensor.shape)}`,
  );
}
