// What is worked out by hand agrees to 14 digits.
import { expect } from '@jest/globals';

export function close(actual: ArrayLike<number>, ...expected: number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((x, i) => {
    expect(actual[i]).toBeCloseTo(x, 14);
  });
}

/** So that ratios are those of the formula. */
export const exact = { smoothDenominator: 0 };
