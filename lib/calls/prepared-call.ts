// One call of a loss after all checks.
import type { NativeCall } from '../../binding.js';
import type { Device } from '../devices/device.js';
import type { Tensor } from '../tensors/tensor.js';
import type { Names } from './argument-names.js';
import { blankCall, memoryOf } from './native-call.js';
import type { Statistics } from './statistics.js';

/** The record for the addon, and the tensors whose memory it names. */
export interface PreparedCall {
  /** Where it runs; all memory of `native` is there. */
  readonly device: Device;
  readonly native: NativeCall;
  /** The names of its arguments in messages. */
  readonly names: Names;
  predictions: Tensor | undefined;
  target: Tensor | undefined;
  weight: Tensor | undefined;
  /** Every execution of a plan reads both again, because their numbers may have changed. */
  upstream: Tensor | undefined;
  gradScale: number | Tensor;
  value: Tensor | undefined;
  perClass: Tensor | undefined;
  parts: Tensor | undefined;
  /** dL/dpredictions or, for step targetGradient, dL/dtarget. */
  grad: Tensor | undefined;
  statistics: Statistics | undefined;
  /** The results that were allocated for this call. */
  readonly made: Tensor[];
}

export function emptyCall(steps: number, device: Device, names: Names): PreparedCall {
  return {
    device,
    native: blankCall(steps),
    names,
    predictions: undefined,
    target: undefined,
    weight: undefined,
    upstream: undefined,
    gradScale: 1,
    value: undefined,
    perClass: undefined,
    parts: undefined,
    grad: undefined,
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

/** Disposes the results of a call that failed. The garbage collector would free them late, and on a GPU too late. */
export function release({ made }: PreparedCall): void {
  for (const result of made) result.dispose();
}
