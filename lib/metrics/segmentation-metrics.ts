import type { CallOptions } from '../calls/options.js';
import {
  cannotCombine,
  checkInteger,
  checkKeys,
  checkOneOf,
  needs,
  none,
  rangeError,
  typeError,
} from '../common/check.js';
import { checkJsonSize } from '../common/json.js';
import { makeArray } from '../tensors/allocate.js';
import type { TensorLike } from '../tensors/tensor.js';
import { BatchCounter } from './count-batch.js';
import { binaryCounts, type ClassCounts, checkCounts, confusionCounts } from './counts.js';
import { type MetricsOptions, type ResolvedMetrics, resolveMetrics } from './options.js';
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
   * column for voxels of no class. For decision `'threshold'` TN, FP, FN and TP of each class, [C, 2, 2].
   */
  readonly counts: readonly number[];
  /** TN, FP, FN and TP of every sample and class, [samples, C, 4], for aggregate `'samples'`; else empty. */
  readonly perSample: readonly number[];
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
  readonly #counts: Float64Array; // of all samples, in the layout of the addon
  #perSample: number[] = []; // [samples, C, 4] for aggregate 'samples': TN, FP, FN, TP
  #samples = 0;

  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: MetricsOptions) {
    this.#options = resolveMetrics(options);
    this.#counter = new BatchCounter(this.#options);
    this.#counts = makeArray('float64', this.#counter.cells) as Float64Array;
  }

  /** The number of samples counted since the metrics were made or {@link SegmentationMetrics.reset}. */
  get samples(): number {
    return this.#samples;
  }

  /**
   * Counts a batch. Nothing is counted when it throws. Tensors on a GPU are counted there; the call waits for the result.
   *
   * @param predictions Logits or probabilities: [S], [N, C, ...spatial] or, with channels last, [N, ...spatial, C]; float32,
   *   float64, float16 or bfloat16. For decision `'labels'` class indices: [S] or [N, ...spatial]; any integer dtype.
   * @param target Class indices without the class axis: any integer dtype. Or a dense target in the shape of the
   *   predictions: a voxel's class is that of its largest value, or no class when all are 0; for `'threshold'` a voxel has
   *   each class whose value is above 0.5. With one class: a 0/1 mask. For decision `'labels'`: class indices in the shape
   *   of the predictions.
   * @param options `weight`: voxels of weight 0 are left out, all others count once.
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  update(predictions: TensorLike, target: TensorLike, options: CallOptions = none): this {
    this.#counter.count(predictions, target, options, this.#add);
    return this;
  }

  /**
   * {@link SegmentationMetrics.update} off the event loop. Several updates may run at the same time; each counts before it
   * resolves. Arrays on plain ArrayBuffers are copied at the call. Shared memory ({@link Tensor.empty}) is used in place: do
   * not write to it until the promise resolves. With tensors on a GPU the call enqueues the work and never blocks. Wrong
   * arguments throw at the call; labels out of range reject the promise.
   */
  updateAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: CallOptions = none,
  ): Promise<this> {
    return this.#counter.countAsync(predictions, target, options, this.#add).then(() => this);
  }

  /**
   * Returns the score of every class, [C]; NaN for a class that is not counted, see `absent`. For aggregate `'samples'` it
   * is the mean over the samples in which the class is counted.
   *
   * @param options `out`: an array for the result, [C]; default a new array
   */
  perClass(name: ScoreName, options: { out?: Float64Array } = none): Float64Array {
    checkOneOf(name, 'name', scoreNames, 'dice');
    const { absent, aggregate, classes } = this.#options;
    const scores = roomFor(options, classes);
    if (aggregate === 'global') {
      scores.set(this.counts().map((counts) => score(name, counts, absent)));
      return scores;
    }
    const samples = this.#sampleCounts();
    for (let c = 0; c < classes; c++)
      scores[c] = mean(samples.map((sample) => score(name, sample[c] as ClassCounts, absent)));
    return scores;
  }

  /**
   * Returns the score of every sample and class, [samples, C], in the order in which the samples were counted; NaN for a
   * class that is not counted.
   *
   * @throws TypeError for aggregate `'global'`, which keeps no counts of single samples
   */
  perSample(name: ScoreName): Float64Array {
    checkOneOf(name, 'name', scoreNames, 'dice');
    const { absent, aggregate } = this.#options;
    if (aggregate === 'global') {
      throw needs('perSample()', "aggregate 'samples'");
    }
    return Float64Array.from(this.#sampleCounts().flat(), (counts) => score(name, counts, absent));
  }

  /**
   * Returns the average over the classes; NaN when no class is counted. `'macro'` is the mean of the counted classes' scores,
   * for aggregate `'samples'` over all counted samples and classes. `'weighted'` weights each score by the target voxels of
   * its class. `'micro'` is the score of the sum of all classes' counts, absent classes included. Default `'macro'`.
   */
  average(name: ScoreName, how?: Average): number {
    checkOneOf(name, 'name', scoreNames, 'dice');
    const average_ = checkOneOf(how, 'how', averages, 'macro');
    const { absent, aggregate, background } = this.#options;
    const counted = (sample: readonly ClassCounts[]) => (background ? sample : sample.slice(1));
    if (aggregate === 'global') return average(name, counted(this.counts()), absent, average_);
    const samples = this.#sampleCounts().map(counted);
    if (average_ === 'macro')
      return mean(samples.flat().map((counts) => score(name, counts, absent)));
    return mean(samples.map((sample) => average(name, sample, absent, average_)));
  }

  /** Returns TP, FP, FN and TN of every class over all samples. */
  counts(): ClassCounts[] {
    return this.#byClass(this.#counts);
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
    for (let t = 0; t < classes; t++) {
      const row = t * (classes + 1);
      matrix.set(this.#counts.subarray(row, row + classes), t * classes);
    }
    return matrix;
  }

  /**
   * Adds the counts of `other`, such as another worker's part of the dataset.
   *
   * @throws TypeError, RangeError when `other` has other options
   */
  merge(other: SegmentationMetrics): this {
    if (!(other instanceof SegmentationMetrics))
      throw typeError('SegmentationMetrics', 'other', other);
    const [mine, theirs] = [JSON.stringify(this.#options), JSON.stringify(other.#options)];
    if (mine !== theirs)
      throw new RangeError(`Expected metrics of ${mine} for other but received those of ${theirs}`);
    this.#addCounts(other.#counts);
    this.#perSample = this.#perSample.concat(other.#perSample);
    this.#samples += other.#samples;
    return this;
  }

  /** Sets all counts to zero. */
  reset(): void {
    this.#counts.fill(0);
    this.#perSample = [];
    this.#samples = 0;
  }

  /**
   * Returns all counts, for {@link SegmentationMetrics.fromJSON}.
   *
   * @throws RangeError for more than 2^25 counts, as of 5792 classes
   */
  toJSON(): MetricsState {
    const numbers = this.#counts.length + this.#perSample.length;
    checkJsonSize(numbers, 'the counts in JSON', 'read them with confusion() or counts()');
    return {
      options: this.#options,
      samples: this.#samples,
      counts: [...this.#counts],
      perSample: [...this.#perSample],
    };
  }

  /** Makes metrics from the result of {@link SegmentationMetrics.toJSON}. @throws TypeError, RangeError for anything else */
  static fromJSON(state: MetricsState): SegmentationMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'counts', 'perSample']);
    if (state === undefined) throw typeError('an object', 'state', state);
    const metrics = new SegmentationMetrics(state.options);
    const { classes, aggregate } = metrics.#options;
    metrics.#samples = checkInteger(state.samples, 'state.samples', 0, Number.MAX_SAFE_INTEGER);
    metrics.#addCounts(checkCounts(state.counts, 'state.counts', metrics.#counts.length));
    const rows = aggregate === 'samples' ? metrics.#samples : 0;
    metrics.#perSample = [...checkCounts(state.perSample, 'state.perSample', rows * classes * 4)];
    return metrics;
  }

  readonly #add = (counts: Float64Array, samples: number): void => {
    const { cells } = this.#counter;
    for (let n = 0; n < samples; n++) {
      const sample = counts.subarray(n * cells, (n + 1) * cells);
      this.#addCounts(sample);
      if (this.#options.aggregate === 'global') continue;
      for (const { tp, fp, fn, tn } of this.#byClass(sample)) this.#perSample.push(tn, fp, fn, tp);
    }
    this.#samples += samples;
  };

  #addCounts(counts: Float64Array): void {
    for (let i = 0; i < counts.length; i++)
      this.#counts[i] = (this.#counts[i] as number) + (counts[i] as number);
  }

  /** [samples][C], for aggregate 'samples'. */
  #sampleCounts(): ClassCounts[][] {
    const { classes } = this.#options;
    const cells = Float64Array.from(this.#perSample);
    return Array.from({ length: this.#samples }, (_, n) =>
      binaryCounts(cells.subarray(n * classes * 4, (n + 1) * classes * 4), classes),
    );
  }

  #byClass(cells: Float64Array): ClassCounts[] {
    const { classes, decision } = this.#options;
    return decision === 'threshold'
      ? binaryCounts(cells, classes)
      : confusionCounts(cells, classes);
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
