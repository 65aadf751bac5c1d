// The options of the losses: LossOptions, and the additions of single classes.
import type { AllReduce } from '../calls/all-reduce.js';
import type { Absent, IgnoreIndex } from '../common/shared-options.js';

/** How a loss is defined. All of it is fixed when the loss is made. */
export interface LossOptions {
  /**
   * How predictions z become probabilities p: `'none'` p = z, `'sigmoid'` p = 1/(1+e^-z),
   * `'softmax'` p_c = e^z_c / sum_j e^z_j over the classes (needs two or more). Default `'none'`; `'softmax'` for
   * DiceCELoss and DiceFocalLoss. With `'none'` the predictions must be probabilities: values outside [0, 1] throw
   * ERR_LABEL_RANGE, see docs/errors.md.
   */
  activation?: 'none' | 'sigmoid' | 'softmax';
  /**
   * The power k in P = sum p^k and T = sum t^k: `'squared'` 2, `'linear'` 1. Default `'squared'`; `'linear'` for
   * TverskyLoss, GeneralizedDiceLoss and overlap `'minimum'`. MatthewsLoss has no such option: its sums are linear.
   */
  denominator?: 'squared' | 'linear';
  /**
   * The intersection I: `'product'` sum w*p*t, or `'minimum'` sum w*min(p, t). Default `'product'`.
   *
   * `'minimum'` needs the linear denominator, which is then the default. Its loss 1 - r is 0 exactly where p = t, for soft
   * targets too. DiceLoss and JaccardLoss with `'minimum'` are the semimetric losses of Wang et al. 2023, arXiv 2303.16296
   * and 2302.05666. The papers write I by L1 norms, |p - t| = P + T - 2I; this library sums min(p, t) itself, which loses
   * no digits. At p = t the derivative of min is taken as t. For 0/1 targets both overlaps give the same value and gradient.
   */
  overlap?: 'product' | 'minimum';
  /** s_n, added to the numerator. Default 0. */
  smoothNumerator?: number;
  /**
   * s_d, added to the denominator. Default 1e-7. With 0 a ratio whose denominator is 0, of voxels that are all ignored or of
   * p = t = 0, counts as 0: without a transform the loss is 1; the gradient is 0. `absent` may say otherwise.
   */
  smoothDenominator?: number;
  /**
   * How the loss L follows from the ratio r. Each loss class gives its r; without a transform L = 1 - r:
   *
   *     'none'      L = (1 - r)^(1/gamma)        gamma = 1: the loss itself; TverskyLoss with gamma = 4/3: focal Tversky
   *     'log'       L = (-log r)^gamma           log-Dice; gamma = 0.3: exponential-logarithmic
   *     'log-cosh'  L = log cosh(1 - r)
   *
   * Values and gradients are finite everywhere: r is limited to at most 1 and, for `'log'`, to at least 1e-12. Where r is
   * limited, and at r = 1, the gradient is 0. Sources: Abraham & Khan 2018, arXiv 1810.07842 (their alpha is our
   * beta); Wong et al. 2018, 1809.00076; Jadon 2020, 2006.14822. Default `'none'`.
   */
  transform?: 'none' | 'log' | 'log-cosh';
  /** The exponent gamma of the transform, finite and > 0. Cannot be combined with `'log-cosh'`. Default 1. */
  gamma?: number;
  /**
   * How a class with no target voxels is treated: `'formula'` as the formula gives, `'skip'` not counted, `'perfect'` L = 0,
   * `'worst'` L = 1. The last three have gradient 0. A class is absent where sum w*t = 0: in one sample or, with `batch` or
   * merged statistics, in all of them. Default `'formula'`; `'skip'` for transform `'log'`, whose formula would give an
   * absent class L = (log 1e12)^gamma.
   */
  absent?: Absent;
  /**
   * How the losses L of all samples and classes become the value: `'mean'` is the sum of weight_c * L over the counted
   * samples and classes, divided by their number; `'sum'` does not divide; `'none'` gives weight_c * L of each.
   * Default `'mean'`.
   *
   * Two kinds of losses give one number per sample with `'none'`: those that sum over the classes (GeneralizedDiceLoss,
   * GeneralizedWassersteinDiceLoss, MatthewsLoss with `average`), and compound losses (`crossEntropy` or `focal`), whose parts are reduced one by one.
   */
  reduction?: 'none' | 'mean' | 'sum';
  /** true: adds the sums over the batch, which gives one loss per class instead of one per sample and class. Default false. */
  batch?: boolean;
  /**
   * false: the overlap loss does not count class 0; softmax, cross-entropy and focal loss still include it. Needs two or more
   * classes. Default true.
   */
  background?: boolean;
  /**
   * weight_c: one number per class, class 0 included, finite and >= 0. They are not normalised. A class of weight 0 adds
   * nothing to the value and the gradient, even where its loss is infinite or NaN (logits of -Infinity forbid it, say). A
   * mean over the classes still counts that class. GeneralizedWassersteinDiceLoss applies the weights to A only.
   * Default: ones.
   */
  classWeights?: readonly number[] | Float64Array;
  /**
   * Voxels with this label, or with one of up to 16 labels, `[254, 255]`, contribute nothing and get gradient 0. Only for class
   * indices and masks of one class. An empty list is none, and a label that the target's dtype cannot hold occurs nowhere. A call
   * with several labels reads a copy of the target in which all are one, and holds it while it runs.
   * The rule for the index of a class, such as 0, is the same in losses and metrics: the class has no target voxels then, and
   * `absent` says what it counts. A loss counts it by default, with a loss of 1 (without smoothing and transform): leave it out by
   * `absent: 'skip'`, or class 0 by `background: false`.
   */
  ignoreIndex?: IgnoreIndex;
  /** `'channels-first'` [N, C, ...spatial] or `'channels-last'` [N, ...spatial, C]. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
  /**
   * Adds a cross-entropy, computed in the same pass over the logits: value = overlapWeight * overlap loss + weight * CE.
   * The overlap loss is that of the class, Dice for DiceLoss. Needs an activation. Default: none; `{}` for DiceCELoss.
   */
  crossEntropy?: CrossEntropyOptions;
  /** Adds a focal loss in the same way as `crossEntropy`. Default: none; `{}` for DiceFocalLoss. */
  focal?: FocalOptions;
  /** The weight of the overlap loss in a compound loss, finite and >= 0; 0 leaves it out. Default 1. */
  overlapWeight?: number;
  /**
   * A function that replaces the statistics of one call by those of all ranks (workers, processes, machines). `value`,
   * `valueAndGrad`, their Async forms and plans call it with the statistics of their predictions, before they compute the
   * loss. It returns statistics of the same shape, such as the sum over all ranks: then each rank gets the global loss and
   * its own part of the global gradient. Only the Async calls accept a promise; those that wait together call it in their
   * order. With tensors on a GPU only the Async calls work; the function gets the sums on the host. Default: none.
   */
  allReduce?: AllReduce;
  /**
   * `true`: the same bits, of value and gradient, on any number of ranks and in any order of adding, on the CPU. The parts that are
   * added are whole samples, or begin and end at multiples of {@link Loss.runVoxels} voxels of a sample (the last part of a sample ends where it ends), and all ranks
   * run the same instruction set ({@link simdTarget}); another one is an error. Every sum of a run of voxels is rounded to a multiple
   * of 2^-20, about 1e-6: such numbers add up without rounding while the sum is below 2^33, 8.6e9. Cannot be used with tensors on a
   * GPU or with {@link linearLogits}. Default `false`.
   */
  reproducible?: boolean;
}

/**
 * The cross-entropy, with the class weights k_c, the label smoothing s and, with sigmoid, the positive weight a_c. The sums are over the voxels and classes of the
 * whole batch, and the divisor is that of PyTorch. With softmax:
 *
 *     CE = sum w*k_c*t'_c*-log p_c / sum w*k_c*t_c        t' = (1-s)*t + s/C
 *
 * With sigmoid it is the binary cross-entropy:
 *
 *     CE = sum w*k_c*-(a_c*t'*log p + (1-t')*log(1-p)) / sum w*k_c        t' = (1-s)*t + s/2
 *
 * log p is computed from the logits (log-sum-exp), never from a rounded p, so that also large logits give an exact value: up to
 * 1e37 in magnitude in float32, where differences of larger ones may overflow to Infinity, and up to 1e305 in float64.
 * Reduction `'sum'` does not divide; `'none'` gives the mean within each sample.
 */
export interface CrossEntropyOptions {
  /** The weight of the cross-entropy in the value, finite and > 0. Default 1. */
  weight?: number;
  /** The label smoothing s, from 0 to 1. Default 0. */
  labelSmoothing?: number;
  /**
   * k_c of the cross-entropy alone, in place of the loss's `classWeights`: one number per class, finite and >= 0. With softmax
   * they are what `torch.nn.CrossEntropyLoss` calls `weight`, and the mean divides by them. Default: the loss's `classWeights`.
   */
  classWeights?: readonly number[] | Float64Array;
  /**
   * a_c, which multiplies the terms of the target 1: one number, or one per class, finite and >= 0. Only with sigmoid. It is
   * what `torch.nn.BCEWithLogitsLoss` calls `pos_weight`: the mean does not divide by it. Default 1.
   */
  positiveWeight?: number | readonly number[] | Float64Array;
}

/**
 * The focal loss of Lin et al. 2017, arXiv 1708.02002, with the class weights k_c, the exponent g and the balance alpha. The
 * sums are over voxels and classes. With softmax:
 *
 *     focal = sum w*k_c*alpha_c*t_c*(1-p_c)^g*-log p_c / sum w*k_c
 *
 * With sigmoid it is the binary focal loss, whose terms are alpha*t*(1-p)^g*-log p + (1-alpha)*(1-t)*p^g*-log(1-p). Without
 * alpha these factors are ones. Value and gradient are finite at every p > 0 and for every g. Reduction `'sum'` does not
 * divide; `'none'` gives the mean within each sample.
 */
export interface FocalOptions {
  /** The weight of the focal loss in the value, finite and > 0. Default 1. */
  weight?: number;
  /** The exponent g, finite and >= 0. With 0 it is the cross-entropy with another divisor. Default 2. */
  gamma?: number;
  /**
   * The balance alpha, by which the mean does not divide. With sigmoid one number from 0 to 1, or one per class: the weight of
   * the target 1, where 1 - alpha is that of the target 0, as in the paper and in torchvision, MONAI and smp. With softmax one
   * number per class, finite and >= 0; MONAI and kornia make [1 - a, a, a, ...] of one number a. Default: no factors, which is
   * twice the loss of alpha 0.5.
   */
  alpha?: number | readonly number[] | Float64Array;
}

/** The options of {@link TverskyLoss}. */
export interface TverskyOptions extends LossOptions {
  /** Weighs false positives, finite and >= 0. Default 0.5. */
  alpha?: number;
  /** Weighs false negatives, finite and >= 0. Default 0.5. */
  beta?: number;
}

/** The options of {@link UnifiedFocalLoss}. */
export interface UnifiedFocalOptions
  extends Omit<
    LossOptions,
    | 'activation'
    | 'denominator'
    | 'transform'
    | 'background'
    | 'crossEntropy'
    | 'focal'
    | 'overlapWeight'
  > {
  /** `'softmax'`, of two or more classes. */
  activation?: 'softmax';
  /** The weight of the focal cross-entropy beside 1 - lambda of the focal Tversky loss, from 0 to 1. Default 0.5. */
  lambda?: number;
  /** The weight of the foreground, and of what is missed of a class, from 0 to 1. Default 0.6. */
  delta?: number;
  /** How much easy voxels are suppressed and a class that is hard to match is enhanced, from 0 to below 1. Default 0.5. */
  gamma?: number;
  /** Whether gamma enhances the foreground alone and suppresses the background alone. Default true. */
  asymmetric?: boolean;
}

/** The options of {@link MatthewsLoss}. */
export interface MatthewsOptions
  extends Omit<LossOptions, 'denominator' | 'smoothNumerator' | 'smoothDenominator'> {
  /**
   * How several classes are combined: `'macro'` each has a coefficient of its own, `'micro'` one coefficient of the sums over the
   * classes, `'multiclass'` R_K. The last two have `absent` `'formula'` and `'skip'` only. Default `'macro'`.
   */
  average?: 'macro' | 'micro' | 'multiclass';
  /** s, added to each of TP, FP, FN and TN; finite and >= 0. Default 0. */
  smooth?: number;
}

/** The options of {@link GeneralizedDiceLoss}. */
export interface GeneralizedDiceOptions extends Omit<LossOptions, 'absent'> {
  /**
   * The weight w_c of a class: `'square'` 1/V_c^2, `'simple'` 1/V_c, `'uniform'` 1, with V_c = sum w*t of the sample, at least 1.
   * Default `'square'`.
   */
  weighting?: 'square' | 'simple' | 'uniform';
  /**
   * How an absent class (V_c = 0) is treated. `'formula'` gives it the largest w_c of the present classes, or 1 when no
   * class is present: its false positives then count like those of the rarest class. `'skip'` leaves it out.
   * Default `'formula'`.
   */
  absent?: 'formula' | 'skip';
}

/** The options of {@link GeneralizedWassersteinDiceLoss}. */
export interface GeneralizedWassersteinDiceOptions
  extends Omit<LossOptions, 'activation' | 'denominator' | 'overlap' | 'absent' | 'background'> {
  /** `'none'` for predictions that are probabilities and add up to 1 over the classes, or `'softmax'`. Default `'none'`. */
  activation?: 'none' | 'softmax';
  /** The matrix M: a row for each target class, a column for each predicted class; finite, >= 0, and 0 on the diagonal. */
  distances: readonly (readonly number[] | Float64Array)[];
  /** The background class b. A voxel of class c that is predicted as background has the distance M[c][b]. Default 0. */
  backgroundIndex?: number;
  /**
   * The weights of the classes: `'default'` those of the paper, k_c for all classes but b in A; `'GDL'` k_c/(V_c + 1) for all
   * classes, b included, in A and in the sum of I_c beside it. Default `'default'`.
   */
  weighting?: 'default' | 'GDL';
  /**
   * The distance D_c from which A measures how near a prediction is to class c: `'background'` M[c][b], so that a voxel taken for
   * background adds 0; `'largest'` the largest number of M, as in the authors' later program and in MONAI. Both are the same
   * where every class is at the largest distance from b. Default `'background'`; `'largest'` for weighting `'GDL'`, which
   * has no other.
   */
  measuredFrom?: 'background' | 'largest';
}

/** What CrossEntropyLoss and FocalLoss have in common. Every option means what it means in {@link LossOptions}. */
export interface PlainLossOptions
  extends Pick<
    LossOptions,
    'classWeights' | 'ignoreIndex' | 'reduction' | 'layout' | 'allReduce' | 'reproducible'
  > {
  /** `'softmax'` for exclusive classes (two or more), `'sigmoid'` for classes on their own. Default `'softmax'`. */
  activation?: 'softmax' | 'sigmoid';
}

/** The options of {@link CrossEntropyLoss}. */
export interface CrossEntropyLossOptions
  extends PlainLossOptions,
    Pick<CrossEntropyOptions, 'labelSmoothing' | 'positiveWeight'> {}

/** The options of {@link FocalLoss}. */
export interface FocalLossOptions extends PlainLossOptions, Pick<FocalOptions, 'gamma' | 'alpha'> {}
