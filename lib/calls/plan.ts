import type { Tensor, TensorLike } from '../tensors/tensor.js';
import type { ValueAndGradOptions } from './options.js';
import type { PreparedCall } from './prepared-call.js';

/** Checks a call on these tensors. The results go to `out`, or to new tensors. */
export type Prepare = (
  x: TensorLike,
  y: TensorLike,
  out: ValueAndGradOptions['out'],
) => PreparedCall;

/** Executes a plan's calls on one kind of device. @internal */
export interface PlanRunner {
  execute(call: PreparedCall): void;
  /** Replaces the call that later executions run. */
  bind(call: PreparedCall): void;
  dispose(): void;
}

/**
 * A value-and-gradient call that is checked once and executed many times, made by {@link Loss.plan}. `execute()` allocates
 * nothing, except the statistics for an `allReduce` hook.
 *
 * @example
 * const p = Tensor.from(Float64Array.of(0.5, 0), [2]);
 * const t = Tensor.from(Uint8Array.of(1, 0), [2]);
 * const step = new DiceLoss({ smoothDenominator: 0 }).plan(p, t);
 * step.execute().value.itemSync(); // 1 - 2*0.5 / (0.25 + 1) = 1/5
 * step.grad.data; // [-2/1.25 + 1/1.25**2, 0]
 * p.data[0] = 1; // a plan reads what its tensors hold now
 * step.execute().value.itemSync(); // 0
 */
export class Plan implements Disposable {
  readonly #prepare: Prepare;
  readonly #runner: PlanRunner;
  readonly #made: readonly Tensor[];
  #call: PreparedCall;

  private constructor(prepare: Prepare, first: PreparedCall, runner: PlanRunner) {
    this.#prepare = prepare;
    this.#call = first;
    this.#runner = runner;
    this.#made = first.made;
  }

  /** runner: for `first` and calls like it. @internal */
  static make(prepare: Prepare, first: PreparedCall, runner: PlanRunner): Plan {
    return new Plan(prepare, first, runner);
  }

  /** The loss of the last `execute()`. Always the same tensor. */
  get value(): Tensor {
    return this.#call.value as Tensor;
  }

  /** The loss of every class of the last `execute()`, see {@link LossValue.perClass}. Always the same tensor. */
  get perClass(): Tensor {
    return this.#call.perClass as Tensor;
  }

  /** The parts of a compound loss of the last `execute()`, else undefined. Always the same tensor. */
  get parts(): Tensor | undefined {
    return this.#call.parts;
  }

  /** The gradient of the last `execute()`. Always the same tensor. */
  get grad(): Tensor {
    return this.#call.grad as Tensor;
  }

  /**
   * Computes the loss and the gradient for the current contents of the tensors. On a GPU it launches one CUDA graph and
   * returns immediately: the tensors are read when the graph runs. Labels out of range then throw when a result is read,
   * until the next `execute()`.
   *
   * @throws WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED, ERR_CUDA
   */
  execute(): this {
    this.#runner.execute(this.#call);
    return this;
  }

  /**
   * Replaces the predictions and the target by tensors of the same shapes and dtypes. The result tensors stay the same.
   *
   * @throws TypeError, RangeError for tensors of other shapes or dtypes; the plan then keeps its tensors
   */
  bind(predictions: TensorLike, target: TensorLike): this {
    const { value, perClass, parts, grad } = this;
    const out = { value, perClass, grad, ...(parts && { parts }) };
    const call = this.#prepare(predictions, target, out);
    const [now, before] = [call.native, this.#call.native];
    if (now.targetType !== before.targetType || now.targetIsLabels !== before.targetIsLabels) {
      throw new TypeError(
        'Expected a target of the same dtype, and as dense as the one that the plan was made with: make another plan for this one',
      );
    }
    this.#runner.bind(call);
    this.#call = call;
    return this;
  }

  /**
   * Frees the plan's memory on a GPU: its workspace, its graph and the result tensors that it allocated. Enqueued work still
   * completes. On the CPU there is nothing to free. May be called again.
   */
  dispose(): void {
    this.#runner.dispose();
    if (this.#call.device.kind === 'cuda') for (const result of this.#made) result.dispose();
  }

  /** {@link Plan.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
