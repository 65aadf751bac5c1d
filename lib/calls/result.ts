// What the calls of a loss return.
import type { Tensor } from '../tensors/tensor.js';
import type { ValueAndGradOptions, ValueOptions } from './options.js';
import type { PreparedCall } from './prepared-call.js';

/** The loss, reduced, and what it was reduced from. Both float64. */
export interface LossValue {
  /**
   * Shape [] for reduction `'mean'` and `'sum'`; for `'none'` [N, C] or, pooled, [C] (0 where not counted), and [N] or,
   * pooled, [] for compound losses and those that sum over the classes.
   */
  readonly value: Tensor;
  /**
   * L of every class, counted or not, without class weights: [N, C] or, pooled over the batch, [C]. A loss that sums
   * over the classes says its L for each of them. Of a compound loss it is the overlap's.
   */
  readonly perClass: Tensor;
  /**
   * Of a compound loss: the overlap loss, the cross-entropy and the focal loss (0 where it has none), each reduced and
   * without its weight. Shape [3], or that of the value and then 3.
   */
  readonly parts?: Tensor;
}

/** The loss and its gradient. */
export interface LossValueAndGrad extends LossValue {
  /** dL/dpredictions, in their shape. */
  readonly grad: Tensor;
}

/** A call after all checks that has not run yet: at once, or off the event loop. */
export interface DeferredCall<Result> {
  readonly call: PreparedCall;
  run(): Result;
  runAsync(): Promise<Result>;
}

/** `out` itself when it holds the very tensors, so that nothing is allocated. */
export function lossValue(call: PreparedCall, out: ValueOptions['out']): LossValue {
  return holds(out, call) ? (out as LossValue) : valueTensors(call);
}

export function lossValueAndGrad(
  call: PreparedCall,
  out: ValueAndGradOptions['out'],
): LossValueAndGrad {
  if (holds(out, call) && out?.grad === call.grad) return out as LossValueAndGrad;
  return { ...valueTensors(call), grad: call.grad as Tensor };
}

const holds = (out: ValueOptions['out'], call: PreparedCall): boolean =>
  out !== undefined &&
  out.value === call.value &&
  out.perClass === call.perClass &&
  out.parts === call.parts;

function valueTensors({ value, perClass, parts }: PreparedCall): LossValue {
  const always = { value: value as Tensor, perClass: perClass as Tensor };
  return parts === undefined ? always : { ...always, parts };
}
