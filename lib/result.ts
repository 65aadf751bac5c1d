// What the calls of a loss return.
import type { Prepared } from './call.js';
import type { ValueAndGradOptions, ValueOptions } from './options.js';
import type { Tensor } from './tensor.js';

/** The loss, reduced, and what it was reduced from. Both float64. */
export interface LossValue {
  /** Shape [] for reduction `'mean'` and `'sum'`; [N, C] or, pooled, [C] for `'none'` (0 where not counted). */
  readonly value: Tensor;
  /** L of every class, counted or not, without class weights: [N, C] or, pooled over the batch, [C]. */
  readonly perClass: Tensor;
}

export interface LossValueAndGrad extends LossValue {
  /** dL/dpredictions, in their shape. */
  readonly grad: Tensor;
}

/** `out` itself when it holds the very tensors, so that nothing is allocated. */
export function lossValue(call: Prepared, out: ValueOptions['out']): LossValue {
  if (out !== undefined && out.value === call.value && out.perClass === call.perClass) {
    return out as LossValue;
  }
  return { value: call.value as Tensor, perClass: call.perClass as Tensor };
}

export function lossValueAndGrad(
  call: Prepared,
  out: ValueAndGradOptions['out'],
): LossValueAndGrad {
  if (
    out !== undefined &&
    out.value === call.value &&
    out.perClass === call.perClass &&
    out.grad === call.grad
  ) {
    return out as LossValueAndGrad;
  }
  return {
    value: call.value as Tensor,
    perClass: call.perClass as Tensor,
    grad: call.grad as Tensor,
  };
}
