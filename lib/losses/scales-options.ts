// The options and the result of a deep supervision.
import type {
  LinearValueAndGradOptions,
  SampleClassOptions,
  ValueAndGradOptions,
  ValueOptions,
} from '../calls/options.js';
import type { LossValue } from '../calls/result.js';
import type { LinearAccumulate } from '../head/linear-grad.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';

/** What {@link DeepSupervision} expects of the shapes of its predictions. */
export interface DeepSupervisionOptions {
  /** One of the predictions has the target's size. false: all may be smaller. Default true. */
  fullSize?: boolean;
  /**
   * The target's size is scaled by one factor on every axis, where halves may be rounded up or down. false: by a factor for
   * each axis, as in a network that pools the axes of anisotropic volumes differently. Default true.
   */
  sameRatio?: boolean;
}

/** The options of {@link DeepSupervision.value}. */
export interface ScalesOptions<Out = ValueOptions['out']> extends SampleClassOptions {
  /** A weight per voxel of the target, resampled like the target. Default ones. */
  weight?: TensorLike;
  /** Buffers for the results: `value`, and for each scale an `out` of {@link Loss.value}. Default: new tensors. */
  out?: { value?: TensorLike; scales?: readonly Out[] };
}

/** The options of {@link DeepSupervision.valueAndGrad}. */
export interface ScalesAndGradsOptions<Out = ValueAndGradOptions['out'], Accumulate = boolean>
  extends ScalesOptions<Out> {
  /** Multiplies every gradient, together with the weight of its scale, before the gradient is rounded. Default 1. */
  gradScale?: number;
  /** `'float32'` avoids gradients that half precision would round to 0. Default: the dtype of the predictions. */
  gradDtype?: ValueAndGradOptions['gradDtype'];
  /** true: adds the gradients to those in `out.scales`. Default false. */
  accumulate?: Accumulate;
  /** dL/dvalue in the shape of the value. Required for reduction `'none'`, refused otherwise. */
  upstream?: TensorLike;
}

/** The options of {@link DeepSupervision.valueAndGrad} for {@link linearLogits}. */
export type LinearScalesAndGradsOptions = ScalesAndGradsOptions<
  LinearValueAndGradOptions['out'],
  boolean | LinearAccumulate
>;

/** The result of {@link DeepSupervision}: the weighted sum, and the results of each scale. */
export interface ScalesValue<Scale = LossValue> {
  /** sum_i weight_i * value_i, float64, in the shape of one scale's value. */
  readonly value: Tensor;
  /** One result per scale, in the order of the predictions. The gradients include the weight of the scale, the values do not. */
  readonly scales: readonly Scale[];
}

/** @internal */
export type AnyScalesAndGradsOptions = ScalesAndGradsOptions | LinearScalesAndGradsOptions;
/** @internal */
export type AnyOut = ValueAndGradOptions['out'] | LinearValueAndGradOptions['out'];
