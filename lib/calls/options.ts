// What one call adds to a loss.
import type { DType } from '../tensors/dtype.js';
import type { TensorLike } from '../tensors/tensor.js';

/** What one call adds. */
export interface CallOptions {
  /**
   * w per voxel: the predictions' shape without the class axis; uint8 or any float dtype. Applied after the
   * activation. A voxel of weight 0 contributes nothing, even if it is NaN, and gets gradient 0. Meant to be >= 0, which
   * is not checked; NaN makes the loss NaN. Default ones.
   */
  weight?: TensorLike;
}

/** Buffers of the caller for the results of {@link Loss.value}. */
export interface ValueOut {
  /** float64, the shape of the value. */
  value?: TensorLike;
  /** float64, [N, C] or, pooled, [C]. */
  perClass?: TensorLike;
  /** float64, the shape of the value and then 3. For compound losses. */
  parts?: TensorLike;
}

/** What a call of {@link Loss.value} adds. */
export interface ValueOptions extends CallOptions {
  /** The caller's buffers for the results. */
  out?: ValueOut;
}

/** What a call of {@link Loss.gradient} adds. */
export interface GradientOptions extends CallOptions {
  /** Multiplies the gradient before it is rounded: a number, or a tensor of one float32 or float64. Default 1. */
  gradScale?: number | TensorLike;
  /** `'float32'` for a gradient that half precision would round to 0. Default: the dtype of the predictions. */
  gradDtype?: DType;
  /** Adds the gradient to `out.grad`, which is then needed. Default false. */
  accumulate?: boolean;
  /** dL/dvalue for reduction `'none'`, where it is needed: float64 or float32, the shape of the value. */
  upstream?: TensorLike;
  /**
   * For statistics of more samples than these predictions hold (micro-batches or shards, joined by
   * {@link Statistics.concat}): which of those samples the first of these is. Not with `batch`, where all samples are
   * one. `upstream` is then that of all samples. Default: the statistics are those of exactly these samples.
   */
  sampleOffset?: number;
  /** The caller's buffer for the gradient, in the shape of the predictions; their own memory replaces them. */
  out?: { grad?: TensorLike };
}

/** What a call of {@link Loss.targetGradient} adds. */
export interface TargetGradientOptions extends Omit<GradientOptions, 'out' | 'gradDtype'> {
  /** The caller's buffer for the gradient, in the shape and dtype of the target. */
  out?: { targetGrad?: TensorLike };
}

/** What a call of {@link Loss.valueAndGrad} adds. */
export interface ValueAndGradOptions extends Omit<GradientOptions, 'out' | 'sampleOffset'> {
  /** The caller's buffers for the results; `grad` in the shape of the predictions, or their own memory. */
  out?: ValueOut & { grad?: TensorLike };
}
