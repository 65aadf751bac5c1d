import { defaultNames, type Names, outNames } from '../calls/argument-names.js';
import { checkScaleNumber } from '../calls/gradient-factors.js';
import * as operations from '../calls/operations.js';
import type { ValueOptions } from '../calls/options.js';
import { float64Buffer } from '../calls/outputs.js';
import { Resampler } from '../calls/resample.js';
import type {
  DeferredCall,
  LinearValueAndGrad,
  LossValue,
  LossValueAndGrad,
} from '../calls/result.js';
import { expectOwnMemory } from '../calls/scale-overlap.js';
import { toPredictions, toPredictionsOn } from '../calls/scale-predictions.js';
import { checkScales } from '../calls/scale-shapes.js';
import { addUp as addUpTerms } from '../calls/weighted-sum.js';
import {
  checkFlag,
  checkKeys,
  checkNumbers,
  none,
  rangeError,
  typeError,
} from '../common/check.js';
import { guard } from '../common/own.js';
import type { LinearLogits, Predictions } from '../head/linear-logits.js';
import { toTensor, toTensorOn } from '../tensors/argument.js';
import { floatsOrBytes, labelsOrFloats } from '../tensors/dtype.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { adviceWithoutSums, Loss, valueAndGradOf } from './loss.js';
import type {
  AnyOut,
  AnyScalesAndGradsOptions,
  DeepSupervisionOptions,
  LinearScalesAndGradsOptions,
  ScalesAndGradsOptions,
  ScalesOptions,
  ScalesValue,
} from './scales-options.js';

const valueKeys = ['weight', 'sampleClassWeight', 'out'];
const gradKeys = [...valueKeys, 'gradScale', 'gradDtype', 'accumulate', 'upstream'];

/**
 * Deep supervision (Lee et al. 2015, arXiv 1409.5185): one loss for predictions at several scales and one target of full
 * size. nnU-Net's weights are 1, 1/2, 1/4, ... divided by their sum.
 *
 *     value = sum_i weight_i * L(predictions_i, target at the size of predictions_i)
 *
 * The target and the weight per voxel are resampled to the nearest voxel: index floor((i + 1/2) * from / to) along each axis,
 * which holds the middle of voxel i (`nearest-exact` of PyTorch).
 * Predictions of the target's own size use it unchanged. Arguments are those of the loss, with at least one spatial axis, all
 * on one device. All predictions have the same samples and classes. One has the target's size, and the others are that size scaled by
 * one factor on every axis, unless {@link DeepSupervisionOptions} say otherwise; none is larger. All arguments are checked before
 * anything is written.
 *
 * The scales are computed from the largest to the smallest. A scale whose target has labels out of range throws; larger
 * scales have been written by then. On a GPU the error comes when the value, or a result of that scale, is read. The
 * `...Async` methods start all scales at once; with labels out of range they reject after all scales are done, and other
 * scales may have been written.
 *
 * @example
 * const supervision = new DeepSupervision(new DiceLoss({ smoothDenominator: 0 }), [0.75, 0.25]);
 * const fine = Tensor.from(Float64Array.of(0.5, 0.5, 0, 1), [1, 1, 4]);
 * const coarse = Tensor.from(Float64Array.of(1, 0.5), [1, 1, 2]);
 * const mask = Tensor.from(Uint8Array.of(0, 1, 0, 1), [1, 4]); // at the coarse size: its voxels 1 and 3, both 1
 * const { value, scales } = supervision.valueAndGrad([fine, coarse], mask);
 * // fine: 1 - 3/3.5; coarse: 1 - 3/3.25
 * value.itemSync(); // 0.75 * (1 - 3/3.5) + 0.25 * (1 - 3/3.25) = 0.126373...
 */
export class DeepSupervision {
  readonly #loss: Loss;
  readonly #weights: Float64Array;
  readonly #target: Resampler;
  readonly #weight: Resampler;
  readonly #fullSize: boolean;
  readonly #sameRatio: boolean;

  static {
    guard(DeepSupervision, 'a DeepSupervision', (value) => #loss in value);
  }

  /**
   * @param loss The loss of every scale
   * @param weights One number per scale, finite and >= 0, in the order of the predictions
   * @throws TypeError, RangeError
   */
  constructor(loss: Loss, weights: readonly number[], options: DeepSupervisionOptions = none) {
    if (!(loss instanceof Loss)) {
      const advice =
        typeof loss === 'function' ? 'make one, new DiceLoss()' : adviceWithoutSums(loss);
      throw typeError('a loss', 'loss', loss, advice);
    }
    if (!Loss.isWhole(loss)) {
      throw new TypeError('Expected a loss for loss but received a Proxy of one: pass the loss');
    }
    this.#weights = checkNumbers(weights, 'weights');
    if (weights.length === 0) throw rangeError('one number per scale', 'weights', weights);
    checkKeys(options, 'options', ['fullSize', 'sameRatio']);
    this.#fullSize = checkFlag(options.fullSize, 'fullSize', true);
    this.#sameRatio = checkFlag(options.sameRatio, 'sameRatio', true);
    this.#loss = loss;
    this.#target = new Resampler(loss.channelsLast);
    this.#weight = new Resampler(loss.channelsLast);
  }

  /**
   * Computes the weighted sum of the losses, and the loss of every scale.
   *
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  value(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: ScalesOptions = none,
  ): ScalesValue {
    return this.#run(predictions, target, options, this.#values(options));
  }

  /** {@link DeepSupervision.value} with dvalue/dpredictions of every scale: it includes the weight of the scale. */
  valueAndGrad(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options?: ScalesAndGradsOptions,
  ): ScalesValue<LossValueAndGrad>;
  /** The same for {@link linearLogits} at every scale: one set of gradients each. */
  valueAndGrad(
    predictions: readonly LinearLogits[],
    target: TensorLike,
    options?: LinearScalesAndGradsOptions,
  ): ScalesValue<LinearValueAndGrad>;
  valueAndGrad(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: AnyScalesAndGradsOptions = none,
  ): ScalesValue<LossValueAndGrad> | ScalesValue<LinearValueAndGrad> {
    const prepare = this.#valuesAndGrads(options);
    return this.#run(predictions, target, options, prepare) as ScalesValue<LossValueAndGrad>;
  }

  /** {@link DeepSupervision.value} off the event loop. */
  valueAsync(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: ScalesOptions = none,
  ): Promise<ScalesValue> {
    return this.#runAsync(predictions, target, options, this.#values(options, true));
  }

  /** {@link DeepSupervision.valueAndGrad} off the event loop. */
  valueAndGradAsync(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options?: ScalesAndGradsOptions,
  ): Promise<ScalesValue<LossValueAndGrad>>;
  /** The same for {@link linearLogits} at every scale. */
  valueAndGradAsync(
    predictions: readonly LinearLogits[],
    target: TensorLike,
    options?: LinearScalesAndGradsOptions,
  ): Promise<ScalesValue<LinearValueAndGrad>>;
  valueAndGradAsync(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: AnyScalesAndGradsOptions = none,
  ): Promise<ScalesValue<LossValueAndGrad>> | Promise<ScalesValue<LinearValueAndGrad>> {
    const prepare = this.#valuesAndGrads(options, true);
    return this.#runAsync(predictions, target, options, prepare) as Promise<
      ScalesValue<LossValueAndGrad>
    >;
  }

  #values(options: ScalesOptions, async = false): PrepareScale<ValueOptions['out'], LossValue> {
    checkKeys(options, 'options', valueKeys);
    return (x, y, given, names) =>
      this.#loss.prepare(operations.value, x, y, given, { async, names });
  }

  #valuesAndGrads(
    options: AnyScalesAndGradsOptions,
    async = false,
  ): PrepareScale<AnyOut, LossValueAndGrad | LinearValueAndGrad> {
    checkKeys(options, 'options', gradKeys);
    const { gradScale = 1, gradDtype, accumulate, upstream } = options;
    checkScaleNumber(gradScale);
    return (x, y, given, names, weight) => {
      const all = {
        ...given,
        gradScale: weight * gradScale,
        ...(gradDtype !== undefined && { gradDtype }),
        ...(accumulate !== undefined && { accumulate }),
        ...(upstream !== undefined && { upstream }),
      };
      return this.#loss.prepare(valueAndGradOf(x), x, y, all, { async, names });
    };
  }

  #run<Out, Result extends LossValue>(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: ScalesOptions<Out>,
    prepare: PrepareScale<Out, Result>,
  ): ScalesValue<Result> {
    return this.#prepared(predictions, target, options, prepare, (calls, value) => {
      const results = calls.map(({ deferred }) => deferred.run());
      addUp(calls, results, value);
      return { value, scales: inOrder(calls, results) };
    });
  }

  /** Starts all scales at once. Each call has copied its inputs then, so the kept buffers may be overwritten. */
  #runAsync<Out, Result extends LossValue>(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: ScalesOptions<Out>,
    prepare: PrepareScale<Out, Result>,
  ): Promise<ScalesValue<Result>> {
    return this.#prepared(predictions, target, options, prepare, async (calls, value, made) => {
      const { device } = value;
      const stream = device.kind === 'cuda' ? device.stream : undefined;
      const begun = await Promise.allSettled(
        calls.map(async ({ deferred }) => deferred.runAsync()),
      );
      try {
        const results = begun.map((one) => {
          if (one.status === 'rejected') throw one.reason;
          return one.value;
        });
        const add = () => addUp(calls, results, value);
        if (stream === undefined) add();
        else stream.run(add);
        return { value, scales: inOrder(calls, results) };
      } catch (error) {
        disposeAll(made);
        throw error;
      }
    });
  }

  /**
   * Checks everything. Then passes to `work` the calls, largest scale first, the tensor for the value, and the result tensors
   * that were allocated here. When `work` throws, these are disposed; when it rejects, `work` itself must dispose them.
   */
  #prepared<Out, Result extends LossValue, Given>(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: ScalesOptions<Out>,
    prepare: PrepareScale<Out, Result>,
    work: (calls: Scale<Result>[], value: Tensor, made: readonly Tensor[]) => Given,
  ): Given {
    const inputs: Tensor[] = []; // resampled on a GPU for this call; enqueued work can use them after their dispose()
    const made: Tensor[] = [];
    try {
      const calls = this.#calls(predictions, target, options, prepare, inputs, made);
      const [first] = calls as [Scale<Result>];
      const { shape } = resultOf(first); // as all scales have the same samples and classes
      const { device } = first.deferred.call;
      const value = float64Buffer(options.out?.value, 'out.value', [...shape], {
        device,
        async: false,
        made,
      });
      if (options.out !== undefined) {
        const memory = calls.map(({ deferred }) => deferred.call);
        const { weight } = options;
        const { upstream, pairs } = (first.deferred as DeferredCall<unknown>).call;
        expectOwnMemory(memory, value, {
          target: toTensor(target, 'target', labelsOrFloats),
          weight: weight === undefined ? undefined : toTensor(weight, 'weight', floatsOrBytes),
          sampleClassWeight: pairs,
          upstream,
        });
      }
      calls.sort((a, b) => b.size - a.size);
      return work(calls, value, made);
    } catch (error) {
      disposeAll(made);
      throw error;
    } finally {
      disposeAll(inputs);
    }
  }

  /** One call for each scale, checked. */
  #calls<Out, Result>(
    predictions: readonly Predictions[],
    target: TensorLike,
    options: ScalesOptions<Out>,
    prepare: PrepareScale<Out, Result>,
    inputs: Tensor[],
    made: Tensor[],
  ): Scale<Result>[] {
    if (!Array.isArray(predictions)) {
      throw typeError('an array of tensors', 'predictions', predictions);
    }
    const count = this.#weights.length;
    if (predictions.length !== count) {
      const expected = `${count} tensors, one for each of the weights,`;
      throw rangeError(expected, 'predictions', predictions.length);
    }
    checkKeys(options.out, 'out', ['value', 'scales']);
    const outs = options.out?.scales ?? [];
    if (!Array.isArray(outs)) throw typeError('an array', 'out.scales', outs);
    if (outs.length > count) throw rangeError(`at most ${count}`, 'out.scales', outs.length);
    const { channelsLast } = this.#loss;
    const { device } = toPredictions(predictions[0] as Predictions, 'predictions[0]', channelsLast);
    const y = toTensorOn(device, target, 'target', labelsOrFloats);
    const w =
      options.weight === undefined
        ? undefined
        : toTensorOn(device, options.weight, 'weight', floatsOrBytes);
    const xs = Array.from(predictions, (like, i) =>
      toPredictionsOn(device, like, `predictions[${i}]`, channelsLast),
    );
    const shapes = xs.map(({ shaped }) => shaped);
    checkScales(shapes, y, w, {
      channelsLast,
      fullSize: this.#fullSize,
      sameRatio: this.#sameRatio,
    });
    const { sampleClassWeight } = options;
    return xs.map(({ x, shaped }, i) => {
      const target = this.#target.at(i, y, shaped, inputs);
      const out = outs[i];
      const given = {
        ...(w !== undefined && { weight: this.#weight.at(i, w, shaped, inputs) }),
        ...(sampleClassWeight !== undefined && { sampleClassWeight }),
        ...(out != null && { out }),
      };
      const weight = this.#weights[i] as number;
      const deferred = prepare(x, target, given, namesOfScale(i, target !== y), weight);
      made.push(...deferred.call.made);
      return { size: shaped.size, i, weight, deferred };
    });
  }
}

type PrepareScale<Out, Result> = (
  x: Tensor | LinearLogits,
  y: Tensor,
  given: { weight?: Tensor; sampleClassWeight?: TensorLike; out?: NonNullable<Out> },
  names: Names,
  weight: number,
) => DeferredCall<Result>;

interface Scale<Result> {
  /** Elements of its predictions. */
  size: number;
  /** Its place among the predictions. */
  i: number;
  weight: number;
  deferred: DeferredCall<Result>;
}

/** The names of one scale's arguments. An index into a resampled target is no index of the caller's. */
const namesOfScale = (scale: number, resampled: boolean): Names => ({
  ...defaultNames,
  predictions: `predictions[${scale}]`,
  target: resampled ? `target at the size of predictions[${scale}]` : 'target',
  out: outNames(`out.scales[${scale}]`),
});

/** The sum does not know whose error it has. */
const namesOfSum: Names = {
  ...defaultNames,
  target: 'target, at the size of one of predictions,',
};

const resultOf = ({ deferred }: Scale<unknown>) => deferred.call.value as Tensor;

function addUp(scales: readonly Scale<unknown>[], results: readonly LossValue[], sum: Tensor) {
  const terms = scales.map(({ weight }, i) => ({ weight, value: (results[i] as LossValue).value }));
  const { deferred } = scales[0] as Scale<unknown>;
  addUpTerms(terms, sum, (error) => deferred.toUserError(error, namesOfSum));
}

function disposeAll(tensors: readonly Tensor[]) {
  for (const tensor of tensors) tensor.dispose();
}

function inOrder<Result>(scales: readonly Scale<Result>[], results: readonly Result[]): Result[] {
  const ordered: Result[] = [];
  scales.forEach(({ i }, at) => {
    ordered[i] = results[at] as Result;
  });
  return ordered;
}
