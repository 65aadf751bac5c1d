import { float64Buffer } from '../calls/outputs.js';
import { Resampler } from '../calls/resample.js';
import type { Checked, LossValue, LossValueAndGrad } from '../calls/result.js';
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
import type { ValueAndGradOptions, ValueOptions } from './options.js';

/** What a call of {@link DeepSupervision.value} adds. */
export interface ScalesOptions<Out = ValueOptions['out']> {
  /** w per voxel of the target; resampled like the target. */
  weight?: TensorLike;
  /** The caller's buffers: for the value, and for the results of every scale as {@link Loss.value} takes them. */
  out?: { value?: TensorLike; scales?: readonly Out[] };
}

/** What a call of {@link DeepSupervision.valueAndGrad} adds. */
export interface ScalesAndGradsOptions extends ScalesOptions<ValueAndGradOptions['out']> {
  /** Multiplies every gradient before it is rounded, beside the weight of its scale. Default 1. */
  gradScale?: number;
  /** `'float32'` for gradients that half precision would round to 0. Default: the dtype of the predictions. */
  gradDtype?: ValueAndGradOptions['gradDtype'];
  /** Adds the gradients to those in `out.scales`. Default false. */
  accumulate?: boolean;
  /** dL/dvalue for reduction `'none'`, where it is needed: in the shape of the value. */
  upstream?: TensorLike;
}

/** The value of all scales, and what each has to say. */
export interface ScalesValue<Scale = LossValue> {
  /** sum of weight_i * value_i, float64, in the shape of the values: one number, or one for each with `'none'`. */
  readonly value: Tensor;
  /** In the order of the predictions. Their values are without the weights, their gradients with them. */
  readonly scales: readonly Scale[];
}

const valueKeys = ['weight', 'out'];
const gradKeys = [...valueKeys, 'gradScale', 'gradDtype', 'accumulate', 'upstream'];

/**
 * Deep supervision: one loss of predictions at several scales against one target of full size (Lee et al. 2015, arXiv
 * 1409.5185; the weights that nnU-Net takes are 1, 1/2, 1/4, ... divided by their sum):
 *
 *     value = sum_i weight_i * L(predictions_i, target at the size of predictions_i)
 *
 * The target, and a weight per voxel, are resampled to the nearest voxel, index floor(i * from / to) along each axis, into
 * small buffers that are kept; predictions of the target's own size take it as it is. Arguments are those of the loss;
 * all are checked before anything is written. Labels out of range throw where they are met, largest scale first; on a
 * GPU when the value, or a result of that scale, is read. The `...Async` calls begin all scales at once: with labels out
 * of range they reject when all are done, and other scales may have been written. Tensors with at least one spatial
 * axis, all on one device.
 *
 * @example
 * const supervision = new DeepSupervision(new DiceLoss({ smoothDenominator: 0 }), [0.75, 0.25]);
 * const fine = Tensor.from(Float64Array.of(0.5, 0.5, 1, 0), [1, 1, 4]);
 * const coarse = Tensor.from(Float64Array.of(1, 0.5), [1, 1, 2]);
 * const mask = Tensor.from(Uint8Array.of(1, 0, 1, 0), [1, 4]); // at the coarse size: its voxels 0 and 2, both 1
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
   * @param loss Of every scale
   * @param weights One for each scale, finite and >= 0, in the order of the predictions
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

  /** The weighted sum of the losses, and the loss of every scale. */
  value(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options: ScalesOptions = none,
  ): ScalesValue {
    return this.#run(predictions, target, options, this.#values(options));
  }

  /** The same with the gradient for the predictions of every scale, its weight included. */
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
    return (x, y, given) => this.#loss.prepareValue(x, y, given);
  }

  #valuesAndGrads(
    options: ScalesAndGradsOptions,
  ): PrepareScale<ValueAndGradOptions['out'], LossValueAndGrad> {
    checkKeys(options, 'options', gradKeys);
    const { gradScale = 1, gradDtype, accumulate, upstream } = options;
    if (typeof gradScale !== 'number') throw typeError('a number', 'gradScale', gradScale);
    return (x, y, given, weight) =>
      this.#loss.prepareValueAndGrad(x, y, {
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
      const results = calls.map(({ call }) => call.run());
      addUp(calls, results, value);
      return { value, scales: inOrder(calls, results) };
    });
  }

  /** All scales begin at once. What they read is theirs from then on: the kept buffers may be written again. */
  #runAsync<Out, Result extends LossValue>(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options: ScalesOptions<Out>,
    prepare: PrepareScale<Out, Result>,
  ): Promise<ScalesValue<Result>> {
    return this.#prepared(predictions, target, options, prepare, async (calls, value, made) => {
      const { device } = value;
      const stream = device.kind === 'cuda' ? device.stream : undefined;
      const begun = await Promise.allSettled(calls.map(async ({ call }) => call.runAsync()));
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
   * Checks everything and gives `work` the calls, largest first, the tensor for the value, and those of the results that
   * are not the caller's: to be disposed when it fails, which for a promise is up to `work`.
   */
  #prepared<Out, Result extends LossValue, Given>(
    predictions: readonly TensorLike[],
    target: TensorLike,
    options: ScalesOptions<Out>,
    prepare: PrepareScale<Out, Result>,
    work: (calls: Scale<Result>[], value: Tensor, made: readonly Tensor[]) => Given,
  ): Given {
    const inputs: Tensor[] = []; // on a GPU, for this call alone: what is enqueued still finds them
    const made: Tensor[] = [];
    try {
      const calls = this.#calls(predictions, target, options, prepare, inputs, made);
      const [first] = calls as [Scale<Result>];
      const { shape } = first.call.value;
      for (const { i, call } of calls) {
        if (!sameShape(call.value.shape, shape)) {
          const expected = `shape ${showShape(shape)}, that of predictions[0],`;
          throw rangeError(expected, `the value of predictions[${i}]`, call.value.shape);
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
      const call = prepare(x, this.#target.at(i, y, x, inputs), given, weight);
      made.push(...call.prepared.made);
      return { x, i, weight, call };
    });
  }
}

type PrepareScale<Out, Result> = (
  x: Tensor,
  y: Tensor,
  given: { weight?: Tensor; out?: NonNullable<Out> },
  weight: number,
) => Checked<Result>;

interface Scale<Result> {
  x: Tensor;
  /** Its place among the predictions. */
  i: number;
  weight: number;
  call: Checked<Result>;
}

/**
 * @throws RangeError when what one scale writes is read or written elsewhere; alone a gradient may replace the
 *   predictions that it belongs to
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
  scales.forEach(({ x, i, call: { prepared } }, scale) => {
    const accumulates = prepared.args[18];
    for (const name of ['value', 'perClass', 'parts', 'grad'] as const) {
      const result = prepared[name];
      if (result === undefined) continue;
      const place = placeOf(`out.scales[${i}].${name}`, result);
      const own = read[scale] as Place;
      const replaces =
        name === 'grad' &&
        place.memory === own.memory &&
        place.begin === own.begin &&
        result.dtype === x.dtype &&
        !accumulates;
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
