// The arrays of a network's gradients that ranks add up.
import { typeError } from '../common/check.js';
import { toTensor } from '../tensors/argument.js';
import { floats } from '../tensors/dtype.js';
import type { TensorLike } from '../tensors/tensor.js';
import { type Float16Like, kindOf, type TypedArray } from '../tensors/typed-array.js';

export interface Numbers {
  data: TypedArray;
  dtype: 'float32' | 'float64' | 'float16' | 'bfloat16';
}

const dtypeOf = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  Float16Array: 'float16',
} as const;

export function checkNumbers(value: TypedArray | Float16Like | TensorLike, name: string): Numbers {
  if (ArrayBuffer.isView(value)) {
    const dtype = dtypeOf[kindOf(value) as keyof typeof dtypeOf];
    if (dtype !== undefined) return { data: value as TypedArray, dtype };
    const advice =
      kindOf(value) === 'Uint16Array'
        ? "for halves pass { data, shape, dtype: 'float16' } or 'bfloat16'"
        : undefined;
    const expected = 'a Float32Array, Float64Array, Float16Array or a tensor of floats';
    throw typeError(expected, name, value, advice);
  }
  const tensor = toTensor(value as TensorLike, name, floats);
  if (tensor.device.kind === 'cpu') {
    return { data: tensor.data as TypedArray, dtype: tensor.dtype as Numbers['dtype'] };
  }
  throw typeError('a tensor on the host', name, tensor.device, 'read() copies one to the host');
}
