import {
  checkInteger,
  checkKeys,
  checkNumbers,
  expectOneOf,
  needs,
  none,
  rangeError,
  typeError,
} from '../common/check.js';
import { checkJsonSize } from '../common/json.js';
import { guard } from '../common/own.js';
import { makeArray } from '../tensors/allocate.js';
import type { TensorLike } from '../tensors/tensor.js';
import { checkOther, checkSameOptions, roomFor, writeMeans } from './dataset.js';
import { BatchMeasurer, type MeasuredBatch, type SurfaceUpdateOptions } from './measure-batch.js';
import { checkStateNames, scoredCount, scoredNames } from './regions.js';
import { mean } from './scores.js';
import { type ResolvedSurface, resolveSurface, type SurfaceOptions } from './surface-options.js';
import {
  neededBy,
  numbersPerRow,
  type SurfaceScoreName,
  surfaceScore,
  surfaceScoreNames,
} from './surface-scores.js';

/** {@link SurfaceMetrics} in the form that `JSON.stringify` writes. */
export interface SurfaceState {
  readonly options: SurfaceOptions;
  readonly samples: number;
  /** The numbers of each sample and class or region from which the scores are computed, [samples, C, 14]. */
  readonly rows: readonly number[];
  /** The names of the samples, '' for none. Left out where no sample has a name. */
  readonly names?: readonly string[];
}

/**
 * Metrics of the distance between the surfaces of prediction and target, over a dataset of 2D images or 3D volumes: Hausdorff
 * distance and its percentiles, average surface distances, normalized surface Dice, boundary IoU ({@link SurfaceScoreName}).
 * Distances are exact Euclidean distances, computed in float64 in time linear in the volume. They do not depend on the number
 * of threads.
 *
 * The scores are of each sample and class; {@link SurfaceMetrics.perClass} and {@link SurfaceMetrics.average} are their means.
 * Which voxels are of a class is decided as in {@link SegmentationMetrics}. A voxel with the ignore index is of no class.
 *
 * A class without target voxels is treated as `absent` says ({@link MetricsOptions.absent}); here 1 stands for the best score,
 * which is 0 for distances, and 0 for the worst, which is `worstDistance`. A class with target voxels of which nothing is
 * predicted always has the worst score.
 *
 * Sources: Huttenlocher et al. 1993 (Hausdorff distance), Heimann et al. 2009 (average distances), Nikolov et al. 2018 (surface
 * Dice), Cheng et al. 2021 (boundary IoU; here the distance is Euclidean).
 *
 * @example
 * const metrics = new SurfaceMetrics({ classes: 2, decision: 'labels', spacing: [1, 2], tolerance: 1 });
 * const predicted = Tensor.from(Uint8Array.of(1, 0, 0, 1, 0, 0), [1, 2, 3]); // the left column
 * const target = Tensor.from(Uint8Array.of(1, 0, 1, 0, 0, 0), [1, 2, 3]); // two pixels of the upper row
 * metrics.update(predicted, target);
 * metrics.perClass('hausdorff')[1]; // 4: two pixels of width 2 to the right
 * metrics.perClass('averageDistance')[1]; // (0 + 1) / 2: the lower pixel is 1 from the target
 * metrics.perClass('surfaceDice')[1]; // 3/4: all but the target's right pixel are within 1 of the other surface
 */
export class SurfaceMetrics {
  readonly #options: ResolvedSurface;
  readonly #measurer: BatchMeasurer;
  #batches: MeasuredBatch[] = [];
  /** Of the samples and of those that are being measured. */
  #names = new Set<string>();

  static {
    guard(SurfaceMetrics, 'SurfaceMetrics', SurfaceMetrics.#isWhole);
  }

  static #isWhole(value: object): boolean {
    return #measurer in value;
  }

  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: SurfaceOptions) {
    this.#options = resolveSurface(options);
    this.#measurer = new BatchMeasurer(this.#options);
  }

  /** The number of samples measured since the metrics were made or {@link SurfaceMetrics.reset}. */
  get samples(): number {
    return this.#batches.reduce((sum, { names }) => sum + names.length, 0);
  }

  /** The options, with their defaults. */
  get options(): ResolvedSurface {
    return this.#options;
  }

  /** The names of the scores that these options allow. */
  get scoreNames(): readonly SurfaceScoreName[] {
    return surfaceScoreNames.filter((name) => {
      const option = neededBy[name];
      return option === undefined || this.#options[option] !== undefined;
    });
  }

  /** The names of the samples, in the order of {@link SurfaceMetrics.perSample}; '' for a sample without a name. */
  get sampleNames(): string[] {
    return this.#batches.flatMap(({ names }) => names);
  }

  /** The names of the classes or regions, in the order of {@link SurfaceMetrics.perClass}. */
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
  update(predictions: TensorLike, target: TensorLike, options: SurfaceUpdateOptions = none): this {
    const check = (names: readonly string[]) => this.#expectNew(names);
    this.#add(this.#measurer.measure(predictions, target, options, check));
    return this;
  }

  /**
   * {@link SurfaceMetrics.update} off the event loop. Several updates may run at the same time; their samples are added in the
   * order in which they end. Arrays on plain ArrayBuffers are copied at the call. Shared memory ({@link Tensor.empty}) is used
   * in place: do not write to it until the promise resolves. Wrong arguments throw at the call; labels out of range, and a call
   * while pending ones hold 1 GiB of copies (ERR_QUEUE_FULL), reject the promise.
   */
  updateAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: SurfaceUpdateOptions = none,
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
   * @throws TypeError for `'surfaceDice'` without the option `tolerance`, and for `'boundaryIou'` without `boundaryDistance`
   */
  perClass(name: SurfaceScoreName, options: { out?: Float64Array } = none): Float64Array {
    return writeMeans(this.perSample(name), roomFor(options, scoredCount(this.#options)));
  }

  /** Returns the score of every sample and class or region, [samples, C]; NaN where it is not counted. Errors as for {@link SurfaceMetrics.perClass}. */
  perSample(name: SurfaceScoreName): Float64Array {
    expectOneOf(name, 'name', surfaceScoreNames);
    if (!this.scoreNames.includes(name)) {
      throw needs(`Score '${name}'`, `the option ${neededBy[name]}`);
    }
    const rows = this.#rows();
    return Float64Array.from({ length: rows.length / numbersPerRow }, (_, i) =>
      surfaceScore(name, rows.subarray(i * numbersPerRow, (i + 1) * numbersPerRow), this.#options),
    );
  }

  /**
   * Returns the mean score over all samples and classes that are counted; NaN when there are none. Errors as for
   * {@link SurfaceMetrics.perClass}.
   */
  average(name: SurfaceScoreName): number {
    const { background } = this.#options;
    const scored = scoredCount(this.#options);
    return mean(this.perSample(name).filter((_, i) => background || i % scored !== 0));
  }

  /**
   * Adds the samples of `other`, such as another worker's part of the dataset.
   *
   * @throws TypeError, RangeError when `other` has other options, or a sample of a name that is here too
   */
  merge(other: SurfaceMetrics): this {
    checkOther(other, SurfaceMetrics, SurfaceMetrics.#isWhole);
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
   * Returns what was measured, for {@link SurfaceMetrics.fromJSON}.
   *
   * @throws RangeError for more than 2^24 numbers
   */
  toJSON(): SurfaceState {
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

  /** Makes metrics from the result of {@link SurfaceMetrics.toJSON}. @throws TypeError, RangeError for anything else */
  static fromJSON(state: SurfaceState): SurfaceMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'rows', 'names']);
    if (state === undefined) throw typeError('an object', 'state', state);
    const metrics = new SurfaceMetrics(state.options);
    const samples = checkInteger(state.samples, 'state.samples', 0, Number.MAX_SAFE_INTEGER);
    const rows = checkNumbers(state.rows, 'state.rows');
    const expected = samples * metrics.#numbersPerSample;
    if (rows.length !== expected) throw rangeError(`${expected} numbers`, 'state.rows', state.rows);
    const names = checkStateNames(state.names, samples) ?? Array<string>(samples).fill('');
    if (samples > 0) metrics.#add({ rows, names });
    return metrics;
  }

  #add(batch: MeasuredBatch): void {
    this.#batches.push(batch);
    for (const name of batch.names) this.#names.add(name);
  }

  #expectNew(names: readonly string[]): void {
    const given = names.filter((name) => name !== '');
    const known = given.find((name, i) => this.#names.has(name) || given.indexOf(name) !== i);
    if (known !== undefined) throw rangeError('a new name', 'sample', known);
  }

  get #numbersPerSample(): number {
    return scoredCount(this.#options) * numbersPerRow;
  }

  /** All numbers, [samples, C, 14]. */
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
