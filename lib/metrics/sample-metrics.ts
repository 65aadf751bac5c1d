import {
  checkInteger,
  checkNumbers,
  expectOneOf,
  needs,
  none,
  rangeError,
} from '../common/check.js';
import { checkJsonSize } from '../common/json.js';
import { guard, notByNew } from '../common/own.js';
import { makeArray } from '../tensors/allocate.js';
import type { TensorLike } from '../tensors/tensor.js';
import { checkOther, checkSameOptions, roomFor, writeMeans } from './dataset.js';
import {
  BatchMeasurer,
  type MeasuredBatch,
  type NativeMeasurement,
  type SampleUpdateOptions,
} from './measure-batch.js';
import { checkStateNames, scoredCount, scoredNames } from './regions.js';
import type { SampleOptions } from './sample-options.js';
import { mean } from './scores.js';

/** {@link SampleMetrics} in the form that `JSON.stringify` writes. */
export interface SampleState<Options> {
  readonly options: Options;
  readonly samples: number;
  /** The numbers of each sample and class or region from which the scores are computed. */
  readonly rows: readonly number[];
  /** The names of the samples, '' for none. Left out where no sample has a name. */
  readonly names?: readonly string[];
}

/** What is measured in each sample and class, and how scores follow from it. */
export interface Measured<Name extends string, Options> {
  readonly numbersPerRow: number;
  readonly names: readonly Name[];
  /** The option that a score needs. */
  readonly neededBy: { readonly [name in Name]?: keyof Options };
  /** numbers: [numbersPerRow]. NaN where the class is not counted. */
  readonly score: (name: Name, numbers: Float64Array, options: Options) => number;
  readonly native: (options: Options) => NativeMeasurement;
}

/** Metrics that measure each sample by itself: {@link SurfaceMetrics} and {@link ComponentMetrics}. */
export abstract class SampleMetrics<Name extends string, Options extends SampleOptions> {
  readonly #options: Options;
  readonly #measured: Measured<Name, Options>;
  readonly #measurer: BatchMeasurer;
  #batches: MeasuredBatch[] = [];
  /** Of the samples and of those that are being measured. */
  #names = new Set<string>();

  static {
    guard(SampleMetrics, 'SurfaceMetrics or ComponentMetrics', SampleMetrics.#isWhole);
  }

  static #isWhole(value: object): boolean {
    return #measurer in value;
  }

  /** @internal */
  constructor(options: Options, measured: Measured<Name, Options>) {
    if (
      typeof (measured as unknown as Measured<Name, Options> | undefined)?.native !== 'function'
    ) {
      throw notByNew('metrics', 'new SurfaceMetrics(options)', 'SampleMetrics');
    }
    this.#options = options;
    this.#measured = measured;
    this.#measurer = new BatchMeasurer(options, measured.native(options), measured.numbersPerRow);
  }

  /** The number of samples measured since the metrics were made or {@link SampleMetrics.reset}. */
  get samples(): number {
    return this.#batches.reduce((sum, { names }) => sum + names.length, 0);
  }

  /** The options, with their defaults. */
  get options(): Options {
    return this.#options;
  }

  /** The names of the scores that these options allow. */
  get scoreNames(): readonly Name[] {
    const { names, neededBy } = this.#measured;
    return names.filter((name) => {
      const option = neededBy[name];
      return option === undefined || this.#options[option] !== undefined;
    });
  }

  /** The names of the samples, in the order of {@link SampleMetrics.perSample}; '' for a sample without a name. */
  get sampleNames(): string[] {
    return this.#batches.flatMap(({ names }) => names);
  }

  /** The names of the classes or regions, in the order of {@link SampleMetrics.perClass}. */
  get classNames(): readonly string[] {
    return scoredNames(this.#options);
  }

  /**
   * Measures a batch. Nothing is added when it throws. Tensors on a GPU are refused: read them first, or compute where the
   * predictions come from.
   *
   * @param predictions As for {@link SegmentationMetrics.update}, with two or three spatial axes.
   * @param target As for {@link SegmentationMetrics.update}.
   * @param options `spacing`: that of this batch. `sample`: the name of its sample.
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  update(predictions: TensorLike, target: TensorLike, options: SampleUpdateOptions = none): this {
    const check = (names: readonly string[]) => this.#expectNew(names);
    this.#add(this.#measurer.measure(predictions, target, options, check));
    return this;
  }

  /**
   * {@link SampleMetrics.update} off the event loop. Several updates may run at the same time; their samples are added in the
   * order in which they end. Arrays on plain ArrayBuffers are copied at the call. Shared memory ({@link Tensor.empty}) is used
   * in place: do not write to it until the promise resolves. Wrong arguments throw at the call; labels out of range, and a call
   * while pending ones hold 1 GiB of copies (ERR_QUEUE_FULL), reject the promise.
   */
  updateAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: SampleUpdateOptions = none,
  ): Promise<this> {
    const kept = this.#names;
    let claimed: readonly string[] = [];
    const claim = (names: readonly string[]) => {
      this.#expectNew(names);
      claimed = names;
      for (const name of names) kept.add(name);
    };
    return this.#measurer.measureAsync(predictions, target, options, claim).then(
      (batch) => {
        this.#add(batch);
        return this;
      },
      (error) => {
        for (const name of claimed) kept.delete(name);
        throw error;
      },
    );
  }

  /**
   * Returns the mean score of every class or region over the samples in which it is counted, [C]; NaN when there are none.
   *
   * @param options `out`: an array for the result, [C]; default a new array
   * @throws TypeError for a score that needs an option which the metrics do not have
   */
  perClass(name: Name, options: { out?: Float64Array } = none): Float64Array {
    return writeMeans(this.perSample(name), roomFor(options, scoredCount(this.#options)));
  }

  /** Returns the score of every sample and class or region, [samples, C]; NaN where it is not counted. Errors as for {@link SampleMetrics.perClass}. */
  perSample(name: Name): Float64Array {
    const { names, neededBy, score, numbersPerRow: size } = this.#measured;
    expectOneOf(name, 'name', names);
    if (!this.scoreNames.includes(name)) {
      throw needs(`Score '${name}'`, `the option ${String(neededBy[name])}`);
    }
    const rows = this.#rows();
    return Float64Array.from({ length: rows.length / size }, (_, i) =>
      score(name, rows.subarray(i * size, (i + 1) * size), this.#options),
    );
  }

  /**
   * Returns the mean score over all samples and classes that are counted; NaN when there are none. Errors as for
   * {@link SampleMetrics.perClass}.
   */
  average(name: Name): number {
    const { background } = this.#options;
    const scored = scoredCount(this.#options);
    return mean(this.perSample(name).filter((_, i) => background || i % scored !== 0));
  }

  /**
   * Adds the samples of `other`, such as another worker's part of the dataset.
   *
   * @throws TypeError, RangeError when `other` has other options, or a sample of a name that is here too
   */
  merge(other: this): this {
    checkOther(other, this.constructor as never, SampleMetrics.#isWhole);
    checkSameOptions(this.#options, other.#options);
    this.#expectNew(other.sampleNames);
    for (const batch of [...other.#batches]) this.#add(batch);
    return this;
  }

  /** Forgets all samples. */
  reset(): void {
    this.#batches = [];
    this.#names = new Set();
  }

  /**
   * Returns what was measured, for `fromJSON`.
   *
   * @throws RangeError for more than 2^24 numbers
   */
  toJSON(): SampleState<Options> {
    const { samples, sampleNames: names } = this;
    const count = samples * this.#numbersPerSample;
    checkJsonSize(count, 'the numbers in JSON', 'read the scores with perSample()');
    return {
      options: this.#options,
      samples,
      rows: Array.from(this.#rows()),
      ...(names.some((name) => name !== '') && { names }),
    };
  }

  /** Fills new metrics with the state that toJSON() of others has returned. @internal */
  protected restore(state: SampleState<unknown>): this {
    const samples = checkInteger(state.samples, 'state.samples', 0, Number.MAX_SAFE_INTEGER);
    const rows = checkNumbers(state.rows, 'state.rows');
    const expected = samples * this.#numbersPerSample;
    if (rows.length !== expected) throw rangeError(`${expected} numbers`, 'state.rows', state.rows);
    const names = checkStateNames(state.names, samples) ?? Array<string>(samples).fill('');
    if (samples > 0) this.#add({ rows, names });
    return this;
  }

  #add(batch: MeasuredBatch): void {
    this.#batches.push(batch);
    for (const name of batch.names) this.#names.add(name);
  }

  #expectNew(names: readonly string[]): void {
    const before = new Set<string>();
    for (const name of names) {
      if (name === '') continue;
      if (this.#names.has(name) || before.has(name)) throw rangeError('a new name', 'sample', name);
      before.add(name);
    }
  }

  get #numbersPerSample(): number {
    return scoredCount(this.#options) * this.#measured.numbersPerRow;
  }

  /** All numbers, [samples, C, numbers]. */
  #rows(): Float64Array {
    const rows = makeArray('float64', this.samples * this.#numbersPerSample) as Float64Array;
    let at = 0;
    for (const batch of this.#batches) {
      rows.set(batch.rows, at);
      at += batch.rows.length;
    }
    return rows;
  }
}
