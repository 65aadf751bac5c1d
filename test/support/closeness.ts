// What is worked out by hand agrees to 14 digits.
import { expectClose } from './compare.js';

export function close(actual: ArrayLike<number>, ...expected: number[]): void {
  expectClose('numbers', actual, expected, 5e-15);
}

/** So that ratios are those of the formula. */
export const exact = { smoothDenominator: 0 };
