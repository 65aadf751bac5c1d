import { rangeError } from './check.js';

/** V8 ends the process when a longer array of numbers grows, and its longest text holds hardly more numbers. */
const maxJsonNumbers = 2 ** 25;

/** Throws when so many numbers do not fit an array for JSON. To be asked before the array is made. */
export function checkJsonSize(count: number, name: string, advice: string): void {
  if (count <= maxJsonNumbers) return;
  throw rangeError(`at most ${maxJsonNumbers} numbers`, name, count, advice);
}
