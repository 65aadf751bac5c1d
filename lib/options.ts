import type { NativeLossOptions } from '../binding.js';
import type { AllReduce } from './all-reduce.js';
import {
  checkFlag,
  checkKeys,
  checkNonNegative,
  checkOneOf,
  rangeError,
  typeError,
} from './check.js';
import type { DType } from './dtype.js';
import type { TensorLike } from './tensor.js';

const activations = ['none', 'sigmoid', 'softmax'] as const;
const reductions = ['none', 'mean', 'sum'] as const;

/** How a loss is defined. All of it is fixed when the loss is made. */
export interface LossOptions {
  /**
   * What turns the predictions z into probabilities p: `'none'` p = z, `'sigmoid'` p = 1/(1+e^-z),
   * `'softmax'` p_c = e^z_c / sum_j e^z_j over the classes (needs two or more). Default `'none'`.
   */
  activation?: 'none' | 'sigmoid' | 'softmax';
  /** The power k in P = sum p^k and T = sum t^k: `'squared'` 2, `'linear'` 1. Default `'squared'`. */
  denominator?: 'squared' | 'linear';
  /** s_n, added to the numerator. Default 0. */
  smoothNumerator?: number;
  /** s_d, added to the denominator. Default 1e-7. */
  smoothDenominator?: number;
  /**
   * What becomes of the losses L of every (sample, class): `'mean'` sum of weight_c * L over the counted ones divided
   * by their number, `'sum'` without the division, `'none'` weight_c * L of each. Default `'mean'`.
   */
  reduction?: 'none' | 'mean' | 'sum';
  /** Pools the sums over the batch: one loss per class instead of one per sample and class. Default false. */
  batch?: boolean;
  /** false: class 0 is not counted; the softmax still sees it. Needs two or more classes. Default true. */
  background?: boolean;
  /** weight_c, one per class (class 0 included), finite and >= 0. Not normalised. Default ones. */
  classWeights?: readonly number[] | Float64Array;
  /** Voxels with this label contribute nothing and get gradient 0. For labels, and for masks of one class. */
  ignoreIndex?: number;
  /** `'channels-first'` [N, C, ...spatial] or `'channels-last'` [N, ...spatial, C]. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
  /**
   * Called by value, valueAndGrad (and their Async forms) and plans with the statistics of these predictions, before
   * anything is made of them. What it returns takes their place: the same statistics added up over all ranks, say, so
   * that each rank gets the global loss and its part of the global gradient. It must be of the same shape. A promise
   * is for the Async calls only. Default: none.
   */
  allReduce?: AllReduce;
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
}

export interface ValueOptions extends CallOptions {
  out?: ValueOut;
}

export interface GradientOptions extends CallOptions {
  /** Multiplies the gradient before it is rounded: a number, or a tensor of one float32 or float64. Default 1. */
  gradScale?: number | TensorLike;
  /** `'float32'` for a gradient that half precision would round to 0. Default: the dtype of the predictions. */
  gradDtype?: DType;
  /** Adds the gradient to `out.grad`, which is then needed. Default false. */
  accumulate?: boolean;
  /** dL/dvalue for reduction `'none'`, where it is needed: float64 or float32, the shape of the value. */
  upstream?: TensorLike;
  /** The caller's buffer for the gradient, in the shape of the predictions; their own memory replaces them. */
  out?: { grad?: TensorLike };
}

export interface ValueAndGradOptions extends Omit<GradientOptions, 'out'> {
  out?: ValueOut & { grad?: TensorLike };
}

const optionKeys: readonly (keyof LossOptions)[] = [
  'activation',
  'denominator',
  'smoothNumerator',
  'smoothDenominator',
  'reduction',
  'batch',
  'background',
  'classWeights',
  'ignoreIndex',
  'layout',
  'allReduce',
];

/** The options as the addon takes them; throws for anything that is not one. */
export function resolveOptions(options: LossOptions, kind: number): NativeLossOptions {
  checkKeys(options, 'options', optionKeys);
  const activation = checkOneOf(options.activation, 'activation', activations, 'none');
  const reduction = checkOneOf(options.reduction, 'reduction', reductions, 'mean');
  return {
    kind,
    activation: activations.indexOf(activation),
    reduction: reductions.indexOf(reduction),
    squared:
      checkOneOf(options.denominator, 'denominator', ['squared', 'linear'], 'squared') ===
      'squared',
    pooled: checkFlag(options.batch, 'batch', false),
    background: checkFlag(options.background, 'background', true),
    channelsLast:
      checkOneOf(
        options.layout,
        'layout',
        ['channels-first', 'channels-last'],
        'channels-first',
      ) === 'channels-last',
    smoothNumerator: checkNonNegative(options.smoothNumerator, 'smoothNumerator', 0),
    smoothDenominator: checkNonNegative(options.smoothDenominator, 'smoothDenominator', 1e-7),
    ignoreIndex: checkIgnoreIndex(options.ignoreIndex),
    classWeights: checkClassWeights(options.classWeights),
  };
}

function checkIgnoreIndex(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw typeError('an integer', 'ignoreIndex', value);
  if (!Number.isSafeInteger(value)) throw rangeError('an integer', 'ignoreIndex', value);
  return value;
}

function checkClassWeights(value: unknown): Float64Array | undefined {
  if (value === undefined) return undefined;
  const isArray =
    Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  if (!isArray) throw typeError('an array of numbers', 'classWeights', value);
  const weights = Array.from(value as ArrayLike<unknown>, (weight, c) => {
    const name = `classWeights[${c}]`;
    if (weight === undefined) throw typeError('a number', name, weight);
    return checkNonNegative(weight, name, 0);
  });
  if (weights.length === 0) throw rangeError('one weight per class', 'classWeights', value);
  return Float64Array.from(weights);
}
