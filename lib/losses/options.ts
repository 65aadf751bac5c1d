// What a loss is (LossOptions, and what single classes add) and what one call adds.
import type { AllReduce } from '../calls/all-reduce.js';
import type { Absent } from '../metrics/scores.js';
import type { DType } from '../tensors/dtype.js';
import type { TensorLike } from '../tensors/tensor.js';

/** How a loss is defined. All of it is fixed when the loss is made. */
export interface LossOptions {
  /**
   * What turns the predictions z into probabilities p: `'none'` p = z, `'sigmoid'` p = 1/(1+e^-z),
   * `'softmax'` p_c = e^z_c / sum_j e^z_j over the classes (needs two or more). Default `'none'`; `'softmax'` for
   * DiceCELoss and DiceFocalLoss. Under `'none'` the predictions must be probabilities. Logits are noticed only where the
   * sums of a loss's first calls give them away: a process warning of code `WARPDICE_LOGITS`, see docs/errors.md.
   */
  activation?: 'none' | 'sigmoid' | 'softmax';
  /**
   * The power k in P = sum p^k and T = sum t^k: `'squared'` 2, `'linear'` 1. Default `'squared'`; `'linear'` for
   * TverskyLoss, GeneralizedDiceLoss and overlap `'minimum'`.
   */
  denominator?: 'squared' | 'linear';
  /**
   * What I is: `'product'` sum w*p*t, or `'minimum'` sum w*min(p, t). With the minimum and the linear denominator
   * (which is then the default, and needed) 1 - r is 0 exactly where p = t, for soft targets too: DiceLoss and
   * JaccardLoss are then the semimetric losses of Wang et al. 2023, arXiv 2303.16296 and 2302.05666, whose L1 norms are
   * P + T - 2I; here I is summed itself and loses no digits. At p = t the derivative of min is taken
   * as t. For 0/1 targets both are the same, gradients too. Default `'product'`.
   */
  overlap?: 'product' | 'minimum';
  /** s_n, added to the numerator. Default 0. */
  smoothNumerator?: number;
  /** s_d, added to the denominator. Default 1e-7. */
  smoothDenominator?: number;
  /**
   * What L is of the ratio r that the class states (1 - r is its loss):
   *
   *     'none'      L = (1 - r)^(1/gamma)        gamma = 1: the loss itself; TverskyLoss with gamma = 4/3: focal Tversky
   *     'log'       L = (-log r)^gamma           log-Dice; gamma = 0.3: exponential-logarithmic
   *     'log-cosh'  L = log cosh(1 - r)
   *
   * Finite everywhere, with finite gradients: r is taken as at most 1 and, under the logarithm, at least 1e-12; where
   * that acts, and at r = 1, the gradient is 0. Sources: Abraham & Khan 2018, arXiv 1810.07842 (whose alpha is our
   * beta); Wong et al. 2018, 1809.00076; Jadon 2020, 2006.14822. Default `'none'`.
   */
  transform?: 'none' | 'log' | 'log-cosh';
  /** gamma > 0 of the transform; not for `'log-cosh'`. Default 1. */
  gamma?: number;
  /**
   * What a class without any target (sum w*t = 0, judged on the sums that the loss is made of) does: `'formula'` what
   * the formula gives, `'skip'` it is not counted, `'perfect'` L = 0, `'worst'` L = 1, the last three with gradient 0.
   * Default `'formula'`; `'skip'` for transform `'log'`, where an absent class would have L = (log 1e12)^gamma.
   */
  absent?: Absent;
  /**
   * What becomes of the losses L of every (sample, class): `'mean'` sum of weight_c * L over the counted ones divided
   * by their number, `'sum'` without the division, `'none'` weight_c * L of each. Default `'mean'`.
   *
   * A loss that sums over the classes (generalized, Wasserstein) has one L per sample, and a compound one (see crossEntropy) is
   * reduced part by part: there `'none'` gives one number per sample.
   */
  reduction?: 'none' | 'mean' | 'sum';
  /** Pools the sums over the batch: one loss per class instead of one per sample and class. Default false. */
  batch?: boolean;
  /** false: class 0 is not counted; softmax and cross-entropy still see it. Needs two or more classes. Default true. */
  background?: boolean;
  /**
   * weight_c, one per class (class 0 included), finite and >= 0. Not normalised. A class of weight 0 adds nothing to the
   * value and its gradient, even where its loss is infinite or NaN: one that is forbidden by logits of -Infinity, say. A
   * mean over the classes still counts it. (The Wasserstein loss weighs its A alone.) Default ones.
   */
  classWeights?: readonly number[] | Float64Array;
  /** Voxels with this label contribute nothing and get gradient 0. For labels, and for masks of one class. */
  ignoreIndex?: number;
  /** `'channels-first'` [N, C, ...spatial] or `'channels-last'` [N, ...spatial, C]. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
  /**
   * Adds a cross-entropy, from the same pass over the logits; needs an activation. value = overlapWeight * the loss of
   * the class + weight * CE. Default: none; `{}` for DiceCELoss.
   */
  crossEntropy?: CrossEntropyOptions;
  /** Adds a focal loss in the same way. Default: none; `{}` for DiceFocalLoss. */
  focal?: FocalOptions;
  /** lambda of the overlap loss in a compound one, finite and >= 0; 0 leaves it out. Default 1. */
  overlapWeight?: number;
  /**
   * Called by value, valueAndGrad (and their Async forms) and plans with the statistics of these predictions, before
   * anything is made of them. What it returns takes their place: the same statistics added up over all ranks, say, so
   * that each rank gets the global loss and its part of the global gradient. It must be of the same shape. A promise
   * is for the Async calls only; with tensors on a GPU it is called by them alone, with the sums on the host. Default: none.
   */
  allReduce?: AllReduce;
}

/**
 * With softmax, over the voxels with k_c the class weight and s the label smoothing
 *
 *     CE = sum w*k_c*t'_c*-log p_c / sum w*k_c*t_c        t' = (1-s)*t + s/C
 *
 * over the whole batch, as PyTorch divides; with sigmoid the binary one,
 *
 *     CE = sum w*k_c*-(t'*log p + (1-t')*log(1-p)) / sum w*k_c        t' = (1-s)*t + s/2
 *
 * From the log-sum-exp, never from the logarithm of a rounded p: logits of any size give the exact value. Reduction
 * `'sum'` does not divide, `'none'` is the mean within each sample.
 */
export interface CrossEntropyOptions {
  /** lambda_ce, finite and > 0. Default 1. */
  weight?: number;
  /** s, from 0 to 1. Default 0. */
  labelSmoothing?: number;
}

/**
 * With softmax
 *
 *     focal = sum w*k_c*t_c*(1-p_c)^g*-log p_c / sum w*k_c
 *
 * over voxels and classes, with the class weights k_c; with sigmoid the binary one, t*(1-p)^g*-log p and the same of
 * 1-t and 1-p. Finite, with finite gradients, at every p > 0 and for every g. Reduction `'sum'` does not divide,
 * `'none'` is the mean within each sample. Lin et al. 2017, arXiv 1708.02002.
 */
export interface FocalOptions {
  /** lambda_focal, finite and > 0. Default 1. */
  weight?: number;
  /** g, finite and >= 0; 0 is the cross-entropy, but for its divisor. Default 2. */
  gamma?: number;
}

/** {@link LossOptions}, and those of {@link TverskyLoss} alone. */
export interface TverskyOptions extends LossOptions {
  /** Weighs false positives, finite and >= 0. Default 0.5. */
  alpha?: number;
  /** Weighs false negatives, finite and >= 0. Default 0.5. */
  beta?: number;
}

/** {@link LossOptions}, and those of {@link GeneralizedDiceLoss} alone. */
export interface GeneralizedDiceOptions extends Omit<LossOptions, 'absent'> {
  /** w_c: `'square'` 1/V_c^2, `'simple'` 1/V_c, `'uniform'` 1, with V_c = sum w*t of the sample. Default `'square'`. */
  weighting?: 'square' | 'simple' | 'uniform';
  /**
   * An absent class (V_c = 0): `'formula'` gives it the largest w_c of the present classes (1 where there is none), so
   * that its false positives count like those of the rarest class (and its I, which is 0 unless overlap `'minimum'` meets
   * a negative p); `'skip'` leaves it out. Default `'formula'`.
   */
  absent?: 'formula' | 'skip';
}

/** {@link LossOptions} as far as they make sense, and those of {@link GeneralizedWassersteinDiceLoss} alone. */
export interface GeneralizedWassersteinDiceOptions
  extends Omit<LossOptions, 'activation' | 'denominator' | 'overlap' | 'absent' | 'background'> {
  /** Probabilities that add up to 1: `'none'` or `'softmax'`. Default `'none'`. */
  activation?: 'none' | 'softmax';
  /** M: one row per class of the target, one number per predicted class; finite, >= 0, and 0 for equal classes. */
  distances: readonly (readonly number[] | Float64Array)[];
  /** b, the class whose distance a class has when nothing of it is found. Default 0. */
  backgroundIndex?: number;
}

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
