import { rangeError } from './check.js';

/** A text of V8 has at most 2^29 letters, and a number up to 25. V8 ends the process when an array grows to 2^27 numbers. */
const maxJsonNumbers = 2 ** 24;

/** Throws when so many numbers do not fit an array for JSON. To be asked before the array is made. */
export function checkJsonSize(count: number, name: string, advice: string): void {
  if (count <= maxJsonNumbers) return;
  throw rangeError(`at most ${maxJsonNumbers} numbers`, name, count, advice);
}
