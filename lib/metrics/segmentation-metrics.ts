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
import type { CallOptions } from '../losses/options.js';
import { makeArray } from '../tensors/dtype.js';
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

/** What `JSON.stringify` makes of {@link SegmentationMetrics}; all counts are integers. */
export interface MetricsState {
  readonly options: MetricsOptions;
  readonly samples: number;
  /** Targets in rows, predictions in columns, the last of each for no class: [C+1, C+1]. Threshold: [C, 2, 2]. */
  readonly counts: readonly number[];
  /** TN, FP, FN and TP of every sample and class, [samples, C, 4], for aggregate `'samples'`; else empty. */
  readonly perSample: readonly number[];
}

/**
 * Hard segmentation metrics over a dataset: `update` counts a batch in one pass over predictions and target, without
 * one-hot or argmax tensors; the scores ({@link ScoreName}) are read at any time. Counts are exact integers up to 2^53, the same for
 * any number of threads.
 *
 * A NaN predicts nothing: with `'argmax'` a voxel with a NaN among its predictions is a miss of its target class, with
 * `'threshold'` a NaN is above no threshold.
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
  readonly #counts: Float64Array; // of all samples, as the addon counts them
  #perSample: number[] = []; // [samples, C, 4] for aggregate 'samples': TN, FP, FN, TP
  #samples = 0;

  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: MetricsOptions) {
    this.#options = resolveMetrics(options);
    this.#counter = new BatchCounter(this.#options);
    this.#counts = makeArray('float64', this.#counter.cells) as Float64Array;
  }

  /** Samples counted since the beginning or the last {@link SegmentationMetrics.reset}. */
  get samples(): number {
    return this.#samples;
  }

  /**
   * Counts a batch. Nothing is counted when it throws. Tensors on a GPU are counted there, and waited for.
   *
   * @param predictions Logits or probabilities [S], [N, C, ...spatial] or, channels last, [N, ...spatial, C]; float32,
   *   float64, float16 or bfloat16. For decision `'labels'` class indices [S] or [N, ...spatial]; uint8, int32, int64.
   * @param target As for the losses: class indices without the class axis, uint8, int32 or int64; or dense in the shape
   *   of the predictions, of which the largest value of a voxel is its class (none where all are 0), or, for
   *   `'threshold'`, each class by itself where it is above 0.5. With one class a 0/1 mask. For decision `'labels'`
   *   class indices in the shape of the predictions.
   * @param options `weight`: voxels of weight 0 are left out, all others count once.
   * @throws TypeError, RangeError for arguments that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
   */
  update(predictions: TensorLike, target: TensorLike, options: CallOptions = none): this {
    this.#counter.count(predictions, target, options, this.#add);
    return this;
  }

  /**
   * {@link SegmentationMetrics.update} off the event loop; updates may overlap, and count when they resolve. Arrays on plain
   * ArrayBuffers are copied at the call, shared memory ({@link Tensor.empty}) is used in place and must not be written
   * meanwhile. Tensors on a GPU are enqueued at the call, and nothing blocks. Wrong arguments throw at the call, labels
   * out of range reject the promise.
   */
  updateAsync(
    predictions: TensorLike,
    target: TensorLike,
    options: CallOptions = none,
  ): Promise<this> {
    return this.#counter.countAsync(predictions, target, options, this.#add).then(() => this);
  }

  /**
   * The score of every class [C]; NaN where it is not counted, see `absent`. For aggregate `'samples'` the mean over the
   * samples in which it is counted.
   *
   * @param options `out`: where to write it, [C]; default a new array
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
   * The score of every sample and class [samples, C], in the order in which they were counted; NaN where it is not
   * counted. For aggregate `'samples'`.
   *
   * @throws TypeError for aggregate `'global'`, which keeps no samples
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
   * The average over classes; NaN when nothing is counted. `'macro'` the mean of the counted classes' scores (for
   * aggregate `'samples'` of every counted sample and class), `'weighted'` weighs each by its target voxels, `'micro'`
   * is the score of the classes' counts added up, absent ones included. Default `'macro'`.
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

  /** TP, FP, FN and TN of every class, over all samples. */
  counts(): ClassCounts[] {
    return this.#byClass(this.#counts);
  }

  /**
   * The confusion matrix over all samples, [C, C], row-major: rows are target classes, columns predicted ones. Voxels
   * whose target or prediction names no class are in none of its cells, but in {@link SegmentationMetrics.counts}.
   *
   * @param options `out`: where to write it, [C * C]; default a new array
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

  /** Adds what `other`, of the same options, has counted: another worker's part of the dataset, say. */
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

  /** Forgets what was counted. */
  reset(): void {
    this.#counts.fill(0);
    this.#perSample = [];
    this.#samples = 0;
  }

  /** All that was counted, for {@link SegmentationMetrics.fromJSON}. */
  toJSON(): MetricsState {
    return {
      options: this.#options,
      samples: this.#samples,
      counts: [...this.#counts],
      perSample: [...this.#perSample],
    };
  }

  /** The metrics that `state` was made of. @throws TypeError, RangeError for a state that is not one */
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
