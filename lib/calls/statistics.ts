import { checkInteger, checkKeys, cut, rangeError, showShape, typeError } from '../common/check.js';
import { checkJsonSize } from '../common/json.js';
import { guard, notByNew } from '../common/own.js';
import { Device } from '../devices/device.js';
import { copyArray, makeArray } from '../tensors/allocate.js';
import { Tensor } from '../tensors/tensor.js';
import { kindOf, lengthOf, partOf } from '../tensors/typed-array.js';
import { isPooled } from './signature.js';

/** The names of the sums (see {@link Statistics}), in the order of the last axis of {@link Statistics.data}. */
export const sumNames = [
  'intersection',
  'prediction',
  'target',
  'volume',
  'weight',
  'crossEntropy',
  'uniform',
  'focal',
] as const;
const sumCount = sumNames.length;

/** The most letters that {@link Statistics.fromArray} accepts as a signature. */
const longestSignature = 1000;

/** {@link Statistics} in the form that `JSON.stringify` writes. Numbers that JSON cannot hold are strings. */
export interface StatisticsJson {
  samples: number;
  shape: readonly [groups: number, classes: number, sums: 8];
  signature: string;
  /** Row-major; `'NaN'`, `'Infinity'` and `'-Infinity'` where a sum is not finite. */
  data: (number | string)[];
}

/**
 * The sums from which a loss is computed, for each sample and class or, with `batch`, for each class:
 *
 *     intersection I = sum w*p*t    prediction P = sum w*p^k    target T = sum w*t^k
 *     volume V = sum w*t            weight W = sum w
 *     crossEntropy E = sum w*-t*log p    uniform U = sum w*-log p    (sigmoid: of p and 1-p, see CrossEntropyOptions)
 *     focal F = sum w*t*(1-p)^gamma*-log p    (sigmoid: of p and 1-p, see FocalOptions)
 *
 * w is the weight of the voxel or, with a weight per class, the class's own. The options `positiveWeight` of a cross-entropy
 * and `alpha` of a focal loss are factors in E, U and F.
 *
 * With overlap `'minimum'`, I = sum w*min(p, t). k is 2 for the squared denominator and 1 for the linear one. A sum that the
 * loss does not need is 0. Statistics are small and always float64. They add up: the sums of the parts of a volume, added,
 * are the sums of the volume.
 */
export class Statistics {
  /** `[groups, classes, 8]`; groups is the number of samples or, with `batch`, 1. */
  readonly shape: readonly [groups: number, classes: number, sums: 8];
  /** How many samples the sums come from. */
  readonly samples: number;
  /** The options of the loss that change the meaning of the sums, as text. Only statistics with equal signatures can be mixed. */
  readonly signature: string;
  /** Whether the sums are over the whole batch (option `batch`): one group, for any number of samples. */
  readonly pooled: boolean;

  readonly #data: Float64Array | Tensor;

  static {
    guard(Statistics, 'Statistics', Statistics.isWhole);
  }

  private constructor(
    data: Float64Array | Tensor,
    groups: number,
    classes: number,
    samples: number,
    signature: string,
  ) {
    if (typeof signature !== 'string') {
      throw notByNew('Statistics', 'loss.statistics(predictions, target)', 'Statistics');
    }
    this.#data = data;
    this.shape = Object.freeze([groups, classes, sumCount] as const);
    this.samples = samples;
    this.signature = signature;
    this.pooled = isPooled(signature);
    Object.freeze(this);
  }

  /** data: a tensor where the sums are on a GPU. @internal */
  static make(
    data: Float64Array | Tensor,
    groups: number,
    classes: number,
    samples: number,
    signature: string,
  ): Statistics {
    return new Statistics(data, groups, classes, samples, signature);
  }

  /**
   * The sums, `[groups, classes, 8]`: intersection, prediction, target, volume, weight, crossEntropy, uniform, focal.
   *
   * @throws TypeError for sums on a GPU: {@link Statistics.read} copies them to the host
   */
  get data(): Float64Array {
    if (!(this.#data instanceof Tensor)) return this.#data;
    throw new TypeError(
      `Expected statistics on the host for data but received those on ${this.device}: read() copies them`,
    );
  }

  /** Whether `value` really has sums: a Proxy of statistics has none. @internal */
  static isWhole(value: object): boolean {
    return #data in value;
  }

  /** The device that holds the sums. */
  get device(): Device {
    return this.#data instanceof Tensor ? this.#data.device : Device.cpu;
  }

  /** The array, or a device's tensor. @internal */
  get sums(): Float64Array | Tensor {
    return this.#data;
  }

  /**
   * Copies the statistics to the host. For sums on a GPU it waits, without blocking, until they are computed.
   *
   * @throws WarpDiceError ERR_LABEL_RANGE, as a rejection, for sums on a GPU of values out of range
   */
  async read(): Promise<Statistics> {
    const data = this.#data instanceof Tensor ? await this.#data.read() : copyArray(this.#data);
    const [groups, classes] = this.shape;
    return new Statistics(data as Float64Array, groups, classes, this.samples, this.signature);
  }

  /** Frees sums on a GPU; on the host there is nothing to free. May be called again. */
  dispose(): void {
    if (this.#data instanceof Tensor) this.#data.dispose();
  }

  /** {@link Statistics.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Adds the statistics of two parts. Without `batch` the parts must be voxels of the same samples, such as tiles of a
   * volume; with `batch` they may be any parts.
   *
   * @throws TypeError, RangeError for statistics with another signature or number of classes or, without `batch`, another
   *   number of samples
   */
  add(other: Statistics): Statistics {
    checkSignature(other, this.signature, 'other');
    checkClasses(other, this.shape[1], 'other');
    if (other.shape[0] !== this.shape[0]) {
      throw rangeError(`statistics of ${this.samples} samples`, 'other', other.samples);
    }
    const sum = copyArray(this.data) as Float64Array;
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (other.data[i] as number);
    const samples = this.pooled ? this.samples + other.samples : this.samples;
    return new Statistics(sum, this.shape[0], this.shape[1], samples, this.signature);
  }

  /**
   * Joins the statistics of different samples, in the order of the list.
   *
   * @throws TypeError for statistics of a loss with `batch`, which need {@link add}; RangeError for different signatures or
   *   numbers of classes
   */
  static concat(list: readonly Statistics[]): Statistics {
    if (!Array.isArray(list)) throw typeError('an array of statistics', 'list', list);
    if (list.length === 0) throw rangeError('at least one', 'list', list);
    const first = checkStatistics(list[0], 'list[0]');
    if (first.pooled) {
      throw new TypeError(
        'Expected statistics per sample for list but received pooled ones: use add',
      );
    }
    let samples = 0;
    for (const [i, part] of list.entries()) {
      checkSignature(part, first.signature, `list[${i}]`);
      checkClasses(part, first.shape[1], `list[${i}]`);
      samples += part.samples;
    }
    const data = makeArray('float64', samples * first.shape[1] * sumCount) as Float64Array;
    let at = 0;
    for (const part of list) {
      data.set(part.data, at);
      at += part.data.length;
    }
    return new Statistics(data, samples, first.shape[1], samples, first.signature);
  }

  /**
   * Called by `JSON.stringify`. Every sum is kept exactly, NaN and infinities included; only -0 becomes 0.
   *
   * @throws RangeError for more than 2^24 sums: {@link toArray} has no limit
   */
  toJSON(): StatisticsJson {
    const { samples, shape, signature } = this;
    checkJsonSize(this.data.length, 'the sums in JSON', 'use toArray()');
    return {
      samples,
      shape,
      signature,
      data: Array.from(this.data, (x) => (Number.isFinite(x) ? x : String(x))),
    };
  }

  /**
   * Reads the result of {@link toJSON}.
   *
   * @throws TypeError, RangeError for anything else
   * @example
   * const loss = new DiceLoss({ smoothDenominator: 0 });
   * const [p, t] = [Tensor.from(Float64Array.of(0.5), [1]), Tensor.from(Uint8Array.of(1), [1])];
   * const text = JSON.stringify(loss.statistics(p, t)); // send it to another machine
   * const statistics = Statistics.fromJSON(JSON.parse(text));
   * loss.fromStatistics(statistics).value.itemSync(); // 1 - 2*0.5 / (0.25 + 1) = 1/5
   */
  static fromJSON(json: StatisticsJson): Statistics {
    if (typeof json !== 'object' || json === null) throw typeError('an object', 'json', json);
    checkKeys(json, 'json', ['samples', 'shape', 'signature', 'data']);
    const { samples, shape, signature, data } = json;
    if (!Array.isArray(shape) || shape.length !== 3) {
      throw typeError('[groups, classes, 8]', 'json.shape', shape);
    }
    if (typeof signature !== 'string') throw typeError('a string', 'json.signature', signature);
    if (signature.length > longestSignature)
      throw rangeError(`at most ${longestSignature} letters`, 'json.signature', signature);
    if (!Array.isArray(data)) throw typeError('an array', 'json.data', data);
    return build('json', samples, shape, signature, data.length, (sums) => {
      for (let i = 0; i < sums.length; i++) sums[i] = readNumber(data[i]);
    });
  }

  /**
   * Writes everything into one Float64Array, to be posted, stored or sent; {@link fromArray} reads it back. It holds
   * `samples`, the shape, the length of the signature, the UTF-16 codes of the signature, then {@link data}. Do not add such
   * arrays: add {@link data}, or use {@link add}.
   */
  toArray(): Float64Array {
    const { samples, shape, signature, data } = this;
    const codes = Array.from(signature, (letter) => letter.charCodeAt(0));
    const head = [samples, ...shape, codes.length, ...codes];
    const array = makeArray('float64', head.length + data.length) as Float64Array;
    array.set(head);
    array.set(data, head.length);
    return array;
  }

  /**
   * Reads the result of {@link toArray}. The array is copied.
   *
   * @throws TypeError, RangeError for anything else
   */
  static fromArray(array: Float64Array): Statistics {
    if (kindOf(array) !== 'Float64Array') throw typeError('a Float64Array', 'array', array);
    const all = lengthOf(array);
    // One whose memory went to another thread has none.
    if (all < 5) throw new RangeError(`Expected 5 elements or more for array but received ${all}`);
    const [samples, groups, classes, sumsPerClass, length] = partOf(array, 0, 5);
    const most = Math.min(all - 5, longestSignature);
    const begin = 5 + checkInteger(length, 'array[4] (length of the signature)', 0, most);
    const signature = String.fromCharCode(...(partOf(array, 5, begin) as Float64Array));
    const shape = [groups, classes, sumsPerClass];
    return build('array', samples, shape, signature, all - begin, (sums) =>
      sums.set(partOf(array, begin, all) as Float64Array),
    );
  }

  /** For messages: shape and signature. */
  toString(): string {
    return `Statistics ${showShape(this.shape)} (${cut(this.signature)})`;
  }
}

/** Statistics from unchecked parts. given: how many sums there are. They are read once all sizes are known to fit. */
function build(
  name: string,
  samples: unknown,
  shape: readonly unknown[],
  signature: string,
  given: number,
  read: (sums: Float64Array) => void,
): Statistics {
  const most = Number.MAX_SAFE_INTEGER;
  // Over the whole batch, a part may have no samples.
  const count = checkInteger(samples, `${name}: samples`, isPooled(signature) ? 0 : 1, most);
  const groups = checkInteger(shape[0], `${name}: groups`, 1, most);
  const classes = checkInteger(shape[1], `${name}: classes`, 1, most);
  checkInteger(shape[2], `${name}: sums`, sumCount, sumCount);
  const expected = isPooled(signature) ? 1 : count;
  if (groups !== expected) throw rangeError(`${expected} groups`, `${name}: groups`, groups);
  const size = groups * classes * sumCount;
  if (given !== size) throw rangeError(`${size} sums`, name, given);
  const data = makeArray('float64', size) as Float64Array;
  read(data);
  return Statistics.make(data, groups, classes, count, signature);
}

function readNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  throw typeError("a number, 'NaN', 'Infinity' or '-Infinity'", 'an element of json.data', value);
}

function checkClasses(statistics: Statistics, classes: number, name: string): void {
  if (statistics.shape[1] !== classes) {
    throw rangeError(`statistics of ${classes} classes`, name, statistics.shape[1]);
  }
}

function checkStatistics(value: unknown, name: string): Statistics {
  if (!(value instanceof Statistics)) throw typeError('Statistics', name, value);
  if (Statistics.isWhole(value)) return value;
  throw new TypeError(
    `Expected Statistics for ${name} but received a Proxy of such, or their prototype alone`,
  );
}

export function checkSignature(value: unknown, signature: string, name: string): void {
  const statistics = checkStatistics(value, name);
  const [groups, classes] = statistics.shape;
  if (statistics.device === Device.cpu && statistics.data.length !== groups * classes * sumCount) {
    throw new TypeError(
      `Expected ${groups * classes * sumCount} sums for ${name} but its array was detached and has ${statistics.data.length}`,
    );
  }
  if (statistics.signature !== signature) {
    throw new RangeError(
      `Expected statistics of (${cut(signature)}) for ${name} but received those of (${cut(statistics.signature)})`,
    );
  }
}
