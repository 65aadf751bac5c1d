import { rangeError, sameShape, showShape } from '../common/check.js';
import { WarpDiceError } from '../common/errors.js';
import { guard, notByNew } from '../common/own.js';
import type { LinearGrad } from '../head/linear-grad.js';
import { LinearLogits, type Predictions } from '../head/linear-logits.js';
import { expectLive, expectMemory, toTensorOn } from '../tensors/argument.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { bindInputs, bindLinear, type PreparedCall } from './prepared-call.js';

/** Executes a plan's calls on one kind of device. @internal */
export interface PlanRunner {
  execute(call: PreparedCall): void;
  /** Later executions read the memory that the call names now. Throws when results overlap it. */
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
export class Plan<Grad extends Tensor | LinearGrad = Tensor> implements Disposable {
  readonly #call: PreparedCall;
  readonly #runner: PlanRunner;
  #disposed = false;

  static {
    guard(Plan, 'a Plan', (value) => #call in value);
  }

  private constructor(call: PreparedCall, runner: PlanRunner) {
    if (call === undefined) throw notByNew('a Plan', 'loss.plan(predictions, target)', 'Plan');
    this.#call = call;
    this.#runner = runner;
  }

  /** runner: for `call`. @internal */
  static make<Grad extends Tensor | LinearGrad>(
    call: PreparedCall,
    runner: PlanRunner,
  ): Plan<Grad> {
    return new Plan(call, runner);
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

  /** The gradient of the last `execute()`. Always the same tensor or, for {@link linearLogits}, the same {@link LinearGrad}. */
  get grad(): Grad {
    return (this.#call.linearGrad ?? this.#call.grad) as Grad;
  }

  /**
   * Computes the loss and the gradient for the current contents of the tensors. On a GPU it launches one CUDA graph and
   * returns immediately: the tensors are read when the graph runs. Labels out of range then throw when a result is read,
   * until the next `execute()`.
   *
   * @throws WarpDiceError ERR_LABEL_RANGE, ERR_CUDA; ERR_DISPOSED also when one of its tensors was disposed. TypeError when the
   *   ArrayBuffer of one was detached
   */
  execute(): this {
    this.#mustBeLive('execute()');
    const call = this.#call;
    forTensors(call, expectLive);
    try {
      this.#runner.execute(call);
    } catch (error) {
      forTensors(call, expectMemory); // the addon has refused a detached array
      throw error;
    }
    return this;
  }

  /**
   * Replaces the predictions and the target by tensors of the same shapes and dtypes. The result tensors stay the same. On the
   * CPU, nothing is allocated for a {@link Tensor}. A plan for {@link linearLogits} takes new features, with the weights that it
   * has, or other linearLogits.
   *
   * @throws TypeError, RangeError for tensors of other shapes or dtypes, or that overlap the results; the plan then keeps its
   *   tensors
   */
  bind(predictions: Predictions, target: TensorLike): this {
    this.#mustBeLive('bind()');
    const call = this.#call;
    const { device, names, linear } = call;
    const x = call.predictions as Tensor;
    const y = call.target as Tensor;
    const next =
      linear === undefined ? undefined : linearFor(predictions, linear, names.predictions);
    const nextX = toTensorOn(
      device,
      next?.features ?? (predictions as TensorLike),
      names.predictions,
    );
    const nextY = toTensorOn(device, target, names.target);
    expectLike(nextX, x, names.predictions);
    expectLike(nextY, y, names.target);
    bindInputs(call, nextX, nextY);
    if (next !== undefined) bindLinear(call, next);
    try {
      this.#runner.bind(call);
    } catch (error) {
      bindInputs(call, x, y);
      if (linear !== undefined) bindLinear(call, linear);
      throw error;
    }
    return this;
  }

  /**
   * Frees the plan's memory on a GPU: its workspace, its graph and the result tensors that it allocated. Enqueued work still
   * completes. On the CPU the results can still be read. Using the plan afterwards throws ERR_DISPOSED. May be called again.
   */
  dispose(): void {
    this.#disposed = true;
    this.#runner.dispose();
    const { device, made } = this.#call;
    if (device.kind === 'cuda') for (const result of made) result.dispose();
  }

  /** {@link Plan.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #mustBeLive(method: string): void {
    if (!this.#disposed) return;
    throw new WarpDiceError(
      'ERR_DISPOSED',
      `Expected a live plan for ${method} but received a disposed one`,
    );
  }
}

/** Calls `visit` with each tensor of a call and its name. Allocates nothing. */
function forTensors(call: PreparedCall, visit: (tensor: Tensor, name: string) => void): void {
  const { names, predictions, target, weight, pairs, upstream, gradScale } = call;
  const { value, perClass, parts, grad, linear, linearGrad } = call;
  visit(predictions as Tensor, names.predictions);
  visit(target as Tensor, names.target);
  if (weight !== undefined) visit(weight, 'weight');
  if (pairs !== undefined) visit(pairs, 'sampleClassWeight');
  if (upstream !== undefined) visit(upstream, 'upstream');
  if (typeof gradScale === 'object') visit(gradScale, 'gradScale');
  visit(value as Tensor, names.out.value);
  visit(perClass as Tensor, names.out.perClass);
  if (parts !== undefined) visit(parts, names.out.parts);
  if (grad !== undefined) visit(grad, names.out.grad);
  if (linear === undefined) return;
  visit(linear.weight, 'weight of linearLogits');
  if (linear.bias !== undefined) visit(linear.bias, 'bias of linearLogits');
  if (linearGrad?.weight) visit(linearGrad.weight, 'out.grad.weight');
  if (linearGrad?.bias) visit(linearGrad.bias, 'out.grad.bias');
}

/** The linearLogits that a plan made with `like` is bound to; undefined: new features only. */
function linearFor(
  predictions: Predictions,
  like: LinearLogits,
  name: string,
): LinearLogits | undefined {
  if (!(predictions instanceof LinearLogits)) return undefined;
  predictions.expectLive(name);
  expectLike(predictions.weight, like.weight, 'weight of linearLogits');
  if (predictions.bias !== undefined && like.bias !== undefined) {
    expectLike(predictions.bias, like.bias, 'bias of linearLogits');
  } else if (predictions.bias !== like.bias) {
    const [wanted, got] = like.bias === undefined ? ['no bias', 'one'] : ['a bias', 'none'];
    throw new TypeError(
      `Expected ${wanted}, as the plan has, for bias of linearLogits but received ${got}`,
    );
  }
  return predictions;
}

/** Throws when a plan that was made with `like` cannot read `tensor`. */
function expectLike(tensor: Tensor, like: Tensor, name: string): void {
  if (tensor.dtype !== like.dtype) {
    throw new TypeError(
      `Expected dtype ${like.dtype}, that of the plan, for ${name} but received ${tensor.dtype}: make another plan for it`,
    );
  }
  if (sameShape(tensor.shape, like.shape)) return;
  const advice = 'make another plan for it, such as one for the last batch';
  throw rangeError(`shape ${showShape(like.shape)}, that of the plan,`, name, tensor.shape, advice);
}
