import { type AllReduce, checkAllReduce } from '../calls/all-reduce.js';
import { defaultNames, type Names } from '../calls/argument-names.js';
import { LossStatistics } from '../calls/loss-statistics.js';
import * as operations from '../calls/operations.js';
import type {
  CallOptions,
  GradientOptions,
  TargetGradientOptions,
  ValueAndGradOptions,
  ValueOptions,
} from '../calls/options.js';
import { Plan, type Prepare } from '../calls/plan.js';
import { Preparer } from '../calls/prepare.js';
import {
  type DeferredCall,
  type LossValue,
  type LossValueAndGrad,
  lossValue,
} from '../calls/result.js';
import { CallRunner } from '../calls/run.js';
import type { Statistics } from '../calls/statistics.js';
import { none } from '../common/check.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { type Definition, resolveOptions } from './resolve.js';

/**
 * What all losses share: three steps (statistics, value from statistics, gradient from statistics) and their fusion.
 * The plain calls compute before they return; with tensors on a GPU they enqueue, and labels out of range are found when
 * a result is read. The `...Async` ones compute off the event loop and may overlap: arrays
 * on plain ArrayBuffers are copied at the call and results copied back when it resolves, shared memory
 * ({@link Tensor.empty}) is used in place and must not be written meanwhile. Wrong arguments throw at the call, labels out
 * of range reject the promise.
 */
export abstract class Loss {
  readonly #names = { ...defaultNames };
  readonly #preparer: Preparer;
  readonly #runner: CallRunner;
  /** @internal */
  readonly channelsLast: boolean;

  /** @internal */
  protected constructor(options: { allReduce?: AllReduce }, definition: Definition) {
    const resolved = resolveOptions(options, definition);
    const statistics = new LossStatistics(resolved);
    this.channelsLast = resolved.channelsLast;
    const allReduce = checkAllReduce(options.allReduce);
    const { name } = new.target;
    this.#preparer = new Preparer(resolved, statistics, this.#names);
    this.#runner = new CallRunner(resolved, statistics, allReduce, this.#names, name);
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
    return this.#run(operations.value, predictions, target, options);
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
    return this.#run(operations.valueAndGrad, predictions, target, options);
  }

  /**
   * Step 1: the sums I, P, T, on which everything else rests: [N, C, 8] or, pooled over the batch, [1, C, 8].
   * `options.out` (of as many samples and classes) is overwritten and returned. Arguments and errors as for
   * {@link Loss.value}.
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
    predictions: TensorLike,
    target: TensorLike,
    options: CallOptions & { out?: Statistics } = none,
  ): Statistics {
    return this.#run(operations.statistics, predictions, target, options);
  }

  /**
   * Step 2: the loss from its sums.
   *
   * @throws TypeError, RangeError for statistics that mean something else
   */
  fromStatistics(statistics: Statistics, options: Omit<ValueOptions, 'weight'> = none): LossValue {
    const call = this.#preparer.fromStatistics(statistics, options);
    this.#runner.run(call);
    return lossValue(call, options.out);
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
    return this.#run(operations.gradient, predictions, target, options, statistics);
  }

  /**
   * dL/dtarget from the sums: for a soft target that is itself learned, or to be corrected. The target must be dense
   * and of floats; the result has its shape and dtype, or is `options.out.targetGrad`. That class weights made from the
   * target ({@link GeneralizedDiceLoss}) change with it is taken into account, but that of an absent class is taken as it
   * is: there it jumps. The slope of a cross-entropy is infinite where p = 0.
   *
   * @throws TypeError, RangeError for arguments that do not fit, or statistics that mean something else
   * @example
   * const loss = new DiceLoss({ smoothDenominator: 0 });
   * const p = Tensor.from(Float64Array.of(0.5, 1), [2]);
   * const t = Tensor.from(Float64Array.of(1, 0.5), [2]);
   * // I = 1, P = T = 1.25: dL/dt = -2p/2.5 + 2t*2/2.5^2
   * loss.targetGradient(p, t, loss.statistics(p, t)).data; // [0.24, -0.48]
   */
  targetGradient(
    predictions: TensorLike,
    target: TensorLike,
    statistics: Statistics,
    options: TargetGradientOptions = none,
  ): Tensor {
    return this.#run(operations.targetGradient, predictions, target, options, statistics);
  }

  /** {@link Loss.value} off the event loop. */
  valueAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: ValueOptions = none,
  ): Promise<LossValue> {
    return this.#runAsync(operations.value, predictions, target, options);
  }

  /** {@link Loss.valueAndGrad} off the event loop. */
  valueAndGradAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: ValueAndGradOptions = none,
  ): Promise<LossValueAndGrad> {
    return this.#runAsync(operations.valueAndGrad, predictions, target, options);
  }

  /** {@link Loss.statistics} off the event loop. */
  statisticsAsync(
    predictions: TensorLike,
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
    options: GradientOptions = none,
  ): Promise<Tensor> {
    return this.#runAsync(operations.gradient, predictions, target, options, statistics);
  }

  /** {@link Loss.targetGradient} off the event loop. */
  targetGradientAsync(
    predictions: TensorLike,
    target: TensorLike,
    statistics: Statistics,
    options: TargetGradientOptions = none,
  ): Promise<Tensor> {
    return this.#runAsync(operations.targetGradient, predictions, target, options, statistics);
  }

  /**
   * {@link Loss.valueAndGrad} with everything checked and allocated once: `plan.execute()` then does the work and
   * nothing else. The plan keeps the tensors that it was made with and reads what they hold at each `execute()`, the
   * upstream and a tensor `gradScale` included. Arguments and errors as for {@link Loss.valueAndGrad}.
   */
  plan(predictions: TensorLike, target: TensorLike, options: ValueAndGradOptions = none): Plan {
    const fixed = { ...options };
    const prepare: Prepare = (x, y, out) =>
      this.#preparer.call(operations.valueAndGrad, x, y, { ...fixed, ...(out && { out }) });
    const first = prepare(predictions, target, undefined);
    return Plan.make(prepare, first, this.#runner.plan(first));
  }

  #run<Options extends operations.AnyOptions, Result>(
    operation: operations.Operation<Options, Result>,
    predictions: TensorLike,
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
    predictions: TensorLike,
    target: TensorLike,
    options: Options,
    statistics?: Statistics,
  ): Promise<Result> {
    const call = this.#preparer.call(operation, predictions, target, options, statistics);
    return this.#runner.runAsync(call, () => operation.result(call, options.out));
  }

  /** A call in two parts: all checks, and then, when the result says so, the work. @internal */
  prepare<Options extends operations.AnyOptions, Result>(
    operation: operations.Operation<Options, Result>,
    predictions: TensorLike,
    target: TensorLike,
    options: Options,
  ): DeferredCall<Result> {
    const call = this.#preparer.call(operation, predictions, target, options);
    const result = () => operation.result(call, options.out);
    return {
      call,
      run: () => {
        this.#runner.run(call);
        return result();
      },
      runAsync: () => this.#runner.runAsync(call, result),
    };
  }

  /** How messages call the arguments: for warpdice/tfjs. @internal */
  useNames(names: Names): void {
    Object.assign(this.#names, names);
  }

  /** What the allReduce hook makes of these statistics, or they themselves where there is none. @internal */
  mergedSync(local: Statistics): Statistics {
    return this.#runner.merged(local);
  }
}
