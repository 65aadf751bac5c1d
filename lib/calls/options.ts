// The options of a call.

import type { LinearAccumulate, LinearGradOut } from '../head/linear-grad.js';
import type { DType } from '../tensors/dtype.js';
import type { TensorLike } from '../tensors/tensor.js';

/** The options that every call has. */
export interface CallOptions {
  /**
   * The weight w of each voxel, in the predictions' shape without the class axis; uint8 or any float dtype. Applied after
   * the activation. A voxel of weight 0 is not read: it contributes nothing and gets gradient 0, whatever its predictions and
   * its target are (NaN, a label that is no class). Weights should be >= 0; this is not checked. A NaN weight makes the loss
   * NaN. Default ones.
   *
   * In the shape of the predictions it is a weight w_c of each class of each voxel, for labels that say nothing about some
   * classes (partial annotation). Each sum of class c then has w_c in place of w, wherever a formula has a w: with softmax the
   * cross-entropy and the focal loss of a voxel have the weight of the target's class, and all classes still share the
   * softmax. The weights of a voxel that `ignoreIndex` leaves out are 0. A class of weight 0 adds nothing to the sums. Its
   * gradient is 0 unless it is mixed with classes that count, by softmax or the distances of
   * {@link GeneralizedWassersteinDiceLoss}; then its predictions must not be NaN. {@link SegmentationMetrics} takes such
   * weights for decision `'threshold'`.
   */
  weight?: TensorLike;
}

/** Your buffers for the results of {@link Loss.value}. A result without a buffer gets a new tensor. */
export interface ValueOut {
  /** float64, in the shape of {@link LossValue.value}. */
  value?: TensorLike;
  /** float64, [N, C] or, with `batch`, [C]. */
  perClass?: TensorLike;
  /** float64, in the shape of the value with one more axis of 3. Only for compound losses. */
  parts?: TensorLike;
}

/** The option of calls that compute a value, or a gradient of one. */
export interface SampleClassOptions {
  /**
   * [N, C], float64, float32 or uint8, finite and >= 0: the weight a_nc of class c of sample n, for data sets in which each
   * sample has annotations of some classes. The pair counts a_nc times, as if the sample were so often in the batch for that class:
   * its loss is multiplied by a_nc, and a mean divides by the sum of the a_nc instead of the number of pairs,
   *
   *     mean = sum_nc a_nc k_c L_nc / sum_nc a_nc    over the counted pairs; k_c are the `classWeights`
   *
   * - Weight 0 removes the pair: its term and the gradient of that, even where it is infinite or NaN.
   * - The cross-entropy and the focal loss of the pair are multiplied by a_nc too, as is its part of the weights that their means
   *   divide by. With softmax a voxel's cross-entropy is that of its target's class.
   * - With `batch` the sums I, P, T, ... of the sample's class are multiplied by a_nc before they are added up, as a `weight` per
   *   class and voxel does. A class whose sum of weights W is 0 then is not counted, whatever `absent` says.
   * - Losses that sum over the classes of a sample (GeneralizedDiceLoss, MatthewsLoss with `average`): a_nc multiplies the class's
   *   weight k_c in that sum, and a sample is counted where a class of it is.
   * - `perClass` has the losses L_nc, not multiplied. Reduction `'none'` gives a_nc k_c L_nc.
   *
   * GeneralizedWassersteinDiceLoss has no terms of single classes and refuses it, as does `reproducible` with `batch`. On a GPU
   * the numbers are not checked. An `allReduce` hook runs with it. Statistics do not hold it, so {@link Loss.statistics} refuses it:
   * pass it to {@link Loss.fromStatistics}, {@link Loss.gradient} and {@link Loss.targetGradient}, [N, C] of all samples of the
   * statistics. With `batch`, where it would change the sums, these refuse it: use `weight`. Default ones.
   */
  sampleClassWeight?: TensorLike;
}

/** The options of {@link Loss.value}. */
export interface ValueOptions extends CallOptions, SampleClassOptions {
  /** Your buffers for the results. Default: new tensors. */
  out?: ValueOut;
}

/** The options of {@link Loss.fromStatistics}. */
export interface FromStatisticsOptions extends SampleClassOptions {
  /** Your buffers for the results. Default: new tensors. */
  out?: ValueOut;
}

/** The options of {@link Loss.gradient}. */
export interface GradientOptions extends CallOptions, SampleClassOptions {
  /** Multiplies the gradient before it is rounded: a number, or a tensor of one float32 or float64. Default 1. */
  gradScale?: number | TensorLike;
  /** `'float32'` avoids a gradient that half precision would round to 0. Default: the dtype of the predictions. */
  gradDtype?: DType;
  /** true: adds the gradient to `out.grad`, which is then required. Default false. */
  accumulate?: boolean;
  /** dL/dvalue in the shape of the value, float64 or float32. Required for reduction `'none'`, refused otherwise. */
  upstream?: TensorLike;
  /**
   * The index, among the samples of the statistics, of the first sample of these predictions. For statistics of more
   * samples than the predictions hold: micro-batches or shards, joined by {@link Statistics.concat}. `upstream` then covers
   * all samples of the statistics. Cannot be combined with `batch`. Default: the statistics cover exactly these samples.
   */
  sampleOffset?: number;
  /** Your buffer for the gradient, in the shape of the predictions. It may be their memory, which is then overwritten. */
  out?: { grad?: TensorLike };
}

/** The options of {@link Loss.targetGradient}. */
export interface TargetGradientOptions extends Omit<GradientOptions, 'out' | 'gradDtype'> {
  /** Your buffer for the gradient, in the shape and dtype of the target. */
  out?: { targetGrad?: TensorLike };
}

/** The options of {@link Loss.valueAndGrad}. */
export interface ValueAndGradOptions extends Omit<GradientOptions, 'out' | 'sampleOffset'> {
  /** Your buffers for the results. `grad` has the shape of the predictions and may be their memory. */
  out?: ValueOut & { grad?: TensorLike };
}

/** The options of {@link Loss.gradient} for {@link linearLogits}. */
export interface LinearGradientOptions extends Omit<GradientOptions, 'out' | 'accumulate'> {
  /** true: adds the gradient to `out.grad`, all parts of it or those named. Their buffers are then required. Default false. */
  accumulate?: boolean | LinearAccumulate;
  /** Your buffers for the parts of the gradient. null leaves a part out and saves its work. */
  out?: { grad?: LinearGradOut };
}

/** The options of {@link Loss.valueAndGrad} for {@link linearLogits}. */
export interface LinearValueAndGradOptions
  extends Omit<LinearGradientOptions, 'out' | 'sampleOffset'> {
  /** Your buffers for the results. null leaves a part of the gradient out and saves its work. */
  out?: ValueOut & { grad?: LinearGradOut };
}
