// Logits under activation 'none' are the commonest mistake, and every number comes out without an error. They are noticed
// where that costs nothing: in the sums of step 1, and only in the first calls of a loss, since such a mistake is there
// from the beginning.
import type { NativeLossOptions, RunArguments } from '../../binding.js';
import { codeOf } from '../tensors/dtype.js';
import { sumNames } from './statistics.js';

/** The calls of each loss that are looked at. */
const firstCalls = 16;

/** Probabilities that other programs rounded may be a little outside [0, 1]. */
const tolerance = 1e-3;

/** Classes of losses that have warned in this process (or worker). */
const warned = new Set<string>();

/** Looks at the sums of a loss's first calls and warns once per class of losses. */
export class LogitsCheck {
  readonly #squared: boolean;
  readonly #lossName: string;
  #left = firstCalls;
  #room = new Float64Array(0);

  private constructor(options: NativeLossOptions, lossName: string) {
    this.#squared = options.squared;
    this.#lossName = lossName;
  }

  /** For a loss with these options; undefined where there is nothing to look for. */
  static for(options: NativeLossOptions, lossName: string): LogitsCheck | undefined {
    if (options.activation !== 0 || warned.has(lossName)) return undefined;
    return new LogitsCheck(options, lossName);
  }

  /** Whether later calls need not be looked at. */
  get done(): boolean {
    return this.#left === 0;
  }

  /** Room for the sums of a call; the same for all calls of a size. */
  roomFor(groups: number, classes: number): Float64Array {
    const size = groups * classes * sumNames.length;
    if (this.#room.length !== size) this.#room = new Float64Array(size);
    return this.#room;
  }

  /** sums: of the predictions of this call alone. predictions: what they are called in messages. */
  look(sums: Float64Array, args: RunArguments, predictions: string): void {
    if (this.#left === 0) return;
    this.#left--;
    if (!this.#showLogits(sums, args)) return;
    this.#left = 0;
    if (warned.has(this.#lossName)) return;
    warned.add(this.#lossName);
    process.emitWarning(
      `Expected probabilities from 0 to 1 for ${predictions} of ${this.#lossName}, as activation is 'none', but received others: for logits use activation 'softmax' or 'sigmoid'`,
      { type: 'WarpDiceWarning', code: 'WARPDICE_LOGITS' },
    );
  }

  /** Whether the sums can only be those of predictions outside [0, 1]. */
  #showLogits(sums: Float64Array, args: RunArguments): boolean {
    const [, , , , , , , targetType, , weight, weightType] = args;
    const isFloat = (code: number) => code <= codeOf('bfloat16');
    if (weight !== undefined && isFloat(weightType)) return false; // may be negative
    for (let i = 0; i < sums.length; i += sumNames.length) {
      const [I, P, T, V, W] = sums.subarray(i, i + 5) as unknown as Five;
      if (P > (1 + tolerance) * W || P < -tolerance * W) return true;
      // Target values from 0: labels and bytes are, and floats whose squares add up to the same are 0 and 1.
      const fromZero = !isFloat(targetType) || (this.#squared && T === V);
      if (fromZero && I < -tolerance * V) return true;
    }
    return false;
  }
}

type Five = [number, number, number, number, number];
