// The sum of the losses of several scales.
import { cuda } from '../devices/cuda.js';
import { callNative } from '../native/translate-error.js';
import type { Tensor } from '../tensors/tensor.js';

interface Term {
  weight: number;
  /** float64, in the shape of the sum. */
  value: Tensor;
}

/**
 * sum = sum_i weight_i * value_i. A term of weight 0 adds nothing, even when its value is NaN. On a GPU the sum is enqueued;
 * reading it throws the first label error of the calls that computed the values, as `toUserError` words it.
 */
export function addUp(
  terms: readonly Term[],
  sum: Tensor,
  toUserError: (error: unknown) => unknown,
): void {
  if (sum.device.kind === 'cuda') {
    addUpOnDevice(terms, sum);
    sum.storage.toUserError = toUserError;
  } else {
    for (let i = 0; i < sum.size; i++)
      sum.data[i] = terms.reduce((total, term) => total + numberOf(term, i), 0);
  }
}

const numberOf = ({ weight, value }: Term, i: number): number =>
  weight === 0 ? 0 : weight * (value.data[i] as number);

function addUpOnDevice(terms: readonly Term[], sum: Tensor): void {
  const { native } = sum.device.stream;
  const to = sum.storage;
  terms.forEach(({ weight, value: { storage } }, i) => {
    callNative(() => cuda().addWeighted(to.buffer, storage.buffer, weight, i === 0, native));
  });
}
