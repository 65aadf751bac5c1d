import { rangeError, showShape, typeError } from './check.js';

/** The sums, in the order of the last axis of {@link Statistics.data}. */
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

/**
 * The sums that a loss is made of, per sample and class (or per class when pooled over the batch):
 *
 *     I = sum w*p*t    P = sum w*p^k    T = sum w*t^k
 *
 * with k = 2 for the squared denominator and 1 for the linear one. They are small, always float64, and add up:
 * the sums of the parts of a volume are the sums of the volume.
 */
export class Statistics {
  /** `[groups, classes, 8]`: {@link sumNames}. */
  readonly data: Float64Array;
  /** `[groups, classes, 8]`; groups is the number of samples, or 1 when pooled over the batch. */
  readonly shape: readonly [groups: number, classes: number, sums: 8];
  /** How many samples the sums come from. */
  readonly samples: number;
  /** What the sums mean. Only equal signatures can be mixed. */
  readonly signature: string;

  /** @internal */
  constructor(
    data: Float64Array,
    groups: number,
    classes: number,
    samples: number,
    signature: string,
  ) {
    this.data = data;
    this.shape = Object.freeze([groups, classes, sumCount] as const);
    this.samples = samples;
    this.signature = signature;
  }

  /**
   * The statistics of both parts together: more voxels of the same samples (tiles of a volume), or any parts when
   * pooled over the batch.
   *
   * @throws RangeError when the two do not mean the same or, not pooled, have different numbers of samples
   */
  add(other: Statistics): Statistics {
    checkSignature(other, this.signature, 'other');
    checkClasses(other, this.shape[1], 'other');
    if (other.shape[0] !== this.shape[0]) {
      throw rangeError(`statistics of ${this.samples} samples`, 'other', other.samples);
    }
    const sum = this.data.map((value, i) => value + (other.data[i] as number));
    const pooled = this.signature.startsWith('pooled');
    const samples = pooled ? this.samples + other.samples : this.samples;
    return new Statistics(sum, this.shape[0], this.shape[1], samples, this.signature);
  }

  /** The statistics of more samples, in the order of the list. Not for pooled ones: those {@link add}. */
  static concat(list: readonly Statistics[]): Statistics {
    const first = list[0];
    if (first === undefined) throw rangeError('at least one', 'list', list);
    if (first.signature.startsWith('pooled')) {
      throw new TypeError(
        'Expected statistics per sample for list but received pooled ones: use add',
      );
    }
    let samples = 0;
    for (const part of list) {
      checkSignature(part, first.signature, 'list');
      checkClasses(part, first.shape[1], 'list');
      samples += part.samples;
    }
    const data = new Float64Array(samples * first.shape[1] * sumCount);
    let at = 0;
    for (const part of list) {
      data.set(part.data, at);
      at += part.data.length;
    }
    return new Statistics(data, samples, first.shape[1], samples, first.signature);
  }

  toString(): string {
    return `Statistics ${showShape(this.shape)} (${this.signature})`;
  }
}

function checkClasses(statistics: Statistics, classes: number, name: string): void {
  if (statistics.shape[1] !== classes) {
    throw rangeError(`statistics of ${classes} classes`, name, statistics.shape[1]);
  }
}

export function checkSignature(statistics: unknown, signature: string, name: string): void {
  if (!(statistics instanceof Statistics)) throw typeError('Statistics', name, statistics);
  const [groups, classes] = statistics.shape;
  if (statistics.data.length !== groups * classes * sumCount) {
    throw new TypeError(
      `Expected ${groups * classes * sumCount} sums for ${name} but its array was detached and has ${statistics.data.length}`,
    );
  }
  if (statistics.signature !== signature) {
    throw new RangeError(
      `Expected statistics of (${signature}) for ${name} but received those of (${statistics.signature})`,
    );
  }
}
