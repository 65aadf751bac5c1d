// Logits under activation 'none' are the commonest mistake: the loss is wrong, and there is no error. This check reads only
// the sums of step 1, which costs nothing, and only in the first calls of a loss, because the mistake is there from the
// beginning.
import type { NativeCall, NativeLossOptions } from '../../binding.js';
import { Activation, DTypeCode } from '../native/codes.js';
import { sumNames } from './statistics.js';

/** How many calls of each loss are checked. */
const firstCalls = 16;

/** Probabilities may be a little outside [0, 1] when other programs rounded them. */
const tolerance = 1e-3;

/** Loss classes that have warned in this process (or worker). */
const warned = new Set<string>();

/** Checks the sums of a loss's first calls, and warns once per loss class. */
export class LogitsCheck {
  readonly #squared: boolean;
  readonly #lossName: string;
  #left = firstCalls;

  private constructor(options: NativeLossOptions, lossName: string) {
    this.#squared = options.squared;
    this.#lossName = lossName;
  }

  /** The check for a loss with these options; undefined when no check is needed. */
  static for(options: NativeLossOptions, lossName: string): LogitsCheck | undefined {
    if (options.activation !== Activation.none || warned.has(lossName)) return undefined;
    return new LogitsCheck(options, lossName);
  }

  /** Whether later calls need no check. */
  get done(): boolean {
    return this.#left === 0;
  }

  /** call: must hold the statistics of its own predictions. predictions: their name in messages. */
  look(call: NativeCall, predictions: string): void {
    if (this.#left === 0) return;
    this.#left--;
    if (!this.#showLogits(call)) return;
    this.#left = 0;
    if (warned.has(this.#lossName)) return;
    warned.add(this.#lossName);
    process.emitWarning(
      `Expected probabilities from 0 to 1 for ${predictions} of ${this.#lossName}, as activation is 'none', but received others: for logits use activation 'softmax' or 'sigmoid'`,
      { type: 'WarpDiceWarning', code: 'WARPDICE_LOGITS' },
    );
  }

  /** Whether the sums can only be those of predictions outside [0, 1]. */
  #showLogits({ statistics, targetType, weight, weightType }: NativeCall): boolean {
    const sums = statistics as Float64Array;
    const isFloat = (code: number) => code <= DTypeCode.bfloat16;
    if (weight !== undefined && isFloat(weightType)) return false; // may be negative
    for (let i = 0; i < sums.length; i += sumNames.length) {
      const [I, P, T, V, W] = sums.subarray(i, i + 5) as unknown as Five;
      if (P > (1 + tolerance) * W || P < -tolerance * W) return true;
      // Labels and bytes are >= 0. Floats are when T = sum w*t^2 equals V = sum w*t: then they are 0 and 1.
      const fromZero = !isFloat(targetType) || (this.#squared && T === V);
      if (fromZero && I < -tolerance * V) return true;
    }
    return false;
  }
}

type Five = [number, number, number, number, number];
