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
import { BatchMeasurer, type SurfaceUpdateOptions } from './measure-batch.js';
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
  /** The numbers of each sample and class from which the scores are computed, [samples, C, 14]. */
  readonly rows: readonly number[];
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
  /** The numbers of each batch, [N, C, 14]. */
  #batches: Float64Array[] = [];

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
    const numbers = this.#batches.reduce((sum, { length }) => sum + length, 0);
    return numbers / this.#options.classes / numbersPerRow;
  }

  /**
   * Measures a batch. Nothing is added when it throws. Tensors on a GPU are refused: read them first, or compute where the
   * predictions come from.
   *
   * @param predictions As for {@link SegmentationMetrics.update}, with two or three spatial axes.
   * @param target As for {@link SegmentationMetrics.update}.
   * @param options `spacing`: that of this batch.
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  update(predictions: TensorLike, target: TensorLike, options: SurfaceUpdateOptions = none): this {
    this.#batches.push(this.#measurer.measure(predictions, target, options));
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
    return this.#measurer.measureAsync(predictions, target, options).then((rows) => {
      this.#batches.push(rows);
      return this;
    });
  }

  /**
   * Returns the mean score of every class over the samples in which it is counted, [C]; NaN when there are none.
   *
   * @param options `out`: an array for the result, [C]; default a new array
   * @throws TypeError for `'surfaceDice'` without the option `tolerance`, and for `'boundaryIou'` without `boundaryDistance`
   */
  perClass(name: SurfaceScoreName, options: { out?: Float64Array } = none): Float64Array {
    const scores = this.perSample(name);
    const { classes } = this.#options;
    const means = roomFor(options, classes);
    for (let c = 0; c < classes; c++) {
      means[c] = mean(
        Array.from(
          { length: scores.length / classes },
          (_, n) => scores[n * classes + c] as number,
        ),
      );
    }
    return means;
  }

  /** Returns the score of every sample and class, [samples, C]; NaN where it is not counted. Errors as for {@link SurfaceMetrics.perClass}. */
  perSample(name: SurfaceScoreName): Float64Array {
    expectOneOf(name, 'name', surfaceScoreNames);
    const option = neededBy[name];
    if (option !== undefined && this.#options[option] === undefined) {
      throw needs(`Score '${name}'`, `the option ${option}`);
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
    const { background, classes } = this.#options;
    return mean([...this.perSample(name)].filter((_, i) => background || i % classes !== 0));
  }

  /**
   * Adds the samples of `other`, such as another worker's part of the dataset.
   *
   * @throws TypeError, RangeError when `other` has other options
   */
  merge(other: SurfaceMetrics): this {
    if (!(other instanceof SurfaceMetrics)) throw typeError('SurfaceMetrics', 'other', other);
    if (!SurfaceMetrics.#isWhole(other)) {
      throw new TypeError(
        'Expected SurfaceMetrics for other but received a Proxy of such: pass the metrics',
      );
    }
    const [mine, theirs] = [JSON.stringify(this.#options), JSON.stringify(other.#options)];
    if (mine !== theirs)
      throw new RangeError(`Expected metrics of ${mine} for other but received those of ${theirs}`);
    this.#batches = this.#batches.concat(other.#batches);
    return this;
  }

  /** Forgets all samples. */
  reset(): void {
    this.#batches = [];
  }

  /**
   * Returns what was measured, for {@link SurfaceMetrics.fromJSON}.
   *
   * @throws RangeError for more than 2^24 numbers
   */
  toJSON(): SurfaceState {
    const { samples } = this;
    const count = samples * this.#options.classes * numbersPerRow;
    checkJsonSize(count, 'the numbers in JSON', 'read the scores with perSample()');
    return { options: this.#options, samples, rows: Array.from(this.#rows()) };
  }

  /** Makes metrics from the result of {@link SurfaceMetrics.toJSON}. @throws TypeError, RangeError for anything else */
  static fromJSON(state: SurfaceState): SurfaceMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'rows']);
    if (state === undefined) throw typeError('an object', 'state', state);
    const metrics = new SurfaceMetrics(state.options);
    const samples = checkInteger(state.samples, 'state.samples', 0, Number.MAX_SAFE_INTEGER);
    const rows = checkNumbers(state.rows, 'state.rows');
    const expected = samples * metrics.#options.classes * numbersPerRow;
    if (rows.length !== expected) throw rangeError(`${expected} numbers`, 'state.rows', state.rows);
    if (rows.length > 0) metrics.#batches.push(rows);
    return metrics;
  }

  /** All numbers, [samples, C, 14]. */
  #rows(): Float64Array {
    const rows = makeArray(
      'float64',
      this.#batches.reduce((sum, { length }) => sum + length, 0),
    ) as Float64Array;
    let at = 0;
    for (const batch of this.#batches) {
      rows.set(batch, at);
      at += batch.length;
    }
    return rows;
  }
}

/** The caller's array of that length, or a new one. */
function roomFor(options: { out?: Float64Array }, length: number): Float64Array {
  checkKeys(options, 'options', ['out']);
  const { out } = options;
  if (out === undefined) return makeArray('float64', length) as Float64Array;
  if (!(out instanceof Float64Array)) throw typeError('a Float64Array', 'out', out);
  if (out.length !== length) throw rangeError(`${length} elements`, 'out', out);
  return out;
}
