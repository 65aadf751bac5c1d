import { defaultNames } from '../../calls/argument-names.js';
import { LossStatistics } from '../../calls/loss-statistics.js';
import * as operations from '../../calls/operations.js';
import type { ValueAndGradOptions, ValueOptions } from '../../calls/options.js';
import { Plan } from '../../calls/plan.js';
import { Preparer } from '../../calls/prepare.js';
import { type PreparedCall, release } from '../../calls/prepared-call.js';
import type { LossValue, LossValueAndGrad } from '../../calls/result.js';
import { CallRunner } from '../../calls/run.js';
import type { ResolvedOptions } from '../../calls/shapes.js';
import { cannotCombine, none } from '../../common/check.js';
import { guard, notByNew } from '../../common/own.js';
import { spacingOf, spatialSizes } from '../../common/spatial.js';
import { isHalf, isInteger, labelList } from '../../tensors/dtype.js';
import { Tensor, type TensorLike } from '../../tensors/tensor.js';

/** The options of {@link DirectLoss.value}. */
export type DirectOptions = Omit<ValueOptions, 'weight'>;

/** The options of {@link DirectLoss.valueAndGrad}. */
export type DirectGradOptions = Omit<ValueAndGradOptions, 'weight' | 'gradDtype'>;

const value = { ...operations.value, keys: ['out'] };
const valueAndGrad = {
  ...operations.valueAndGrad,
  keys: ['gradScale', 'accumulate', 'upstream', 'out'],
};

/** What a loss that knows where voxels lie has beside its options. */
export interface Spatial {
  spacing: readonly number[] | undefined;
}

/**
 * The methods of losses that are no function of a few sums over the voxels, such as {@link LovaszLoss}, which sorts them, and
 * {@link BoundaryLoss}, which measures distances between them. They have no statistics: no parts of a volume that are computed
 * apart, no `allReduce` hook, no weight of voxels. They run on the CPU; a tensor on a GPU throws a `TypeError`. The `...Async`
 * methods compute off the event loop, as those of {@link Loss}.
 */
export abstract class DirectLoss {
  readonly #name: string;
  readonly #preparer: Preparer;
  readonly #runner: CallRunner;
  readonly #spatial: (Spatial & { channelsLast: boolean }) | undefined;

  static {
    guard(DirectLoss, 'a loss', DirectLoss.#isWhole);
  }

  static #isWhole(value: object): boolean {
    return #runner in value;
  }

  /** @internal */
  protected constructor(resolved: ResolvedOptions, spatial?: Spatial) {
    if (new.target === DirectLoss) {
      throw notByNew('a loss', 'new LovaszLoss(options), or of another loss,', new.target.name);
    }
    const statistics = new LossStatistics(resolved);
    this.#name = new.target.name;
    this.#preparer = new Preparer(resolved, statistics, { ...defaultNames });
    this.#runner = new CallRunner(resolved, statistics, undefined);
    this.#spatial = spatial && { ...spatial, channelsLast: resolved.channelsLast };
  }

  /**
   * Computes the loss.
   *
   * @param predictions [N, C, ...spatial] or, with channels last, [N, ...spatial, C]. [S] is one sample of one class. float32 or
   *   float64, on the CPU.
   * @param target Class indices without the class axis, of any integer dtype; or one mask of 0 and 1 per class in the shape of
   *   the predictions, uint8. With one class: a mask of any integer dtype.
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  value(predictions: TensorLike, target: TensorLike, options: DirectOptions = none): LossValue {
    const call = this.#prepare(value, predictions, target, options);
    this.#runner.run(call);
    return value.result(call, options.out);
  }

  /**
   * Computes the loss and its gradient with respect to the predictions, in their dtype. When `options.out` has a Tensor for every
   * result, `options.out` itself is returned. Arguments and errors as for {@link DirectLoss.value}.
   */
  valueAndGrad(
    predictions: TensorLike,
    target: TensorLike,
    options: DirectGradOptions = none,
  ): LossValueAndGrad {
    const call = this.#prepare(valueAndGrad, predictions, target, options);
    this.#runner.run(call);
    return valueAndGrad.result(call, options.out);
  }

  /** {@link DirectLoss.value} off the event loop. */
  valueAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: DirectOptions = none,
  ): Promise<LossValue> {
    const call = this.#prepare(value, predictions, target, options);
    return this.#runner.runAsync(call, () => value.result(call, options.out));
  }

  /** {@link DirectLoss.valueAndGrad} off the event loop. */
  valueAndGradAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: DirectGradOptions = none,
  ): Promise<LossValueAndGrad> {
    const call = this.#prepare(valueAndGrad, predictions, target, options);
    return this.#runner.runAsync(call, () => valueAndGrad.result(call, options.out));
  }

  /** Prepares a {@link DirectLoss.valueAndGrad} that runs many times, see {@link Loss.plan}. */
  plan(predictions: TensorLike, target: TensorLike, options: DirectGradOptions = none): Plan {
    const call = this.#prepare(valueAndGrad, predictions, target, options);
    return Plan.make(call, this.#runner.plan(call));
  }

  #prepare(
    operation: Pick<operations.Operation<never, unknown>, 'steps' | 'keys' | 'outKeys'>,
    predictions: TensorLike,
    target: TensorLike,
    options: operations.AnyOptions,
  ): PreparedCall {
    const call = this.#preparer.call(operation, predictions, target, options);
    try {
      this.#check(call);
      this.#locate(call);
    } catch (error) {
      release(call);
      throw error;
    }
    return call;
  }

  /** Tells the addon where the voxels lie. */
  #locate({ native, predictions }: PreparedCall): void {
    if (this.#spatial === undefined) return;
    const { spacing, channelsLast } = this.#spatial;
    native.sizes = spatialSizes((predictions as Tensor).shape, true, channelsLast);
    native.spacing = spacingOf(native.sizes, spacing);
  }

  /** What the losses of sums can do, and these cannot. */
  #check({ device, linear, predictions, target }: PreparedCall): void {
    if (linear !== undefined) {
      throw cannotCombine('linearLogits', this.#name, 'compute the logits first');
    }
    if (device.kind !== 'cpu') {
      throw new TypeError(
        `Expected a tensor on cpu for predictions, as ${this.#name} is computed there, but received one on ${device}: use to('cpu')`,
      );
    }
    if (predictions instanceof Tensor && isHalf(predictions.dtype)) {
      throw new TypeError(
        `Expected dtype float32 or float64 for predictions of ${this.#name} but received ${predictions.dtype}`,
      );
    }
    if (target instanceof Tensor && !isInteger(target.dtype)) {
      throw new TypeError(
        `Expected dtype ${labelList} for target, as ${this.#name} has no soft targets, but received ${target.dtype}`,
      );
    }
  }
}
