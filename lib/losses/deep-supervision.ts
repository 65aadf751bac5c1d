import * as operations from '../calls/operations.js';
import type { ValueAndGradOptions, ValueOptions } from '../calls/options.js';
import { float64Buffer } from '../calls/outputs.js';
import { Resampler } from '../calls/resample.js';
import type { DeferredCall, LossValue, LossValueAndGrad } from '../calls/result.js';
import { addUp as addUpTerms } from '../calls/weighted-sum.js';
import {
  checkKeys,
  checkNumbers,
  none,
  rangeError,
  sameShape,
  showShape,
  typeError,
} from '../common/check.js';
import { toTensor, toTensorOn } from '../tensors/argument.js';
import { expectApart, type Place, placeOf } from '../tensors/overlap.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { Loss } from './loss.js';

/** The options of {@link DeepSupervision.value}. */
export interface ScalesOptions<Out = ValueOptions['out']> {
  /** A weight per voxel of the target, resampled like the target. Default ones. */
  weight?: TensorLike;
  /** Buffers for the results: `value`, and for each scale an `out` of {@link Loss.value}. Default: new tensors. */
  out?: { value?: TensorLike; scales?: readonly Out[] };
}

/** The options of {@link DeepSupervision.valueAndGrad}. */
export interface ScalesAndGradsOptions extends ScalesOptions<ValueAndGradOptions['out']> {
  /** Multiplies every gradient, together with the weight of its scale, before the gradient is rounded. Default 1. */
  gradScale?: number;
  /** `'float32'` avoids gradients that half precision would round to 0. Default: the dtype of the predictions. */
  gradDtype?: ValueAndGradOptions['gradDtype'];
  /** true: adds the gradients to those in `out.scales`. Default false. */
  accumulate?: boolean;
  /** dL/dvalue in the shape of the value. Required for reduction `'none'`, refused otherwise. */
  upstream?: TensorLike;
}

/** The result of {@link DeepSupervision}: the weighted sum, and the results of each scale. */
export interface ScalesValue<Scale = LossValue> {
  /** sum_i weight_i * value_i, float64, in the shape of one scale's value. */
  readonly value: Tensor;
  /** One result per scale, in the order of the predictions. The gradients include the weight of the scale, the values do not. */
  readonly scales: readonly Scale[];
}

const valueKeys = ['weight', 'out'];
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
 * on one device. All arguments are checked before anything is written.
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

  /**
   * @param loss The loss of every scale
   * @param weights One number per scale, finite and >= 0, in the order of the predictions
   * @throws TypeError, RangeError
   */
  constructor(loss: Loss, weights: readonly number[]) {
    if (!(loss instanceof Loss)) {
      const advice = typeof loss === 'function' ? 'make one, new DiceLoss()' : undefined;
      throw typeError('a loss', 'loss', loss, advice);
    }
    this.#weights = checkNumbers(weights, 'weights');
    if (weights.length === 0) throw rangeError('one number per scale', 'weights', weights);
    this.#loss = loss;
    this.#target = new Resampler('target', loss.channelsLast);
    this.#weight = new Resampler('weight', loss.channelsLast);
  }

  /**
   * Computes the weighted sum of the losses, and the loss of every scale.
   *
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  value(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options: ScalesOptions = none,
  ): ScalesValue {
    return this.#run(predictions, target, options, this.#values(options));
  }

  /** {@link DeepSupervision.value} with dvalue/dpredictions of every scale: it includes the weight of the scale. */
  valueAndGrad(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options: ScalesAndGradsOptions = none,
  ): ScalesValue<LossValueAndGrad> {
    return this.#run(predictions, target, options, this.#valuesAndGrads(options));
  }

  /** {@link DeepSupervision.value} off the event loop. */
  valueAsync(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options: ScalesOptions = none,
  ): Promise<ScalesValue> {
    return this.#runAsync(predictions, target, options, this.#values(options));
  }

  /** {@link DeepSupervision.valueAndGrad} off the event loop. */
  valueAndGradAsync(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options: ScalesAndGradsOptions = none,
  ): Promise<ScalesValue<LossValueAndGrad>> {
    return this.#runAsync(predictions, target, options, this.#valuesAndGrads(options));
  }

  #values(options: ScalesOptions): PrepareScale<ValueOptions['out'], LossValue> {
    checkKeys(options, 'options', valueKeys);
    return (x, y, given) => this.#loss.prepare(operations.value, x, y, given);
  }

  #valuesAndGrads(
    options: ScalesAndGradsOptions,
  ): PrepareScale<ValueAndGradOptions['out'], LossValueAndGrad> {
    checkKeys(options, 'options', gradKeys);
    const { gradScale = 1, gradDtype, accumulate, upstream } = options;
    if (typeof gradScale !== 'number') throw typeError('a number', 'gradScale', gradScale);
    return (x, y, given, weight) =>
      this.#loss.prepare(operations.valueAndGrad, x, y, {
        ...given,
        gradScale: weight * gradScale,
        ...(gradDtype !== undefined && { gradDtype }),
        ...(accumulate !== undefined && { accumulate }),
        ...(upstream !== undefined && { upstream }),
      });
  }

  #run<Out, Result extends LossValue>(
    predictions: readonly TensorLike[],
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
    predictions: readonly TensorLike[],
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
    predictions: readonly TensorLike[],
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
      const { shape } = resultOf(first);
      for (const scale of calls) {
        const own = resultOf(scale).shape;
        if (!sameShape(own, shape)) {
          const expected = `shape ${showShape(shape)}, that of predictions[0],`;
          throw rangeError(expected, `the value of predictions[${scale.i}]`, own);
        }
      }
      const { device } = first.x;
      const value = float64Buffer(options.out?.value, 'out.value', [...shape], device, made);
      if (options.out !== undefined) expectOwnMemory(calls, value, target, options);
      calls.sort((a, b) => b.x.size - a.x.size);
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
    predictions: readonly TensorLike[],
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
    const { device } = toTensor(predictions[0], 'predictions[0]');
    const y = toTensorOn(device, target, 'target');
    const w =
      options.weight === undefined ? undefined : toTensorOn(device, options.weight, 'weight');
    return predictions.map((like, i) => {
      const x = toTensorOn(device, like, `predictions[${i}]`);
      if (x.shape.length < 3)
        throw rangeError('rank 3 or more', `the shape of predictions[${i}]`, x.shape);
      const out = outs[i];
      const given = {
        ...(w !== undefined && { weight: this.#weight.at(i, w, x, inputs) }),
        ...(out != null && { out }),
      };
      const weight = this.#weights[i] as number;
      const deferred = prepare(x, this.#target.at(i, y, x, inputs), given, weight);
      made.push(...deferred.call.made);
      return { x, i, weight, deferred };
    });
  }
}

type PrepareScale<Out, Result> = (
  x: Tensor,
  y: Tensor,
  given: { weight?: Tensor; out?: NonNullable<Out> },
  weight: number,
) => DeferredCall<Result>;

interface Scale<Result> {
  x: Tensor;
  /** Its place among the predictions. */
  i: number;
  weight: number;
  deferred: DeferredCall<Result>;
}

const resultOf = ({ deferred }: Scale<unknown>) => deferred.call.value as Tensor;

/**
 * Each result must have memory that no other scale reads or writes. A gradient may replace its own predictions.
 *
 * @throws RangeError when memory overlaps otherwise
 */
function expectOwnMemory(
  scales: readonly Scale<unknown>[],
  value: Tensor,
  target: TensorLike,
  { weight, upstream }: { weight?: TensorLike; upstream?: TensorLike },
): void {
  const read = scales.map(({ x, i }) => placeOf(`predictions[${i}]`, x));
  const shared: [string, TensorLike | undefined][] = [
    ['target', target],
    ['weight', weight],
    ['upstream', upstream],
  ];
  for (const [name, like] of shared) {
    if (like !== undefined) read.push(placeOf(name, toTensor(like, name)));
  }
  const written: Place[] = [placeOf('out.value', value)];
  expectApart(written[0] as Place, read);
  scales.forEach(({ x, i, deferred: { call } }, scale) => {
    for (const name of ['value', 'perClass', 'parts', 'grad'] as const) {
      const result = call[name];
      if (result === undefined) continue;
      const place = placeOf(`out.scales[${i}].${name}`, result);
      const own = read[scale] as Place;
      const replaces =
        name === 'grad' &&
        place.memory === own.memory &&
        place.begin === own.begin &&
        result.dtype === x.dtype &&
        !call.native.accumulate;
      expectApart(place, replaces ? read.filter((other) => other !== own) : read);
      expectApart(place, written);
      written.push(place);
    }
  });
}

function addUp(scales: readonly Scale<unknown>[], results: readonly LossValue[], sum: Tensor) {
  const terms = scales.map(({ weight }, i) => ({ weight, value: (results[i] as LossValue).value }));
  addUpTerms(terms, sum);
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
