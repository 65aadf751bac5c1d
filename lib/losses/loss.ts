import { type AllReduce, checkAllReduce } from '../calls/all-reduce.js';
import { defaultNames, type Names } from '../calls/argument-names.js';
import { LossStatistics } from '../calls/loss-statistics.js';
import * as operations from '../calls/operations.js';
import type {
  CallOptions,
  FromStatisticsOptions,
  GradientOptions,
  LinearGradientOptions,
  LinearValueAndGradOptions,
  TargetGradientOptions,
  ValueAndGradOptions,
  ValueOptions,
} from '../calls/options.js';
import { Plan } from '../calls/plan.js';
import { Preparer } from '../calls/prepare.js';
import { runVoxels } from '../calls/reproducible.js';
import {
  type DeferredCall,
  type LinearValueAndGrad,
  type LossValue,
  type LossValueAndGrad,
  lossValue,
} from '../calls/result.js';
import { CallRunner } from '../calls/run.js';
import type { ResolvedOptions } from '../calls/shapes.js';
import type { Statistics } from '../calls/statistics.js';
import { checkInteger, none } from '../common/check.js';
import { guard, notByNew } from '../common/own.js';
import type { LinearGrad } from '../head/linear-grad.js';
import { LinearLogits, type Predictions } from '../head/linear-logits.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';

/** An operation whose result depends on the predictions. */
type GradOperation<Result> = operations.Operation<operations.AnyOptions, Result>;

/** @internal */
export const valueAndGradOf = (predictions: Predictions) =>
  (predictions instanceof LinearLogits
    ? operations.linearValueAndGrad
    : operations.valueAndGrad) as GradOperation<LossValueAndGrad | LinearValueAndGrad>;

const gradientOf = (predictions: Predictions) =>
  (predictions instanceof LinearLogits
    ? operations.linearGradient
    : operations.gradient) as GradOperation<Tensor | LinearGrad>;

/** What to do where a loss of sums is needed, for a value (or the prototype of a class) that is a loss of another kind. */
export const adviceWithoutSums = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null && 'valueAndGrad' in value && !('statistics' in value)
    ? 'call its own valueAndGrad(), as it is no function of sums'
    : undefined;

/**
 * The methods that all losses share. A loss is computed in three steps: the statistics, the value from the statistics, and
 * the gradient from the statistics. Each step is a method; {@link Loss.value} and {@link Loss.valueAndGrad} do several at once.
 *
 * On the CPU, the plain methods compute before they return. With tensors on a GPU they enqueue the work and return
 * immediately; labels out of range then throw when a result is read.
 *
 * The `...Async` methods compute off the event loop and off Node's thread pool. At most four calls run at the same time; the
 * others wait. They begin in the order of the calls and may end in another. Arrays on plain ArrayBuffers are copied at the
 * call, and buffers of `out` on plain ArrayBuffers are written by a copy before the promise resolves. Shared memory
 * ({@link Tensor.empty}) is used in place: do not write to it until the promise resolves. New results are in shared memory
 * too. Wrong arguments throw at the call; labels out of range, and a call while
 * pending ones hold 1 GiB of copies (ERR_QUEUE_FULL), reject the promise.
 */
export abstract class Loss {
  readonly #names = { ...defaultNames };
  readonly #preparer: Preparer;
  readonly #runner: CallRunner;
  readonly #statistics: LossStatistics;
  readonly #channelsLast: boolean;

  static {
    guard(Loss, 'a loss', Loss.isWhole);
  }

  /** @internal */
  protected constructor(options: { allReduce?: AllReduce }, resolved: ResolvedOptions) {
    if (resolved === undefined) {
      throw notByNew('a loss', 'new DiceLoss(options), or of another loss,', new.target.name);
    }
    const statistics = new LossStatistics(resolved);
    this.#statistics = statistics;
    this.#channelsLast = resolved.channelsLast;
    const allReduce = checkAllReduce(options.allReduce);
    this.#preparer = new Preparer(resolved, statistics, this.#names);
    this.#runner = new CallRunner(resolved, statistics, allReduce);
  }

  /**
   * Computes the loss.
   *
   * @param predictions {@link linearLogits}, or [N, C, ...spatial] or, with channels last, [N, ...spatial, C]. [S] is one sample of one class. float32,
   *   float64, float16 or bfloat16.
   * @param target Class indices without the class axis: uint8, int16, uint16, int32 or int64. Or a dense target in
   *   the shape of the predictions: uint8 (0 or 1) or any float dtype. With one class: a 0/1 mask of any dtype, with or
   *   without the class axis.
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  value(predictions: Predictions, target: TensorLike, options: ValueOptions = none): LossValue {
    return this.#run(operations.value, predictions, target, options);
  }

  /**
   * Computes the loss and its exact gradient with respect to the predictions. Nothing is written when it throws. When
   * `options.out` has a Tensor for every result, no array is allocated, and `options.out` itself is returned. Arguments and
   * errors as for {@link Loss.value}.
   */
  valueAndGrad(
    predictions: TensorLike,
    target: TensorLike,
    options?: ValueAndGradOptions,
  ): LossValueAndGrad;
  /** The same for {@link linearLogits}: the gradient is that of the features, the weight and the bias. */
  valueAndGrad(
    predictions: LinearLogits,
    target: TensorLike,
    options?: LinearValueAndGradOptions,
  ): LinearValueAndGrad;
  valueAndGrad(
    predictions: Predictions,
    target: TensorLike,
    options: ValueAndGradOptions | LinearValueAndGradOptions = none,
  ): LossValueAndGrad | LinearValueAndGrad {
    return this.#run(valueAndGradOf(predictions), predictions, target, options);
  }

  /**
   * Step 1: computes the statistics (the sums I, P, T and others, see {@link Statistics}), [N, C, 8] or, with `batch`,
   * [1, C, 8]. `options.out`, statistics of the same numbers of samples and classes, is overwritten and returned. Arguments
   * and errors as for {@link Loss.value}.
   *
   * @example
   * const loss = new DiceLoss({ smoothDenominator: 0 });
   * const left = Tensor.from(Float64Array.of(0.5, 1), [2]); // two tiles of one volume
   * const right = Tensor.from(Float64Array.of(0.5, 0), [2]);
   * const leftMask = Tensor.from(Uint8Array.of(1, 1), [2]);
   * const rightMask = Tensor.from(Uint8Array.of(0, 1), [2]);
   * const whole = loss.statistics(left, leftMask).add(loss.statistics(right, rightMask));
   * loss.fromStatistics(whole).value.itemSync(); // 1 - 2*1.5 / (1.5 + 3) = 1/3: the loss of the volume
   * loss.gradient(left, leftMask, whole).data; // [-8/27, -4/27]: its exact gradient in the left tile
   */
  statistics(
    predictions: Predictions,
    target: TensorLike,
    options: CallOptions & { out?: Statistics } = none,
  ): Statistics {
    return this.#run(operations.statistics, predictions, target, options);
  }

  /**
   * Statistics of no voxels: every sum is 0. For a rank or a worker that has no voxels in this step, and takes part in the sum of
   * all: `loss.fromStatistics(allReduce(loss.emptyStatistics(classes)))` is the loss of all.
   *
   * @param samples How many samples the others have; 1 or more, default 1. Has no meaning with `batch`
   * @throws TypeError, RangeError
   * @example
   * const loss = new DiceLoss({ batch: true, smoothDenominator: 0 });
   * const [p, t] = [Tensor.from(Float64Array.of(0.5), [1]), Tensor.from(Uint8Array.of(1), [1])];
   * const all = loss.statistics(p, t).add(loss.emptyStatistics(1));
   * loss.fromStatistics(all).value.itemSync(); // 1 - 2*0.5 / (0.25 + 1) = 1/5
   */
  emptyStatistics(classes: number, samples = 1): Statistics {
    const most = 2 ** 24;
    checkInteger(classes, 'classes', 1, most);
    return this.#statistics.empty(classes, checkInteger(samples, 'samples', 1, most));
  }

  /**
   * Where a volume may be cut into parts with the option `reproducible`: each part but the last has a multiple of so many voxels of
   * a sample, counted in the order of the memory. 32768 / C, at least 1, rounded up to a multiple of 128.
   *
   * @throws TypeError, RangeError
   * @example
   * Loss.runVoxels(4); // 8192
   */
  static runVoxels(classes: number): number {
    return runVoxels(checkInteger(classes, 'classes', 1, 2 ** 24));
  }

  /**
   * Step 2: computes the loss from statistics.
   *
   * @throws TypeError, RangeError for statistics of a loss with other options
   */
  fromStatistics(statistics: Statistics, options: FromStatisticsOptions = none): LossValue {
    const call = this.#preparer.fromStatistics(statistics, options);
    this.#runner.run(call);
    return lossValue(call, options.out);
  }

  /**
   * Step 3: computes the gradient with respect to the predictions from statistics. The statistics may cover more than these
   * predictions, such as all tiles of a volume. Returns a tensor in the shape of the predictions, or `options.out.grad`, which
   * may be the predictions themselves. Unlike in the other calls, a label out of range is no error here: its voxel belongs
   * to no class.
   *
   * @throws TypeError, RangeError for arguments that do not fit, or statistics of a loss with other options
   */
  gradient(
    predictions: TensorLike,
    target: TensorLike,
    statistics: Statistics,
    options?: GradientOptions,
  ): Tensor;
  /** The same for {@link linearLogits}. */
  gradient(
    predictions: LinearLogits,
    target: TensorLike,
    statistics: Statistics,
    options?: LinearGradientOptions,
  ): LinearGrad;
  gradient(
    predictions: Predictions,
    target: TensorLike,
    statistics: Statistics,
    options: GradientOptions | LinearGradientOptions = none,
  ): Tensor | LinearGrad {
    return this.#run(gradientOf(predictions), predictions, target, options, statistics);
  }

  /**
   * Computes dL/dtarget from statistics, for a soft target that is itself learned. The target must be dense and of a float
   * dtype. Returns a tensor in the target's shape and dtype, or `options.out.targetGrad`. The gradient includes the weights
   * w_c that {@link GeneralizedDiceLoss} computes from the target; only an absent class's weight is held constant, because it
   * is discontinuous there. The derivative of a cross-entropy is infinite where p = 0.
   *
   * @throws TypeError, RangeError for arguments that do not fit, or statistics of a loss with other options
   * @example
   * const loss = new DiceLoss({ smoothDenominator: 0 });
   * const p = Tensor.from(Float64Array.of(0.5, 1), [2]);
   * const t = Tensor.from(Float64Array.of(1, 0.5), [2]);
   * // I = 1, P = T = 1.25: dL/dt = -2p/2.5 + 2t*2/2.5^2
   * loss.targetGradient(p, t, loss.statistics(p, t)).data; // [0.24, -0.48]
   */
  targetGradient(
    predictions: Predictions,
    target: TensorLike,
    statistics: Statistics,
    options: TargetGradientOptions = none,
  ): Tensor {
    return this.#run(operations.targetGradient, predictions, target, options, statistics);
  }

  /** {@link Loss.value} off the event loop. */
  valueAsync(
    predictions: Predictions,
    target: TensorLike,
    options: ValueOptions = none,
  ): Promise<LossValue> {
    return this.#runAsync(operations.value, predictions, target, options);
  }

  /** {@link Loss.valueAndGrad} off the event loop. */
  valueAndGradAsync(
    predictions: TensorLike,
    target: TensorLike,
    options?: ValueAndGradOptions,
  ): Promise<LossValueAndGrad>;
  /** The same for {@link linearLogits}. */
  valueAndGradAsync(
    predictions: LinearLogits,
    target: TensorLike,
    options?: LinearValueAndGradOptions,
  ): Promise<LinearValueAndGrad>;
  valueAndGradAsync(
    predictions: Predictions,
    target: TensorLike,
    options: ValueAndGradOptions | LinearValueAndGradOptions = none,
  ): Promise<LossValueAndGrad | LinearValueAndGrad> {
    return this.#runAsync(valueAndGradOf(predictions), predictions, target, options);
  }

  /** {@link Loss.statistics} off the event loop. */
  statisticsAsync(
    predictions: Predictions,
    target: TensorLike,
    options: CallOptions & { out?: Statistics } = none,
  ): Promise<Statistics> {
    return this.#runAsync(operations.statistics, predictions, target, options);
  }

  /** {@link Loss.gradient} off the event loop. */
  gradientAsync(
    predictions: TensorLike,
    target: TensorLike,
    statistics: Statistics,
    options?: GradientOptions,
  ): Promise<Tensor>;
  /** The same for {@link linearLogits}. */
  gradientAsync(
    predictions: LinearLogits,
    target: TensorLike,
    statistics: Statistics,
    options?: LinearGradientOptions,
  ): Promise<LinearGrad>;
  gradientAsync(
    predictions: Predictions,
    target: TensorLike,
    statistics: Statistics,
    options: GradientOptions | LinearGradientOptions = none,
  ): Promise<Tensor | LinearGrad> {
    return this.#runAsync(gradientOf(predictions), predictions, target, options, statistics);
  }

  /** {@link Loss.targetGradient} off the event loop. */
  targetGradientAsync(
    predictions: Predictions,
    target: TensorLike,
    statistics: Statistics,
    options: TargetGradientOptions = none,
  ): Promise<Tensor> {
    return this.#runAsync(operations.targetGradient, predictions, target, options, statistics);
  }

  /**
   * Prepares a {@link Loss.valueAndGrad} that runs many times. The arguments are checked and the results allocated here, once;
   * `plan.execute()` only computes. The plan keeps its tensors, `upstream` and a tensor `gradScale` included, and reads their
   * current contents at each `execute()`. Arguments and errors as for {@link Loss.valueAndGrad}.
   */
  plan(predictions: TensorLike, target: TensorLike, options?: ValueAndGradOptions): Plan;
  /** The same for {@link linearLogits}. */
  plan(
    predictions: LinearLogits,
    target: TensorLike,
    options?: LinearValueAndGradOptions,
  ): Plan<LinearGrad>;
  plan(
    predictions: Predictions,
    target: TensorLike,
    options: ValueAndGradOptions | LinearValueAndGradOptions = none,
  ): Plan | Plan<LinearGrad> {
    const call = this.#preparer.call(valueAndGradOf(predictions), predictions, target, options);
    return Plan.make(call, this.#runner.plan(call)) as Plan | Plan<LinearGrad>;
  }

  #run<Options extends operations.AnyOptions, Result>(
    operation: operations.Operation<Options, Result>,
    predictions: Predictions,
    target: TensorLike,
    options: Options,
    statistics?: Statistics,
  ): Result {
    const call = this.#preparer.call(operation, predictions, target, options, statistics);
    this.#runner.run(call);
    return operation.result(call, options.out);
  }

  #runAsync<Options extends operations.AnyOptions, Result>(
    operation: operations.Operation<Options, Result>,
    predictions: Predictions,
    target: TensorLike,
    options: Options,
    statistics?: Statistics,
  ): Promise<Result> {
    const call = this.#preparer.call(operation, predictions, target, options, statistics, true);
    return this.#runner.runAsync(call, () => operation.result(call, options.out));
  }

  /**
   * Checks a call; the work starts when the caller runs the result. async: as which of the two. names: of the arguments, for
   * messages. @internal
   */
  prepare<Options extends operations.AnyOptions, Result>(
    operation: operations.Operation<Options, Result>,
    predictions: Predictions,
    target: TensorLike,
    options: Options,
    { async, names }: { async: boolean; names: Names },
  ): DeferredCall<Result> {
    const call = this.#preparer.call(
      operation,
      predictions,
      target,
      options,
      undefined,
      async,
      names,
    );
    const result = () => operation.result(call, options.out);
    return {
      call,
      run: () => {
        this.#runner.run(call);
        return result();
      },
      runAsync: () => this.#runner.runAsync(call, result),
      toUserError: (error, names) => this.#runner.toUserError(error, call.native, names),
    };
  }

  /** Whether `value` really is a loss: a Proxy of one is not. @internal */
  static isWhole(value: object): boolean {
    return #runner in value;
  }

  /** Whether the classes are the last axis. @internal */
  get channelsLast(): boolean {
    return this.#channelsLast;
  }

  /** Sets the argument names that messages use: for warpdice/tfjs. @internal */
  useNames(names: Names): void {
    Object.assign(this.#names, names);
  }

  /** The statistics that the allReduce hook returns for `local`; `local` itself without a hook. @internal */
  mergedSync(local: Statistics): Statistics {
    return this.#runner.merged(local);
  }
}
