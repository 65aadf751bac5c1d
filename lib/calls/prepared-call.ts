// One call of a loss after all checks.
import type { NativeCall } from '../../binding.js';
import type { Device } from '../devices/device.js';
import type { LinearGrad } from '../head/linear-grad.js';
import type { LinearLogits } from '../head/linear-logits.js';
import { codeOf } from '../tensors/dtype.js';
import type { Tensor } from '../tensors/tensor.js';
import type { Names } from './argument-names.js';
import { blankCall, memoryOf } from './native-call.js';
import type { Statistics } from './statistics.js';

/** The record for the addon, and the tensors whose memory it names. */
export interface PreparedCall {
  /** Where it runs; all memory of `native` is there. */
  readonly device: Device;
  /** Whether it runs off the event loop. */
  readonly async: boolean;
  readonly native: NativeCall;
  /** The names of its arguments in messages. */
  readonly names: Names;
  /** With linearLogits: their features. */
  predictions: Tensor | undefined;
  /** The predictions, where they are linearLogits. */
  linear: LinearLogits | undefined;
  target: Tensor | undefined;
  weight: Tensor | undefined;
  /** sampleClassWeight. Every execution of a plan reads it and the next two again, because their numbers may have changed. */
  pairs: Tensor | undefined;
  upstream: Tensor | undefined;
  gradScale: number | Tensor;
  value: Tensor | undefined;
  perClass: Tensor | undefined;
  parts: Tensor | undefined;
  /** dL/dpredictions or, for step targetGradient, dL/dtarget. */
  grad: Tensor | undefined;
  /** The gradient with respect to linearLogits; `grad` is then that of the features, or undefined. */
  linearGrad: LinearGrad | undefined;
  statistics: Statistics | undefined;
  /** The results that were allocated for this call. */
  readonly made: Tensor[];
}

export function emptyCall(
  steps: number,
  device: Device,
  names: Names,
  async: boolean,
): PreparedCall {
  return {
    device,
    async,
    native: blankCall(steps),
    names,
    predictions: undefined,
    linear: undefined,
    target: undefined,
    weight: undefined,
    pairs: undefined,
    upstream: undefined,
    gradScale: 1,
    value: undefined,
    perClass: undefined,
    parts: undefined,
    grad: undefined,
    linearGrad: undefined,
    statistics: undefined,
    made: [],
  };
}

/** Gives the call its predictions and target. */
export function bindInputs(call: PreparedCall, predictions: Tensor, target: Tensor): void {
  call.predictions = predictions;
  call.target = target;
  call.native.predictions = memoryOf(predictions);
  call.native.target = memoryOf(target);
}

/** Gives the call the weights of its logits. Its predictions are the features. */
export function bindLinear(call: PreparedCall, linear: LinearLogits): void {
  const { native } = call;
  call.linear = linear;
  native.channels = linear.channels;
  native.headWeight = memoryOf(linear.weight);
  native.headBias = linear.bias && memoryOf(linear.bias);
  native.headType = native.headGradType = codeOf(linear.weight.dtype);
}

/** Disposes the results of a call that failed. The garbage collector would free them late, and on a GPU too late. */
export function release({ made }: PreparedCall): void {
  for (const result of made) result.dispose();
}
