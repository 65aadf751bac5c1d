import { native } from './binding.js';
import {
  checkFlag,
  checkInteger,
  checkKeys,
  checkOneOf,
  rangeError,
  sameShape,
  show,
  showShape,
  typeError,
} from './check.js';
import { binaryCounts, type ClassCounts, checkCounts, confusionCounts } from './counts.js';
import { codeOf, isInteger, makeArray } from './dtype.js';
import { WarpDiceError } from './errors.js';
import { Geometry } from './geometry.js';
import type { CallOptions } from './options.js';
import { resolveOptions } from './resolve.js';
import {
  type Absent,
  type Average,
  average,
  mean,
  type ScoreName,
  score,
  scoreNames,
} from './scores.js';
import { type Tensor, type TensorLike, toTensor } from './tensor.js';

const decisions = ['argmax', 'threshold', 'labels'] as const;
const aggregates = ['global', 'samples'] as const;
const absents = ['formula', 'skip', 'perfect', 'worst'] as const;
const averages = ['macro', 'micro', 'weighted'] as const;

/** What {@link SegmentationMetrics} count, and how scores are made of it. */
export interface MetricsOptions {
  /** C. */
  classes: number;
  /**
   * How predictions become classes. `'argmax'`: the class of the largest logit or probability, the lowest class at a
   * tie; needs two or more classes. `'threshold'`: each class by itself where its prediction is above `threshold`, so
   * that a voxel may be of several classes or none. `'labels'`: predictions are class indices. Default `'argmax'`.
   */
  decision?: 'argmax' | 'threshold' | 'labels';
  /**
   * Needed for decision `'threshold'`, and compared with the predictions as they are: 0.5 for probabilities, 0 for the
   * logits of a sigmoid. Rounded to float32 unless the predictions are float64.
   */
  threshold?: number;
  /**
   * `'global'`: scores of the counts of all samples together. `'samples'`: scores of each sample, then the mean over the
   * samples in which they are counted; keeps 4 numbers per sample and class. Default `'global'`.
   */
  aggregate?: 'global' | 'samples';
  /**
   * The score of a class with no target voxel, whatever is predicted, with the meaning that it has in the losses:
   * `'skip'` NaN and left out of means, `'perfect'` 1, `'worst'` 0, `'formula'` what the formula gives, with 0/0 = 0: 0
   * for Dice, IoU, precision, recall and volume similarity. Specificity and accuracy are those of the formula always.
   * Default `'skip'`.
   */
  absent?: Absent;
  /** false: class 0 is left out of averages (it can still be predicted). Default true. */
  background?: boolean;
  /** Voxels with this label are left out. For labels, and for masks of one class. */
  ignoreIndex?: number;
  /** `'channels-first'` [N, C, ...spatial] or `'channels-last'` [N, ...spatial, C]. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
}

/** What `JSON.stringify` makes of {@link SegmentationMetrics}; all counts are integers. */
export interface MetricsState {
  readonly options: MetricsOptions;
  readonly samples: number;
  readonly counts: readonly number[];
  readonly perSample: readonly number[];
}

const optionKeys: readonly (keyof MetricsOptions)[] = [
  'classes',
  'decision',
  'threshold',
  'aggregate',
  'absent',
  'background',
  'ignoreIndex',
  'layout',
];
const none: Record<string, never> = Object.freeze({});

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
  readonly #options: Required<Omit<MetricsOptions, 'ignoreIndex' | 'threshold'>> & MetricsOptions;
  readonly #geometry: Geometry;
  readonly #cells: number; // numbers per sample that the addon counts
  #counts: Float64Array; // [cells], of all samples
  #batch: Float64Array = new Float64Array(0); // [N, cells], kept from update to update
  #perSample: ClassCounts[][] = []; // [samples][C], for aggregate 'samples'
  #samples = 0;

  /** @throws TypeError, RangeError for an unknown option or a wrong value */
  constructor(options: MetricsOptions) {
    if (options === undefined) throw typeError('an object', 'options', options);
    checkKeys(options, 'options', optionKeys);
    const { ignoreIndex, layout, threshold } = options;
    const classes = checkInteger(options.classes, 'classes', 1, 65_536);
    const decision = checkOneOf(options.decision, 'decision', decisions, 'argmax');
    if (decision === 'argmax' && classes === 1) {
      throw new RangeError(
        "Expected 2 or more for classes, as decision is 'argmax', but received 1: use 'threshold'",
      );
    }
    if (decision === 'threshold' && typeof threshold !== 'number') {
      throw typeError(
        "a number (0.5 for probabilities, 0 for logits), as decision is 'threshold',",
        'threshold',
        threshold,
      );
    }
    if (decision === 'threshold' && Number.isNaN(threshold))
      throw rangeError('a number', 'threshold', threshold);
    if (decision !== 'threshold' && threshold !== undefined) {
      throw new TypeError(
        `Expected no threshold for decision '${decision}' but received ${show(threshold)}`,
      );
    }
    const background = checkFlag(options.background, 'background', true);
    if (!background && classes === 1) {
      throw new RangeError('Expected 2 or more classes for background: false but received 1');
    }
    // The losses' own reading of layout and ignoreIndex, and of how shapes fit together.
    const resolved = resolveOptions(
      {
        ...(layout !== undefined && { layout }),
        ...(ignoreIndex !== undefined && { ignoreIndex }),
      },
      { kind: 0 },
    );
    this.#geometry = new Geometry(resolved);
    this.#options = Object.freeze({
      classes,
      decision,
      aggregate: checkOneOf(options.aggregate, 'aggregate', aggregates, 'global'),
      absent: checkOneOf(options.absent, 'absent', absents, 'skip'),
      background,
      layout: resolved.channelsLast ? 'channels-last' : 'channels-first',
      ...(threshold !== undefined && { threshold }),
      ...(ignoreIndex !== undefined && { ignoreIndex }),
    });
    this.#cells = decision === 'threshold' ? 4 * classes : (classes + 1) ** 2;
    this.#counts = makeArray('float64', this.#cells) as Float64Array;
  }

  /** Samples counted since the beginning or the last {@link SegmentationMetrics.reset}. */
  get samples(): number {
    return this.#samples;
  }

  /**
   * Counts a batch. Nothing is counted when it throws.
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
    checkKeys(options, 'options', ['weight']);
    const x = toTensor(predictions, 'predictions');
    const y = toTensor(target, 'target');
    const w = options.weight === undefined ? undefined : toTensor(options.weight, 'weight');
    const { samples, voxels, labels } = this.#fit(x, y, w);
    const { classes, decision, layout, threshold = 0, ignoreIndex } = this.#options;
    const size = samples * this.#cells;
    if (this.#batch.length < size) this.#batch = makeArray('float64', size) as Float64Array;
    try {
      native.count(
        decisions.indexOf(decision),
        threshold,
        samples,
        classes,
        voxels,
        layout === 'channels-last',
        x.data,
        codeOf(x.dtype),
        y.data,
        codeOf(y.dtype),
        labels,
        ignoreIndex,
        w?.data,
        w === undefined ? 0 : codeOf(w.dtype),
        this.#batch,
      );
    } catch (error) {
      throw this.#translate(error, labels);
    }
    for (let n = 0; n < samples; n++) {
      const cells = this.#batch.subarray(n * this.#cells, (n + 1) * this.#cells);
      for (let i = 0; i < this.#cells; i++)
        this.#counts[i] = (this.#counts[i] as number) + (cells[i] as number);
      if (this.#options.aggregate === 'samples') this.#perSample.push(this.#byClass(cells));
    }
    this.#samples += samples;
    return this;
  }

  /** The score of every class [C]; NaN where it is not counted, see `absent`. */
  perClass(name: ScoreName): Float64Array {
    checkOneOf(name, 'name', scoreNames, 'dice');
    const { absent, aggregate, classes } = this.#options;
    if (aggregate === 'global') {
      return Float64Array.from(this.counts(), (counts) => score(name, counts, absent));
    }
    return Float64Array.from({ length: classes }, (_, c) =>
      mean(this.#perSample.map((sample) => score(name, sample[c] as ClassCounts, absent))),
    );
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
    if (average_ === 'macro') {
      const scores = (sample: ClassCounts[]) =>
        counted(sample).map((counts) => score(name, counts, absent));
      return mean(this.#perSample.flatMap(scores));
    }
    return mean(this.#perSample.map((sample) => average(name, counted(sample), absent, average_)));
  }

  /** TP, FP, FN and TN of every class, over all samples. */
  counts(): ClassCounts[] {
    return this.#byClass(this.#counts);
  }

  /**
   * The confusion matrix over all samples, [C, C], row-major: rows are target classes, columns predicted ones. Voxels
   * whose target or prediction names no class are in none of its cells, but in {@link SegmentationMetrics.counts}.
   *
   * @throws TypeError for decision `'threshold'`, where a voxel has no single class
   */
  confusion(): Float64Array {
    const { classes, decision } = this.#options;
    if (decision === 'threshold') {
      throw new TypeError(
        "Expected decision 'argmax' or 'labels' for confusion() but received 'threshold'",
      );
    }
    const matrix = new Float64Array(classes * classes);
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
    this.#counts = this.#counts.map((count, i) => count + (other.#counts[i] as number));
    this.#perSample = [...this.#perSample, ...other.#perSample];
    this.#samples += other.#samples;
    return this;
  }

  /** Forgets what was counted. */
  reset(): void {
    this.#counts.fill(0);
    this.#perSample = [];
    this.#samples = 0;
  }

  toJSON(): MetricsState {
    return {
      options: this.#options,
      samples: this.#samples,
      counts: [...this.#counts],
      perSample: this.#perSample.flatMap((sample) =>
        sample.flatMap(({ tp, fp, fn, tn }) => [tn, fp, fn, tp]),
      ),
    };
  }

  /** The metrics that `state` was made of. @throws TypeError, RangeError for a state that is not one */
  static fromJSON(state: MetricsState): SegmentationMetrics {
    checkKeys(state, 'state', ['options', 'samples', 'counts', 'perSample']);
    if (state === undefined) throw typeError('an object', 'state', state);
    const metrics = new SegmentationMetrics(state.options);
    const { classes, aggregate } = metrics.#options;
    metrics.#samples = checkInteger(state.samples, 'state.samples', 0, Number.MAX_SAFE_INTEGER);
    metrics.#counts = checkCounts(state.counts, 'state.counts', metrics.#cells);
    const rows = aggregate === 'samples' ? metrics.#samples : 0;
    const perSample = checkCounts(state.perSample, 'state.perSample', rows * classes * 4);
    for (let n = 0; n < rows; n++) {
      const cells = perSample.subarray(n * classes * 4, (n + 1) * classes * 4);
      metrics.#perSample.push(binaryCounts(cells, classes));
    }
    return metrics;
  }

  /** N, S and the kind of target from the shapes, or throws. */
  #fit(
    x: Tensor,
    y: Tensor,
    w: Tensor | undefined,
  ): { samples: number; voxels: number; labels: boolean } {
    const { classes, decision } = this.#options;
    if (decision !== 'labels') {
      this.#geometry.fit(x, y, w);
      if (this.#geometry.classes !== classes) {
        throw new RangeError(
          `Expected ${classes} classes for predictions but received ${this.#geometry.classes} in shape ${showShape(x.shape)}`,
        );
      }
      return this.#geometry;
    }
    if (x.shape.length === 0)
      throw rangeError('rank 1 or more', 'the shape of predictions', x.shape);
    for (const [tensor, name] of [
      [x, 'predictions'],
      [y, 'target'],
    ] as const) {
      if (isInteger(tensor.dtype)) continue;
      throw new TypeError(
        `Expected dtype uint8, int32 or int64 for ${name}, as decision is 'labels', but received ${tensor.dtype}`,
      );
    }
    if (w !== undefined && (w.dtype === 'int32' || w.dtype === 'int64')) {
      throw new TypeError(
        `Expected dtype uint8 or a float dtype for weight but received ${w.dtype}`,
      );
    }
    for (const [tensor, name] of [
      [y, 'target'],
      [w, 'weight'],
    ] as const) {
      if (tensor === undefined || sameShape(tensor.shape, x.shape)) continue;
      throw new RangeError(
        `Expected shape ${showShape(x.shape)} for ${name}, as predictions have, but received ${showShape(tensor.shape)}`,
      );
    }
    const samples = x.shape.length === 1 ? 1 : (x.shape[0] as number);
    return { samples, voxels: x.size / samples, labels: true };
  }

  #byClass(cells: Float64Array): ClassCounts[] {
    const { classes, decision } = this.#options;
    return decision === 'threshold'
      ? binaryCounts(cells, classes)
      : confusionCounts(cells, classes);
  }

  /** Words for what the addon reports by code. */
  #translate(error: unknown, labels: boolean): unknown {
    const fault = error as WarpDiceError & { predictions?: boolean };
    const { code, message } = fault;
    if (code === 'ERR_LABEL_RANGE') {
      const { classes, ignoreIndex } = this.#options;
      const allowed = labels && classes > 1 ? `class indices from 0 to ${classes - 1}` : '0 or 1';
      const ignore = ignoreIndex === undefined ? '' : ` (or ignoreIndex ${ignoreIndex})`;
      const details = {
        count: fault.count as number,
        index: fault.index as number,
        value: fault.value as number,
      };
      return new WarpDiceError(
        code,
        `Expected ${allowed}${ignore} for ${fault.predictions ? 'predictions' : 'target'} but received ${details.count} other value${details.count === 1 ? '' : 's'}, the first ${details.value} at index ${details.index}`,
        details,
      );
    }
    if (code === 'ERR_OUT_OF_MEMORY' || code === 'ERR_ADDON')
      return new WarpDiceError(code, message, { cause: error });
    return error;
  }
}
