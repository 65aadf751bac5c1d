import type { CallOptions } from '../calls/options.js';
import {
  cannotCombine,
  checkInteger,
  checkKeys,
  checkOneOf,
  expectOneOf,
  needs,
  none,
  rangeError,
  typeError,
} from '../common/check.js';
import { checkJsonSize } from '../common/json.js';
import { guard } from '../common/own.js';
import type { Predictions } from '../head/linear-logits.js';
import { callNative } from '../native/translate-error.js';
import { makeArray } from '../tensors/allocate.js';
import type { TensorLike } from '../tensors/tensor.js';
import { BatchCounter } from './count-batch.js';
import { type ClassCounts, checkCounts, toClassCounts } from './counts.js';
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

  /** The number of samples counted since the metrics were made or {@link SegmentationMetrics.reset}. */
  get samples(): number {
    return callNative(() => this.#counter.counts.read());
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
   * @param options `weight`: voxels of weight 0 are left out, all others count once.
   * @throws TypeError, RangeError for arguments that do not fit, such as one-hot masks for decision `'labels'`; WarpDiceError
   *   ERR_LABEL_RANGE, ERR_DISPOSED
   */
  update(predictions: Predictions, target: TensorLike, options: CallOptions = none): this {
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
    options: CallOptions = none,
  ): Promise<this> {
    return this.#counter.countAsync(predictions, target, options).then(() => this);
  }

  /**
   * Returns the score of every class, [C]; NaN for a class that is not counted, see `absent`. For aggregate `'samples'` it
   * is the mean over the samples in which the class is counted.
   *
   * @param options `out`: an array for the result, [C]; default a new array
   */
  perClass(name: ScoreName, options: { out?: Float64Array } = none): Float64Array {
    expectOneOf(name, 'name', scoreNames);
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
    expectOneOf(name, 'name', scoreNames);
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
    expectOneOf(name, 'name', scoreNames);
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
    const counts = float64s(this.#options.classes * 4);
    callNative(() => this.#counter.counts.classes(counts));
    return toClassCounts(counts, this.#options.classes);
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
   * Adds the counts of `other`, such as another worker's part of the dataset.
   *
   * @throws TypeError, RangeError when `other` has other options
   */
  merge(other: SegmentationMetrics): this {
    if (!(other instanceof SegmentationMetrics))
      throw typeError('SegmentationMetrics', 'other', other);
    if (!SegmentationMetrics.#isWhole(other)) {
      throw new TypeError(
        'Expected SegmentationMetrics for other but received a Proxy of such: pass the metrics',
      );
    }
    const [mine, theirs] = [JSON.stringify(this.#options), JSON.stringify(other.#options)];
    if (mine !== theirs)
      throw new RangeError(`Expected metrics of ${mine} for other but received those of ${theirs}`);
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
    const { samples, counts, perSample } = this.#read((numbers) =>
      checkJsonSize(numbers, 'the counts in JSON', 'read them with confusion() or counts()'),
    );
    return {
      options: this.#options,
      samples,
      counts: Array.from(counts),
      perSample: Array.from(perSample),
    };
  }

  /** Makes metrics from the result of {@link SegmentationMetrics.toJSON}. @throws TypeError, RangeError for anything else */
  static fromJSON(state: MetricsState): SegmentationMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'counts', 'perSample']);
    if (state === undefined) throw typeError('an object', 'state', state);
    const metrics = new SegmentationMetrics(state.options);
    const { classes, aggregate } = metrics.#options;
    const samples = checkInteger(state.samples, 'state.samples', 0, Number.MAX_SAFE_INTEGER);
    const counts = checkCounts(state.counts, 'state.counts', metrics.#counter.cells);
    const rows = aggregate === 'samples' ? samples : 0;
    const perSample = checkCounts(state.perSample, 'state.perSample', rows * classes * 4);
    callNative(() => metrics.#counter.counts.set(samples, counts, perSample));
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
  } {
    const { classes, aggregate } = this.#options;
    for (;;) {
      const { samples } = this;
      const rows = aggregate === 'samples' ? samples * classes * 4 : 0;
      check(this.#counter.cells + rows);
      const counts = float64s(this.#counter.cells);
      const perSample = float64s(rows);
      if (callNative(() => this.#counter.counts.read(counts, perSample)) === samples) {
        return { samples, counts, perSample };
      }
    }
  }

  /** [samples][C], for aggregate 'samples'. */
  #sampleCounts(): ClassCounts[][] {
    const { classes } = this.#options;
    const { samples, perSample } = this.#read();
    return Array.from({ length: samples }, (_, n) =>
      toClassCounts(perSample.subarray(n * classes * 4, (n + 1) * classes * 4), classes),
    );
  }
}

const float64s = (length: number) => makeArray('float64', length) as Float64Array;

/** The caller's array of that length, or a new one. */
function roomFor(options: { out?: Float64Array }, length: number): Float64Array {
  checkKeys(options, 'options', ['out']);
  const { out } = options;
  if (out === undefined) return makeArray('float64', length) as Float64Array;
  if (!(out instanceof Float64Array)) throw typeError('a Float64Array', 'out', out);
  if (out.length !== length) throw rangeError(`${length} elements`, 'out', out);
  return out;
}
