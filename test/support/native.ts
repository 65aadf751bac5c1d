// What a loss tells the addon, and calls of it, by name.
import type { NativeCall, NativeLossOptions } from '../../binding.js';
import { blankCall } from '../../lib/calls/native-call.js';
import { Activation, DTypeCode, LossKind, Reduction, Step } from '../../lib/native/codes.js';

/** Dice, squared, of a softmax, its mean over samples and classes, without smoothing. */
export const plainOptions: NativeLossOptions = {
  kind: LossKind.dice,
  reduction: Reduction.mean,
  activation: Activation.softmax,
  pooled: false,
  background: true,
  squared: true,
  channelsLast: false,
  smoothNumerator: 0,
  smoothDenominator: 0,
  ignoreIndex: undefined,
  classWeights: undefined,
};

/** The steps of valueAndGrad. */
export const valueAndGradSteps = Step.statistics | Step.finalize | Step.gradient;
/** The same with the gradient of the target. */
export const everyStep = valueAndGradSteps | Step.targetGradient;

/** A call that says only this. */
export const nativeCall = <Fields extends Partial<NativeCall>>(
  fields: Fields,
): NativeCall & Fields => ({ ...blankCall(0), ...fields });

const dtypeOf = {
  Float32Array: DTypeCode.float32,
  Float64Array: DTypeCode.float64,
  Uint8Array: DTypeCode.uint8,
  Int32Array: DTypeCode.int32,
  BigInt64Array: DTypeCode.int64,
};

/** The code of an array's dtype. */
export const codeOfArray = (array: { [Symbol.toStringTag]: keyof typeof dtypeOf }): number =>
  dtypeOf[array[Symbol.toStringTag]];
