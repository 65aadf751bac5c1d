// What the metrics of a data set share, whatever they measure.
import { checkKeys, cut, rangeError, typeError } from '../common/check.js';
import { makeArray } from '../tensors/allocate.js';
import { kindOf, lengthOf } from '../tensors/typed-array.js';
import { mean } from './scores.js';

/** The caller's array of that length, or a new one. */
export function roomFor(options: { out?: Float64Array }, length: number): Float64Array {
  checkKeys(options, 'options', ['out']);
  const { out } = options;
  if (out === undefined) return makeArray('float64', length) as Float64Array;
  if (kindOf(out) !== 'Float64Array') throw typeError('a Float64Array', 'out', out);
  if (lengthOf(out) !== length) throw rangeError(`${length} elements`, 'out', out);
  return out;
}

/** Throws unless `other` is an instance of the class that is whole, which a Proxy of one is not. */
export function checkOther(
  other: unknown,
  of: abstract new (...args: never) => unknown,
  isWhole: (value: object) => boolean,
): void {
  if (!(other instanceof of)) throw typeError(of.name, 'other', other);
  if (isWhole(other as object)) return;
  throw new TypeError(
    `Expected ${of.name} for other but received a Proxy of such: pass the metrics`,
  );
}

/** Throws unless the metrics `other` have the same options. */
export function checkSameOptions(own: object, ofOther: object): void {
  const [mine, theirs] = [JSON.stringify(own), JSON.stringify(ofOther)];
  if (mine === theirs) return;
  throw new RangeError(
    `Expected metrics of ${cut(mine)} for other but received those of ${cut(theirs)}`,
  );
}

/** Writes the mean of each column of scores, [rows, columns], over the rows where it is a number. */
export function writeMeans(scores: Float64Array, to: Float64Array): Float64Array {
  const columns = to.length;
  const column = new Float64Array(scores.length / columns);
  for (let c = 0; c < columns; c++) {
    to[c] = mean(column.map((_, n) => scores[n * columns + c] as number));
  }
  return to;
}
