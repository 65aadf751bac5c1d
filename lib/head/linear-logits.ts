// The logits of a network whose last layer is a 1x1 convolution, as that layer's input and weights.
import { rangeError, showShape } from '../common/check.js';
import { guard, notByNew } from '../common/own.js';
import { toTensor } from '../tensors/argument.js';
import { type DType, floats } from '../tensors/dtype.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import {
  type ArgmaxOptions,
  argmax,
  argmaxAsync,
  type ProbabilitiesOptions,
  probabilities,
  probabilitiesAsync,
} from './predict.js';

/** The most features of a voxel. */
const maxChannels = 1024;
/** The most classes. */
const maxClasses = 1000;

/** What calls need of predictions that are not in memory. */
export interface Shaped {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly size: number;
}

/**
 * Logits that are never in memory, made by {@link linearLogits}. Losses and metrics take them for predictions.
 */
export class LinearLogits {
  /** [N, K, ...spatial] or, with channels last, [N, ...spatial, K]. */
  readonly features: Tensor;
  /** [C, K], or with axes of one element after these. */
  readonly weight: Tensor;
  /** [C] */
  readonly bias: Tensor | undefined;
  /** K, the number of features of a voxel. */
  readonly channels: number;
  /** C */
  readonly classes: number;
  readonly #whole = true;

  static {
    guard(LinearLogits, 'LinearLogits', LinearLogits.isWhole);
  }

  private constructor(features: Tensor, weight: Tensor, bias: Tensor | undefined) {
    if (weight === undefined) {
      throw notByNew('LinearLogits', 'linearLogits(features, weight, bias)', 'LinearLogits');
    }
    this.features = features;
    this.weight = weight;
    this.bias = bias;
    this.classes = weight.shape[0] as number;
    this.channels = weight.shape[1] as number;
    Object.freeze(this);
  }

  /** @internal */
  static make(
    features: TensorLike,
    weight: TensorLike,
    bias: TensorLike | undefined,
  ): LinearLogits {
    const x = toTensor(features, 'features', floats);
    const w = toTensor(weight, 'weight', floats);
    const b = bias === undefined ? undefined : toTensor(bias, 'bias', floats);
    for (const [tensor, name] of [
      [x, 'features'],
      [w, 'weight'],
      [b, 'bias'],
    ] as const) {
      if (tensor === undefined) continue;
      checkDevice(x, tensor, name);
      if (!floats.includes(tensor.dtype)) {
        throw new TypeError(
          `Expected dtype ${floats.join(', ')} for ${name} but received ${tensor.dtype}`,
        );
      }
    }
    checkWeight(x, w);
    if (b !== undefined) checkBias(w, b);
    return new LinearLogits(x, w, b);
  }

  /**
   * Computes the class of the largest logit of each voxel, [N, ...spatial], without logits in memory: the lowest class at a
   * tie; NaN is never the largest. uint8 up to 256 classes, else uint16. On the CPU it computes before it returns and so blocks
   * the event loop: see {@link argmaxAsync}. On a GPU it enqueues the work.
   *
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_DISPOSED
   * @example
   * const features = Tensor.from(Float32Array.of(1, -1, 0, 2), [1, 2, 2]); // voxels (1, 0) and (-1, 2)
   * const weight = Tensor.from(Float32Array.of(1, 0, 0, 1), [2, 2]); // logits: the features themselves
   * linearLogits(features, weight).argmax().data; // [0, 1]
   */
  argmax(options?: ArgmaxOptions): Tensor {
    return argmax(this, options);
  }

  /**
   * Like {@link argmax}, off the event loop. Features, weight and bias of `Tensor.empty` are read where they are; others are
   * copied first. On a GPU it resolves when the work is done.
   */
  argmaxAsync(options?: ArgmaxOptions): Promise<Tensor> {
    return argmaxAsync(this, options);
  }

  /**
   * Computes the probabilities of some classes, [N, classes.length, ...spatial] or, with channels last, [N, ...spatial,
   * classes.length], without logits in memory. A softmax is over all classes. float64 for float64 features, else float32. On
   * the CPU it computes before it returns and so blocks the event loop: see {@link probabilitiesAsync}. On a GPU it enqueues
   * the work.
   *
   * @param classes Class indices, in the order of the result
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_DISPOSED
   * @example
   * const features = Tensor.from(Float64Array.of(Math.log(3)), [1, 1, 1]);
   * const weight = Tensor.from(Float64Array.of(1, 0), [2, 1]); // logits log 3 and 0
   * linearLogits(features, weight).probabilities([1]).data; // [1/4]
   */
  probabilities(classes: readonly number[], options?: ProbabilitiesOptions): Tensor {
    return probabilities(this, classes, options);
  }

  /** Like {@link probabilities}, off the event loop, as {@link argmaxAsync} is. */
  probabilitiesAsync(classes: readonly number[], options?: ProbabilitiesOptions): Promise<Tensor> {
    return probabilitiesAsync(this, classes, options);
  }

  /** Whether `value` really is one: a Proxy of one is not. @internal */
  static isWhole(value: object): boolean {
    return #whole in value && value.#whole;
  }

  /** The same weights for other features, which have been checked to be like these. @internal */
  withFeatures(features: Tensor): LinearLogits {
    return new LinearLogits(features, this.weight, this.bias);
  }

  /** Throws when one of the tensors has lost its memory. name: of the predictions. @internal */
  expectLive(name: string): void {
    toTensor(this.features, `${name}.features`);
    toTensor(this.weight, `${name}.weight`);
    if (this.bias !== undefined) toTensor(this.bias, `${name}.bias`);
  }

  /** The logits' shape. Throws where the features have not K channels in this layout. @internal */
  shaped(channelsLast: boolean, name: string): Shaped {
    const { features, weight, classes, channels } = this;
    const axis = channelsLast ? features.shape.length - 1 : 1;
    if (features.shape[axis] !== channels) {
      const layout = channelsLast ? 'channels-last' : 'channels-first';
      throw new RangeError(
        `Expected ${features.shape[axis]} columns, as ${name}.features of shape ${showShape(features.shape)} (${layout}) have features, for ${name}.weight but received shape ${showShape(weight.shape)}`,
      );
    }
    const shape = features.shape.map((size, i) => (i === axis ? classes : size));
    return { shape, dtype: features.dtype, size: (features.size / channels) * classes };
  }

  /** @internal */
  toString(): string {
    return `linearLogits of ${this.classes} classes`;
  }
}

/** What losses take for predictions. */
export type Predictions = TensorLike | LinearLogits;

function checkDevice({ device }: Tensor, tensor: Tensor, name: string): void {
  if (tensor.device === device) return;
  throw new TypeError(
    `Expected a tensor on ${device}, as the features are, for ${name} but received one on ${tensor.device}: use to(device)`,
  );
}

function checkWeight(x: Tensor, w: Tensor): void {
  const { shape } = x;
  if (shape.length < 2) throw rangeError('rank 2 or more', 'the shape of features', shape);
  const [classes = 0, channels = 0, ...ones] = w.shape;
  if (w.shape.length < 2 || ones.some((size) => size !== 1)) {
    throw rangeError(
      '[C, K], or [C, K, 1, 1] of a 1x1 convolution,',
      'the shape of weight',
      w.shape,
    );
  }
  if (channels !== shape[1] && channels !== shape.at(-1)) {
    throw new RangeError(
      `Expected ${shape[1]} columns (or ${shape.at(-1)} with channels last), as features of shape ${showShape(shape)} have, for weight but received shape ${showShape(w.shape)}`,
    );
  }
  if (channels > maxChannels)
    throw rangeError(`at most ${maxChannels}`, 'the columns of weight', channels);
  if (classes > maxClasses)
    throw rangeError(`at most ${maxClasses}`, 'the rows of weight', classes);
  if (w.dtype !== x.dtype && w.dtype !== 'float32') {
    const either = x.dtype === 'float32' ? 'float32' : `${x.dtype} or float32`;
    throw new TypeError(
      `Expected dtype ${either}, as features are ${x.dtype}, for weight but received ${w.dtype}`,
    );
  }
}

function checkBias(w: Tensor, b: Tensor): void {
  if (b.dtype !== w.dtype) {
    throw new TypeError(
      `Expected dtype ${w.dtype}, that of weight, for bias but received ${b.dtype}`,
    );
  }
  if (b.shape.length === 1 && b.size === w.shape[0]) return;
  throw new RangeError(
    `Expected shape [${w.shape[0]}], as weight has shape ${showShape(w.shape)}, for bias but received ${showShape(b.shape)}`,
  );
}

/**
 * The logits z of a network's last layer, a 1x1 convolution, without computing them:
 *
 *     z[n, c, s] = sum_k weight[c, k] * features[n, k, s] + bias[c]
 *
 * Pass the result where a loss takes predictions. The loss computes the logits of a few voxels at a time, uses them and
 * forgets them, and its gradient is that of the features, the weight and the bias (a {@link LinearGrad}). With many classes the
 * logits and their gradient would be the largest arrays of a training step: 117 classes of 128^3 voxels are 1 GB each. The
 * results are those of logits in memory, to rounding.
 *
 * The loss must have an activation (sigmoid or softmax). All tensors are on one device, the CPU or a GPU. The arrays are not copied:
 * a later call reads what they hold then. A voxel of weight 0 contributes nothing, even when its features are NaN.
 *
 * @param features [N, K, ...spatial] or, for a loss with channels last, [N, ...spatial, K]; K from 1 to 1024. float32, float64,
 *   float16 or bfloat16.
 * @param weight [C, K], or [C, K, 1, 1] and [C, K, 1, 1, 1] as frameworks have it; C from 1 to 1000. float32, or the dtype of the
 *   features.
 * @param bias [C], in the dtype of the weight. Default: none
 * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_DISPOSED
 *
 * @example
 * const features = Tensor.from(Float64Array.of(1, 0, 0, 1), [1, 2, 2]); // 2 features of 2 voxels
 * const weight = Tensor.from(Float64Array.of(Math.log(3), 0, 0, 0), [2, 2]); // logits (log 3, 0) and (0, 0)
 * const loss = new DiceLoss({ activation: 'softmax', denominator: 'linear', smoothDenominator: 0 });
 * const labels = Tensor.from(Uint8Array.of(0, 1), [1, 2]);
 * const { value, grad } = loss.valueAndGrad(linearLogits(features, weight), labels);
 * // probabilities (3/4, 1/4) and (1/2, 1/2): 1 - (1.5 / (1.25 + 1) + 1 / (0.75 + 1)) / 2
 * value.itemSync(); // 1 - (2/3 + 4/7) / 2 = 0.380952...
 * grad.weight?.shape; // [2, 2]
 */
export function linearLogits(
  features: TensorLike,
  weight: TensorLike,
  bias?: TensorLike,
): LinearLogits {
  return LinearLogits.make(features, weight, bias);
}
