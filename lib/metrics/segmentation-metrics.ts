import {
  cannotCombine,
  checkInteger,
  checkKeys,
  checkOneOf,
  expectOneOf,
  needs,
  none,
  rangeError,
  showShape,
  typeError,
} from '../common/check.js';
import { checkJsonSize } from '../common/json.js';
import { guard } from '../common/own.js';
import type { Predictions } from '../head/linear-logits.js';
import { callNative } from '../native/translate-error.js';
import { makeArray } from '../tensors/allocate.js';
import type { TensorLike } from '../tensors/tensor.js';
import { BatchCounter, type CountOptions } from './count-batch.js';
import { type ClassCounts, checkCounts, countsAt, toClassCounts } from './counts.js';
import { checkOther, checkSameOptions, roomFor, writeMeans } from './dataset.js';
import {
  type MetricsOptions,
  type ResolvedMetrics,
  resolveMetrics,
  thresholdList,
} from './options.js';
import { checkStateNames, scoredCount, scoredNames } from './regions.js';
import {
  type Average,
  average,
  averages,
  mean,
  type ScoreName,
  score,
  scoreNames,
} from './scores.js';

/** {@link SegmentationMetrics} in the form that `JSON.stringify` writes. All counts are integers. */
export interface MetricsState {
  readonly options: MetricsOptions;
  readonly samples: number;
  /**
   * The counts of all samples. The confusion matrix [C+1, C+1]: targets in rows, predictions in columns, the last row and
   * column for voxels of no class. For decision `'threshold'` TN, FP, FN and TP of each class, [C, 2, 2], for each threshold.
   */
  readonly counts: readonly number[];
  /**
   * TN, FP, FN and TP of every sample and class or region, [samples, C, 4], with a list of thresholds [samples, thresholds, C,
   * 4], for aggregate `'samples'`; else empty.
   */
  readonly perSample: readonly number[];
  /** The names of the samples, '' for none. Left out where no sample has a name. */
  readonly names?: readonly string[];
}

/**
 * Hard segmentation metrics over a dataset. {@link SegmentationMetrics.update} counts a batch in one pass over predictions
 * and target; no one-hot or argmax tensor is made. Read the scores ({@link ScoreName}) at any time. Counts are exact integers
 * up to 2^53 and do not depend on the number of threads.
 *
 * NaN predicts no class. With `'argmax'`, a voxel with a NaN among its predictions has no predicted class and is a false
 * negative of its target class. With `'threshold'`, NaN is not above the threshold.
 *
 * @example
 * const metrics = new SegmentationMetrics({ classes: 2, decision: 'labels' });
 * const predicted = Tensor.from(Uint8Array.of(1, 1, 1, 0), [1, 4]);
 * const target = Tensor.from(Uint8Array.of(1, 1, 0, 0), [1, 4]);
 * metrics.update(predicted, target);
 * metrics.perClass('dice'); // [2/3, 4/5]: class 1 has TP 2, FP 1, FN 0
 * metrics.average('iou'); // (1/2 + 2/3) / 2
 * metrics.confusion(); // [1, 1, 0, 2]: of class 0 one right and one taken for class 1
 */
export class SegmentationMetrics {
  readonly #options: ResolvedMetrics;
  readonly #counter: BatchCounter;

  static {
    guard(SegmentationMetrics, 'SegmentationMetrics', SegmentationMetrics.#isWhole);
  }

  static #isWhole(value: object): boolean {
    return #counter in value;
  }

  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: MetricsOptions) {
    this.#options = resolveMetrics(options);
    this.#counter = new BatchCounter(this.#options);
  }

  /**
   * The number of samples counted since the metrics were made or {@link SegmentationMetrics.reset}. Samples of one name are
   * one sample.
   */
  get samples(): number {
    return callNative(() => this.#counter.counts.read());
  }

  /** The options, with their defaults. */
  get options(): ResolvedMetrics {
    return this.#options;
  }

  /** The names of the scores. */
  get scoreNames(): readonly ScoreName[] {
    return scoreNames;
  }

  /** The names of the samples, in the order of {@link SegmentationMetrics.perSample}; '' for a sample without a name. */
  get sampleNames(): string[] {
    return callNative(() => this.#counter.counts.names());
  }

  /** The names of the classes or regions, in the order of {@link SegmentationMetrics.perClass}. */
  get classNames(): readonly string[] {
    return scoredNames(this.#options);
  }

  /**
   * Counts a batch. Nothing is counted when it throws. Tensors on a GPU are counted there; the call waits for the result.
   *
   * @param predictions {@link linearLogits}, counted without logits in memory. Or logits or probabilities: [S], [N, C, ...spatial] or, with channels last, [N, ...spatial, C]; float32,
   *   float64, float16 or bfloat16. Or masks of the same shapes, of 0 and 1 in any integer dtype (uint8 on a GPU): with
   *   `'argmax'` a voxel where all are 0 has no predicted class. For decision `'labels'` class indices: [S] or [N,
   *   ...spatial]; any integer dtype.
   * @param target Class indices without the class axis: any integer dtype. Or a dense target in the shape of the
   *   predictions, with values from 0 to 1: a voxel's class is that of its largest value, or no class when all are 0; for
   *   `'threshold'` a voxel has each class whose value is above 0.5. With one class: a 0/1 mask. For decision `'labels'`:
   *   class indices in the shape of the predictions.
   * @param options `weight`: voxels of weight 0 are left out, all others count once. `sample`: the name of the samples.
   * @throws TypeError, RangeError for arguments that do not fit, such as one-hot masks for decision `'labels'`; WarpDiceError
   *   ERR_LABEL_RANGE, ERR_DISPOSED
   */
  update(predictions: Predictions, target: TensorLike, options: CountOptions = none): this {
    this.#counter.count(predictions, target, options);
    return this;
  }

  /**
   * {@link SegmentationMetrics.update} off the event loop. Several updates may run at the same time. Each counts, all at once, before it
   * resolves. Arrays on plain ArrayBuffers are copied at the call. Shared memory ({@link Tensor.empty}) is used in place: do
   * not write to it until the promise resolves. With tensors on a GPU the call enqueues the work and never blocks. Wrong
   * arguments throw at the call; labels out of range, and a call while pending ones hold 1 GiB of copies (ERR_QUEUE_FULL),
   * reject the promise.
   */
  updateAsync(
    predictions: Predictions,
    target: TensorLike,
    options: CountOptions = none,
  ): Promise<this> {
    return this.#counter.countAsync(predictions, target, options).then(() => this);
  }

  /**
   * Returns the score of every class or region, [C]; NaN for one that is not counted, see `absent`. For aggregate `'samples'`
   * it is the mean over the samples in which it is counted.
   *
   * @param options `out`: an array for the result, [C]; default a new array
   * @throws TypeError for a list of thresholds, as all scores: use {@link SegmentationMetrics.at}
   */
  perClass(name: ScoreName, options: { out?: Float64Array } = none): Float64Array {
    expectOneOf(name, 'name', scoreNames);
    this.#expectOneThreshold('perClass');
    const { absent, aggregate } = this.#options;
    const scores = roomFor(options, this.#scored);
    if (aggregate === 'samples') return writeMeans(this.perSample(name), scores);
    scores.set(this.counts().map((counts) => score(name, counts, absent)));
    return scores;
  }

  /**
   * Returns the score of every sample and class or region, [samples, C], in the order in which the samples were counted first
   * ({@link SegmentationMetrics.sampleNames}); NaN where it is not counted.
   *
   * @throws TypeError for aggregate `'global'`, which keeps no counts of single samples
   */
  perSample(name: ScoreName): Float64Array {
    expectOneOf(name, 'name', scoreNames);
    this.#expectOneThreshold('perSample');
    const { absent, aggregate } = this.#options;
    if (aggregate === 'global') {
      throw needs('perSample()', "aggregate 'samples'");
    }
    const { perSample } = this.#read();
    return float64s(perSample.length / 4).map((_, row) =>
      score(name, countsAt(perSample, row), absent),
    );
  }

  /**
   * Returns the average over the classes; NaN when no class is counted. `'macro'` is the mean of the counted classes' scores,
   * for aggregate `'samples'` over all counted samples and classes. `'weighted'` weights each score by the target voxels of
   * its class. `'micro'` is the score of the sum of all classes' counts, absent classes included. Default `'macro'`.
   */
  average(name: ScoreName, how?: Average): number {
    expectOneOf(name, 'name', scoreNames);
    this.#expectOneThreshold('average');
    const average_ = checkOneOf(how, 'how', averages, 'macro');
    const { absent, aggregate, background } = this.#options;
    const counted = (sample: readonly ClassCounts[]) => (background ? sample : sample.slice(1));
    if (aggregate === 'global') return average(name, counted(this.counts()), absent, average_);
    if (average_ === 'macro') {
      const scored = this.#scored;
      return mean(this.perSample(name).filter((_, row) => background || row % scored !== 0));
    }
    const { samples, perSample } = this.#read();
    const size = this.#scored * 4;
    const sample = (n: number) =>
      counted(toClassCounts(perSample.subarray(n * size, (n + 1) * size), this.#scored));
    return mean(float64s(samples).map((_, n) => average(name, sample(n), absent, average_)));
  }

  /** Returns TP, FP, FN and TN of every class or region over all samples. */
  counts(): ClassCounts[] {
    this.#expectOneThreshold('counts');
    const counts = float64s(this.#scored * 4);
    callNative(() => this.#counter.counts.classes(counts));
    return toClassCounts(counts, this.#scored);
  }

  /**
   * Returns metrics of one threshold of the list, with what was counted for it until now.
   *
   * @example
   * const metrics = new SegmentationMetrics({ classes: 1, decision: 'threshold', threshold: [0.2, 0.5, 0.8] });
   * const probabilities = Tensor.from(Float32Array.of(0.9, 0.6, 0.3, 0.1), [1, 1, 4]);
   * metrics.update(probabilities, Tensor.from(Uint8Array.of(1, 1, 0, 0), [1, 4]));
   * metrics.at(0.2).average('dice'); // 4/5: two of the three that are above 0.2
   * metrics.at(0.5).average('dice'); // 1
   * metrics.at(0.8).average('dice'); // 2/3
   *
   * @throws TypeError for metrics without a list of thresholds, RangeError for a threshold that is not in it
   */
  at(threshold: number): SegmentationMetrics {
    const list = thresholdList(this.#options);
    if (list === undefined) throw needs('at()', 'a list for the option threshold');
    const k = list.indexOf(threshold);
    if (k < 0) throw rangeError(`one of ${showShape(list)}`, 'threshold', threshold);
    const { counts, perSample, samples, names } = this.#read();
    const size = 4 * this.#options.classes;
    const rows = perSample.filter((_, i) => Math.floor(i / size) % list.length === k);
    const one = new SegmentationMetrics({ ...this.#options, threshold });
    const cells = counts.subarray(k * size, (k + 1) * size);
    callNative(() => one.#counter.counts.set(samples, cells, rows, names));
    return one;
  }

  /**
   * Returns the confusion matrix over all samples, [C, C], row-major: rows are target classes, columns predicted classes. It
   * leaves out voxels whose target or prediction is no class; {@link SegmentationMetrics.counts} includes them.
   *
   * @param options `out`: an array for the result, [C * C]; default a new array
   * @throws TypeError for decision `'threshold'`, where a voxel has no single class
   */
  confusion(options: { out?: Float64Array } = none): Float64Array {
    const { classes, decision } = this.#options;
    if (decision === 'threshold') {
      throw cannotCombine(
        'confusion()',
        "decision 'threshold'",
        'a voxel may be of several classes',
      );
    }
    const matrix = roomFor(options, classes * classes);
    callNative(() => this.#counter.counts.confusion(matrix));
    return matrix;
  }

  /**
   * Adds the counts of `other`, such as another worker's part of the dataset. Samples of the same name become one.
   *
   * @throws TypeError, RangeError when `other` has other options
   */
  merge(other: SegmentationMetrics): this {
    checkOther(other, SegmentationMetrics, SegmentationMetrics.#isWhole);
    checkSameOptions(this.#options, other.#options);
    callNative(() => this.#counter.counts.merge(other.#counter.counts));
    return this;
  }

  /** Sets all counts to zero. */
  reset(): void {
    callNative(() => this.#counter.counts.reset());
  }

  /**
   * Returns all counts, for {@link SegmentationMetrics.fromJSON}.
   *
   * @throws RangeError for more than 2^24 counts, as of 4096 classes
   */
  toJSON(): MetricsState {
    const { samples, counts, perSample, names } = this.#read((numbers) =>
      checkJsonSize(numbers, 'the counts in JSON', 'read them with confusion() or counts()'),
    );
    return {
      options: this.#options,
      samples,
      counts: Array.from(counts),
      perSample: Array.from(perSample),
      ...(names.some((name) => name !== '') && { names }),
    };
  }

  /** Makes metrics from the result of {@link SegmentationMetrics.toJSON}. @throws TypeError, RangeError for anything else */
  static fromJSON(state: MetricsState): SegmentationMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'counts', 'perSample', 'names']);
    if (state === undefined) throw typeError('an object', 'state', state);
    const metrics = new SegmentationMetrics(state.options);
    const samples = checkInteger(state.samples, 'state.samples', 0, Number.MAX_SAFE_INTEGER);
    const counts = checkCounts(state.counts, 'state.counts', metrics.#counter.cells);
    const perSample = checkCounts(
      state.perSample,
      'state.perSample',
      metrics.#rows(samples) * metrics.#scored * 4,
    );
    const names = checkStateNames(state.names, samples);
    if (names !== undefined && metrics.#options.aggregate === 'global') {
      throw needs('state.names', "aggregate 'samples'");
    }
    callNative(() => metrics.#counter.counts.set(samples, counts, perSample, names));
    return metrics;
  }

  /**
   * All counts, of one moment: an update off the event loop may add to them at any time. check: asked before so many numbers
   * are read.
   */
  #read(check: (numbers: number) => void = () => {}): {
    samples: number;
    counts: Float64Array;
    perSample: Float64Array;
    names: string[];
  } {
    for (;;) {
      const { samples } = this;
      const rows = this.#rows(samples) * this.#scored * 4;
      check(this.#counter.cells + rows);
      const counts = float64s(this.#counter.cells);
      const perSample = float64s(rows);
      if (callNative(() => this.#counter.counts.read(counts, perSample)) === samples) {
        // Samples that were added since have no rows here.
        return { samples, counts, perSample, names: this.sampleNames.slice(0, samples) };
      }
    }
  }

  /** Of so many samples, how many have counts of their own. */
  #rows(samples: number): number {
    return this.#options.aggregate === 'samples' ? samples : 0;
  }

  /** How many classes or regions have counts; for a list of thresholds those of each. */
  get #scored(): number {
    return scoredCount(this.#options) * (thresholdList(this.#options)?.length ?? 1);
  }

  #expectOneThreshold(method: string): void {
    if (thresholdList(this.#options) === undefined) return;
    throw needs(`${method}()`, 'one threshold, as the metrics of at(threshold) have');
  }
}

const float64s = (length: number) => makeArray('float64', length) as Float64Array;
