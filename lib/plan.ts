import type { Prepared } from './call.js';
import type { ValueAndGradOptions } from './options.js';
import type { Tensor, TensorLike } from './tensor.js';

/** The arguments that say the target's dtype and whether it is labels. */
const targetArguments = [7, 8] as const;

/**
 * A value-and-gradient call that was checked once and is executed many times. `execute()` allocates nothing.
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
export class Plan {
  readonly #bind: (x: TensorLike, y: TensorLike, out: ValueAndGradOptions['out']) => Prepared;
  readonly #run: (call: Prepared) => void;
  #call: Prepared;

  /** @internal */
  constructor(
    bind: (x: TensorLike, y: TensorLike, out: ValueAndGradOptions['out']) => Prepared,
    run: (call: Prepared) => void,
    predictions: TensorLike,
    target: TensorLike,
  ) {
    this.#bind = bind;
    this.#run = run;
    this.#call = bind(predictions, target, undefined);
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

  /** Computes the loss and the gradient of what the tensors hold now. */
  execute(): this {
    this.#run(this.#call);
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
    const call = this.#bind(predictions, target, out);
    for (const argument of targetArguments) {
      if (call.args[argument] !== this.#call.args[argument]) {
        throw new TypeError('Expected the dtype and kind of target that the plan was made with');
      }
    }
    this.#call = call;
    return this;
  }
}
