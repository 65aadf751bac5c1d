import type { ValueAndGradOptions } from './options.js';
import type { Tensor, TensorLike } from './tensor.js';

interface Bound {
  readonly value: Tensor | undefined;
  readonly perClass: Tensor | undefined;
  readonly grad: Tensor | undefined;
}

/**
 * A value-and-gradient call that was checked once and is executed many times. `execute()` allocates nothing.
 *
 * @example
 * const step = loss.plan(logits, labels);
 * step.execute();
 * step.value.itemSync(); // the loss of what `logits` holds now
 */
export class Plan {
  readonly #bind: (x: TensorLike, y: TensorLike, out: ValueAndGradOptions['out']) => Bound;
  readonly #run: (call: Bound) => void;
  #call: Bound;

  /** @internal */
  constructor(
    bind: (x: TensorLike, y: TensorLike, out: ValueAndGradOptions['out']) => Bound,
    run: (call: Bound) => void,
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

  /** The gradient of the last `execute()`. Always the same tensor. */
  get grad(): Tensor {
    return this.#call.grad as Tensor;
  }

  /** Computes the loss and the gradient of what the tensors hold now. */
  execute(): this {
    this.#run(this.#call);
    return this;
  }

  /** Swaps the tensors for others of the same shapes and dtypes; the results stay where they are. */
  bind(predictions: TensorLike, target: TensorLike): this {
    const { value, perClass, grad } = this;
    this.#call = this.#bind(predictions, target, { value, perClass, grad });
    return this;
  }
}
