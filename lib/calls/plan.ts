import type { ValueAndGradOptions } from '../losses/options.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import type { Prepared } from './outputs.js';

/** A checked call on these tensors; the results go to `out`, or where the plan's first call has put them. */
export type Prepare = (x: TensorLike, y: TensorLike, out: ValueAndGradOptions['out']) => Prepared;

/** What executes a plan's calls. @internal */
export interface PlanRunner {
  execute(call: Prepared): void;
  /** Said of a call that takes the place of the one before. */
  bind(call: Prepared): void;
  dispose(): void;
}

/** The arguments that say the target's dtype and whether it is labels. */
const targetArguments = [7, 8] as const;

/**
 * A value-and-gradient call that was checked once and is executed many times. `execute()` allocates nothing
 * (but what an `allReduce` hook is given).
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
  #call: Prepared;

  /** runner: for `first` and calls like it. @internal */
  constructor(prepare: Prepare, first: Prepared, runner: PlanRunner) {
    this.#prepare = prepare;
    this.#call = first;
    this.#runner = runner;
    this.#made = first.made;
  }

  /** The loss of the last `execute()`. Always the same tensor. */
  get value(): Tensor {
    return this.#call.value as Tensor;
  }

  /** L of every class of the last `execute()`. Always the same tensor. */
  get perClass(): Tensor {
    return this.#call.perClass as Tensor;
  }

  /** The parts of a compound loss of the last `execute()`. Always the same tensor. */
  get parts(): Tensor | undefined {
    return this.#call.parts;
  }

  /** The gradient of the last `execute()`. Always the same tensor. */
  get grad(): Tensor {
    return this.#call.grad as Tensor;
  }

  /**
   * Computes the loss and the gradient of what the tensors hold now. On a GPU it launches one CUDA graph and returns at
   * once: tensors are read when the graph runs, and labels out of range are an error of reading a result, until the
   * next `execute()`.
   */
  execute(): this {
    this.#runner.execute(this.#call);
    return this;
  }

  /**
   * Swaps the tensors for others of the same shapes and dtypes; the results stay where they are.
   *
   * @throws TypeError, RangeError for tensors of other shapes or dtypes; the plan then stays as it was
   */
  bind(predictions: TensorLike, target: TensorLike): this {
    const { value, perClass, parts, grad } = this;
    const out = { value, perClass, grad, ...(parts && { parts }) };
    const call = this.#prepare(predictions, target, out);
    for (const argument of targetArguments) {
      if (call.args[argument] !== this.#call.args[argument]) {
        throw new TypeError(
          'Expected a target of the same dtype, and as dense as the one that the plan was made with: make another plan for this one',
        );
      }
    }
    this.#runner.bind(call);
    this.#call = call;
    return this;
  }

  /**
   * Frees what the plan has on a GPU: its workspace, its graph and the results that it made. What was enqueued is still
   * done. On the CPU there is nothing to free. May be called again.
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
