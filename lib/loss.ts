import type { NativeLoss, NativeLossOptions, RunArguments } from '../binding.js';
import {
  type AllReduce,
  afterSeam,
  atOnce,
  beforeSeam,
  checkAllReduce,
  hasSeam,
  withCopies,
} from './all-reduce.js';
import { native } from './binding.js';
import {
  ALL,
  blankArguments,
  checkScale,
  checkShape,
  FINALIZE,
  float64Buffer,
  GRADIENT,
  gradBuffer,
  gradientKeys,
  type Keys,
  type Prepared,
  REDUCTION_NONE,
  readUpstream,
  STATISTICS,
  statisticsKeys,
  valueAndGradKeys,
  valueKeys,
  valueOutKeys,
} from './call.js';
import { checkFlag, checkKeys, rangeError, show, showShape } from './check.js';
import { codeOf, makeArray } from './dtype.js';
import { WarpDiceError } from './errors.js';
import { Geometry } from './geometry.js';
import {
  type CallOptions,
  type GradientOptions,
  type LossOptions,
  resolveOptions,
  type ValueAndGradOptions,
  type ValueOptions,
} from './options.js';
import { Plan } from './plan.js';
import { checkSignature, Statistics, sumNames } from './statistics.js';
import { type Tensor, type TensorLike, toTensor } from './tensor.js';

/** The loss, reduced, and what it was reduced from. Both float64. */
export interface LossValue {
  /** Shape [] for reduction `'mean'` and `'sum'`; [N, C] or, pooled, [C] for `'none'` (0 where not counted). */
  readonly value: Tensor;
  /** L of every class, counted or not, without class weights: [N, C] or, pooled over the batch, [C]. */
  readonly perClass: Tensor;
}

export interface LossValueAndGrad extends LossValue {
  /** dL/dpredictions, in their shape. */
  readonly grad: Tensor;
}

const none: Record<string, never> = Object.freeze({});

/**
 * What all losses share: three steps (statistics, value from statistics, gradient from statistics) and their fusion.
 * The plain calls compute before they return. The `...Async` ones compute off the event loop and may overlap: arrays
 * on plain ArrayBuffers are copied at the call and results copied back when it resolves, shared memory
 * ({@link Tensor.empty}) is used in place and must not be written meanwhile. Wrong arguments throw at the call, labels out
 * of range reject the promise.
 */
export abstract class Loss {
  readonly #options: NativeLossOptions;
  readonly #native: NativeLoss;
  readonly #geometry: Geometry;
  readonly #signature: string;
  readonly #allReduce: AllReduce | undefined;

  /** @internal kind: as in binding.d.ts */
  protected constructor(options: LossOptions, kind: number) {
    this.#options = resolveOptions(options, kind);
    this.#allReduce = checkAllReduce(options.allReduce);
    this.#native = new native.Loss(this.#options);
    this.#geometry = new Geometry(this.#options);
    const { pooled, squared, activation } = this.#options;
    this.#signature = [
      pooled ? 'pooled' : 'per sample',
      squared ? 'squared' : 'linear',
      `activation ${['none', 'sigmoid', 'softmax'][activation]}`,
    ].join(', ');
  }

  /**
   * The loss.
   *
   * @param predictions [S], [N, C, ...spatial] or, channels last, [N, ...spatial, C]; float32, float64, float16 or
   *   bfloat16. Rank 1 is one sample of one class.
   * @param target Of the same shape: dense, uint8 (0 or 1) or any float dtype. Without the class axis: class indices,
   *   uint8, int32 or int64. With one class: a 0/1 mask of any dtype, with or without the class axis.
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  value(predictions: TensorLike, target: TensorLike, options: ValueOptions = none): LossValue {
    const call = this.#prepare(STATISTICS | FINALIZE, predictions, target, options, valueKeys);
    this.#run(call);
    return this.#valueOf(call, options.out);
  }

  /**
   * The loss and its exact gradient with respect to the predictions, in one call. Nothing is written when it throws.
   * With every tensor in `options.out` no array is allocated and `options.out` itself is returned.
   */
  valueAndGrad(
    predictions: TensorLike,
    target: TensorLike,
    options: ValueAndGradOptions = none,
  ): LossValueAndGrad {
    const call = this.#prepare(ALL, predictions, target, options, valueAndGradKeys);
    this.#run(call);
    return this.#valueAndGradOf(call, options.out);
  }

  /**
   * Step 1: the sums I, P, T, on which everything else rests: [N, C, 8] or, pooled over the batch, [1, C, 8].
   * `options.out` (of as many samples and classes) is overwritten and returned. Arguments and errors as for
   * {@link Loss.value}.
   *
   * @example
   * const left = loss.statistics(leftHalf, leftLabels); // two tiles of one volume
   * const whole = left.add(loss.statistics(rightHalf, rightLabels));
   * loss.fromStatistics(whole).value.itemSync(); // the loss of the volume
   * loss.gradient(leftHalf, leftLabels, whole); // its exact gradient in the left half
   */
  statistics(
    predictions: TensorLike,
    target: TensorLike,
    options: CallOptions & { out?: Statistics } = none,
  ): Statistics {
    const call = this.#prepare(STATISTICS, predictions, target, options, statisticsKeys);
    this.#run(call);
    return call.statistics as Statistics;
  }

  /**
   * Step 2: the loss from its sums.
   *
   * @throws TypeError, RangeError for statistics that mean something else
   */
  fromStatistics(statistics: Statistics, options: Omit<ValueOptions, 'weight'> = none): LossValue {
    checkKeys(options, 'options', ['out']);
    checkKeys(options.out, 'options.out', valueOutKeys);
    checkSignature(statistics, this.#signature, 'statistics');
    const [groups, classes] = statistics.shape;
    const { classWeights, background } = this.#options;
    if (classWeights !== undefined && classWeights.length !== classes) {
      throw new RangeError(
        `Expected statistics of ${classWeights.length} classes, as classWeights, but received those of ${classes}`,
      );
    }
    if (!background && classes === 1) {
      throw new RangeError('Expected 2 or more classes for background: false but received 1');
    }
    const value = this.#valueBuffer(options.out?.value, groups, classes);
    const perClass = this.#perClassBuffer(options.out?.perClass, groups, classes);
    const args = blankArguments(FINALIZE);
    args[1] = groups;
    args[2] = classes;
    args[3] = 1;
    args[11] = statistics.data;
    args[14] = value.data as Float64Array;
    args[15] = perClass.data as Float64Array;
    const call: Prepared = {
      args,
      value,
      perClass,
      upstream: undefined,
      gradScale: 1,
      grad: undefined,
      statistics,
    };
    this.#run(call);
    return this.#valueOf(call, options.out);
  }

  /**
   * Step 3: the gradient from the sums, which may be those of more than these predictions hold (added tiles, say).
   * Returns a tensor in the shape of the predictions, or `options.out.grad`, which may be the predictions themselves.
   * Unlike in the other calls a label out of range is no error here: its voxel counts as no class.
   *
   * @throws TypeError, RangeError for arguments that do not fit, or statistics that mean something else
   */
  gradient(
    predictions: TensorLike,
    target: TensorLike,
    statistics: Statistics,
    options: GradientOptions = none,
  ): Tensor {
    const call = this.#prepare(GRADIENT, predictions, target, options, gradientKeys, statistics);
    this.#run(call);
    return call.grad as Tensor;
  }

  /** {@link Loss.value} off the event loop. */
  valueAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: ValueOptions = none,
  ): Promise<LossValue> {
    const call = this.#prepare(STATISTICS | FINALIZE, predictions, target, options, valueKeys);
    return this.#runAsync(call, () => this.#valueOf(call, options.out));
  }

  /** {@link Loss.valueAndGrad} off the event loop. */
  valueAndGradAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: ValueAndGradOptions = none,
  ): Promise<LossValueAndGrad> {
    const call = this.#prepare(ALL, predictions, target, options, valueAndGradKeys);
    return this.#runAsync(call, () => this.#valueAndGradOf(call, options.out));
  }

  /** {@link Loss.statistics} off the event loop. */
  statisticsAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: CallOptions & { out?: Statistics } = none,
  ): Promise<Statistics> {
    const call = this.#prepare(STATISTICS, predictions, target, options, statisticsKeys);
    return this.#runAsync(call, () => call.statistics as Statistics);
  }

  /** {@link Loss.gradient} off the event loop. */
  gradientAsync(
    predictions: TensorLike,
    target: TensorLike,
    statistics: Statistics,
    options: GradientOptions = none,
  ): Promise<Tensor> {
    const call = this.#prepare(GRADIENT, predictions, target, options, gradientKeys, statistics);
    return this.#runAsync(call, () => call.grad as Tensor);
  }

  /**
   * {@link Loss.valueAndGrad} with everything checked and allocated once: `plan.execute()` then does the work and
   * nothing else. The plan keeps the tensors that it was made with and reads what they hold at each `execute()`, the
   * upstream and a tensor `gradScale` included. Arguments and errors as for {@link Loss.valueAndGrad}.
   */
  plan(predictions: TensorLike, target: TensorLike, options: ValueAndGradOptions = none): Plan {
    const fixed = { ...options };
    const bind = (x: TensorLike, y: TensorLike, out: ValueAndGradOptions['out']) =>
      this.#prepare(ALL, x, y, { ...fixed, ...(out && { out }) }, valueAndGradKeys);
    const run = (call: Prepared) => {
      readUpstream(call);
      this.#run(call);
    };
    return new Plan(bind, run, predictions, target);
  }

  // --- from arguments to a native call --------------------------------------------------------------

  #prepare(
    steps: number,
    predictionsLike: TensorLike,
    targetLike: TensorLike,
    options: Omit<ValueAndGradOptions, 'out'> & { out?: unknown },
    keys: Keys,
    statistics?: Statistics,
  ): Prepared {
    checkKeys(options, 'options', keys.options);
    const predictions = toTensor(predictionsLike, 'predictions');
    const target = toTensor(targetLike, 'target');
    const weight = options.weight === undefined ? undefined : toTensor(options.weight, 'weight');
    const geometry = this.#geometry;
    geometry.fit(predictions, target, weight);
    const { samples, classes, voxels } = geometry;
    const groups = this.#options.pooled ? 1 : samples;

    const call: Prepared = {
      args: blankArguments(steps),
      upstream: undefined,
      gradScale: 1,
      value: undefined,
      perClass: undefined,
      grad: undefined,
      statistics: undefined,
    };
    const { args } = call;
    args[1] = samples;
    args[2] = classes;
    args[3] = voxels;
    args[4] = predictions.data;
    args[5] = codeOf(predictions.dtype);
    args[6] = target.data;
    args[7] = codeOf(target.dtype);
    args[8] = geometry.labels;
    if (weight !== undefined) {
      args[9] = weight.data;
      args[10] = codeOf(weight.dtype);
    }
    if (steps === STATISTICS) {
      call.statistics = this.#statisticsBuffer(options.out, groups, classes, samples);
      args[11] = call.statistics.data;
      return call;
    }
    checkKeys(options.out, 'options.out', keys.out);
    const out = options.out as ValueAndGradOptions['out'];
    if (steps & FINALIZE) {
      call.value = this.#valueBuffer(out?.value, groups, classes);
      call.perClass = this.#perClassBuffer(out?.perClass, groups, classes);
      args[14] = call.value.data as Float64Array;
      args[15] = call.perClass.data as Float64Array;
    }
    if (steps & GRADIENT) {
      if (steps === GRADIENT) {
        args[11] = this.#checkStatistics(statistics, groups, classes, samples);
        call.statistics = statistics;
      }
      call.upstream = this.#upstream(options.upstream, groups, classes);
      call.gradScale = checkScale(options.gradScale);
      readUpstream(call);
      args[18] = checkFlag(options.accumulate, 'accumulate', false);
      call.grad = gradBuffer(predictions, out?.grad, options.gradDtype, args[18]);
      args[16] = call.grad.data;
      args[17] = codeOf(call.grad.dtype);
    }
    return call;
  }

  #statisticsBuffer(out: unknown, groups: number, classes: number, samples: number): Statistics {
    if (out === undefined) {
      const data = makeArray('float64', groups * classes * sumNames.length) as Float64Array;
      return new Statistics(data, groups, classes, samples, this.#signature);
    }
    this.#checkStatistics(out, groups, classes, samples, 'options.out');
    if ((out as Statistics).samples !== samples) {
      throw rangeError(
        `statistics of ${samples} samples`,
        'options.out',
        (out as Statistics).samples,
      );
    }
    return out as Statistics;
  }

  #checkStatistics(
    statistics: unknown,
    groups: number,
    classes: number,
    samples: number,
    name = 'statistics',
  ): Float64Array {
    checkSignature(statistics, this.#signature, name);
    const { shape, data } = statistics as Statistics;
    if (shape[0] !== groups || shape[1] !== classes) {
      throw new RangeError(
        `Expected statistics of ${samples} samples and ${classes} classes for ${name} but received shape ${showShape(shape)}`,
      );
    }
    return data;
  }

  #valueBuffer(out: TensorLike | undefined, groups: number, classes: number): Tensor {
    if (this.#options.reduction !== REDUCTION_NONE) return float64Buffer(out, 'out.value', []);
    return float64Buffer(out, 'out.value', this.#options.pooled ? [classes] : [groups, classes]);
  }

  #perClassBuffer(out: TensorLike | undefined, groups: number, classes: number): Tensor {
    return float64Buffer(out, 'out.perClass', this.#options.pooled ? [classes] : [groups, classes]);
  }

  #upstream(like: TensorLike | undefined, groups: number, classes: number): Tensor | undefined {
    if (this.#options.reduction !== REDUCTION_NONE) {
      if (like === undefined) return undefined;
      throw new TypeError(
        `Expected no upstream for a reduced loss (use gradScale) but received ${show(like)}`,
      );
    }
    const shape = this.#options.pooled ? [classes] : [groups, classes];
    if (like === undefined) {
      throw new TypeError(
        `Expected dL/dvalue of shape ${showShape(shape)} for upstream, as reduction is 'none', but received undefined`,
      );
    }
    const upstream = toTensor(like, 'upstream');
    if (upstream.dtype !== 'float64' && upstream.dtype !== 'float32') {
      throw new TypeError(
        `Expected dtype float64 or float32 for upstream but received ${upstream.dtype}`,
      );
    }
    checkShape(upstream, shape, 'upstream');
    return upstream;
  }

  // --- running and results --------------------------------------------------------------------------

  #run(call: Prepared): void {
    const { args } = call;
    if (this.#allReduce === undefined || !hasSeam(args[0])) {
      this.#runNative(args, call);
      return;
    }
    const local = this.#localStatistics(call);
    this.#runNative(beforeSeam(args, local.data), call);
    this.#runNative(afterSeam(args, this.mergedSync(local).data), call);
  }

  /** Wrong arguments throw at once, from here too; what the work finds is a rejection. */
  #runAsync<Result>(call: Prepared, result: () => Result): Promise<Result> {
    const allReduce = this.#allReduce;
    if (allReduce === undefined || !hasSeam(call.args[0])) {
      return this.#runNativeAsync(call.args, call).then(result);
    }
    const local = this.#localStatistics(call);
    const args = withCopies(call.args);
    return this.#runNativeAsync(beforeSeam(args, local.data), call)
      .then(() => allReduce(local))
      .then((merged) => {
        const sums = this.#checkMerged(merged, local).data;
        return this.#runNativeAsync(afterSeam(args, sums), call);
      })
      .then(result);
  }

  /** What the hook makes of these statistics, or they themselves where there is none. @internal */
  mergedSync(local: Statistics): Statistics {
    if (this.#allReduce === undefined) return local;
    return this.#checkMerged(atOnce(this.#allReduce(local)), local);
  }

  /** New ones each time, as the hook may keep them. */
  #localStatistics({ args: [, samples, classes] }: Prepared): Statistics {
    return this.#statisticsBuffer(undefined, this.#options.pooled ? 1 : samples, classes, samples);
  }

  #checkMerged(merged: unknown, local: Statistics): Statistics {
    const [groups, classes] = local.shape;
    this.#checkStatistics(merged, groups, classes, local.samples, 'the result of allReduce');
    return merged as Statistics;
  }

  #runNative(args: RunArguments, call: Prepared): void {
    try {
      this.#native.run(...args);
    } catch (error) {
      throw this.#translate(error, call);
    }
  }

  #runNativeAsync(args: RunArguments, call: Prepared): Promise<void> {
    let done: Promise<void>;
    try {
      done = this.#native.runAsync(...args);
    } catch (error) {
      throw this.#translate(error, call);
    }
    return done.catch((error) => {
      throw this.#translate(error, call);
    });
  }

  /** Words for what the addon reports by code. */
  #translate(error: unknown, call: Prepared): unknown {
    const { code, count, index, value, message } = error as WarpDiceError;
    if (code === 'ERR_LABEL_RANGE') {
      const classes = call.args[2];
      const allowed = call.args[8]
        ? classes === 1
          ? '0 or 1'
          : `class indices from 0 to ${classes - 1}`
        : '0 or 1';
      const ignore =
        this.#options.ignoreIndex === undefined
          ? ''
          : ` (or ignoreIndex ${this.#options.ignoreIndex})`;
      const details = { count: count as number, index: index as number, value: value as number };
      return new WarpDiceError(
        code,
        `Expected ${allowed}${ignore} for target but received ${details.count} other value${details.count === 1 ? '' : 's'}, the first ${details.value} at index ${details.index}`,
        details,
      );
    }
    if (code === 'ERR_OUT_OF_MEMORY' || code === 'ERR_ADDON') {
      return new WarpDiceError(code, message, { cause: error });
    }
    return error;
  }

  #valueOf(call: Prepared, out: ValueOptions['out']): LossValue {
    if (out !== undefined && out.value === call.value && out.perClass === call.perClass) {
      return out as LossValue;
    }
    return { value: call.value as Tensor, perClass: call.perClass as Tensor };
  }

  #valueAndGradOf(call: Prepared, out: ValueAndGradOptions['out']): LossValueAndGrad {
    if (
      out !== undefined &&
      out.value === call.value &&
      out.perClass === call.perClass &&
      out.grad === call.grad
    ) {
      return out as LossValueAndGrad;
    }
    return {
      value: call.value as Tensor,
      perClass: call.perClass as Tensor,
      grad: call.grad as Tensor,
    };
  }
}
