// The results of a loss's calls.

import type { LinearGrad } from '../head/linear-grad.js';
import type { Tensor } from '../tensors/tensor.js';
import type { Names } from './argument-names.js';
import type { LinearValueAndGradOptions, ValueAndGradOptions, ValueOptions } from './options.js';
import type { PreparedCall } from './prepared-call.js';

/** The result of {@link Loss.value}. All tensors are float64. */
export interface LossValue {
  /**
   * The loss after the reduction. Shape [] for `'mean'` and `'sum'`. For `'none'` [N, C], with 0 where a class is not
   * counted; compound losses, CrossEntropyLoss, FocalLoss and losses that sum over the classes have [N]. With `batch` the
   * axis N is missing.
   */
  readonly value: Tensor;
  /**
   * The loss L of every class, counted or not, without class weights: [N, C] or, with `batch`, [C]. A loss that sums
   * over the classes repeats its L for each class. A compound loss gives its overlap loss here; CrossEntropyLoss and
   * FocalLoss give the Dice loss, which is not in their value.
   */
  readonly perClass: Tensor;
  /**
   * The parts of a compound loss: overlap loss, cross-entropy, focal loss (0 for a part that the loss does not have). Each
   * is reduced, and without its weight. The shape is that of the value with one more axis of 3.
   */
  readonly parts?: Tensor;
}

/** The result of {@link Loss.valueAndGrad}. */
export interface LossValueAndGrad extends LossValue {
  /** dL/dpredictions, in their shape. */
  readonly grad: Tensor;
}

/** The result of {@link Loss.valueAndGrad} for {@link linearLogits}. */
export interface LinearValueAndGrad extends LossValue {
  /** dL/d of the features, the weight and the bias. */
  readonly grad: LinearGrad;
}

/** A checked call that has not run yet. `run` computes at once, `runAsync` off the event loop. */
export interface DeferredCall<Result> {
  readonly call: PreparedCall;
  run(): Result;
  runAsync(): Promise<Result>;
  /** The user's error for one of the addon, with these names of the arguments. */
  toUserError(error: unknown, names: Names): unknown;
}

/** Returns `out` itself when it holds the result tensors, so that nothing is allocated. */
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

export function lossLinearValueAndGrad(
  call: PreparedCall,
  out: LinearValueAndGradOptions['out'],
): LinearValueAndGrad {
  const grad = call.linearGrad as LinearGrad;
  const given = out?.grad;
  const same =
    given?.features === grad.features && given.weight === grad.weight && given.bias === grad.bias;
  if (same && holds(out, call)) return out as LinearValueAndGrad;
  return { ...valueTensors(call), grad };
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
