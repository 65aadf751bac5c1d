// Counts one batch of the metrics: checks the arguments and calls the addon.
import type { NativeCount, NativeCounts } from '../../binding.js';
import { memoryOf } from '../calls/native-call.js';
import type { CallOptions } from '../calls/options.js';
import { checkWeightDType, Geometry } from '../calls/shapes.js';
import {
  cannotCombine,
  checkKeys,
  needs,
  rangeError,
  sameShape,
  sameShapeWithout,
  showShape,
} from '../common/check.js';
import { nativeIgnoreIndex } from '../common/shared-options.js';
import type { Device } from '../devices/device.js';
import { LinearLogits, type Predictions, type Shaped } from '../head/linear-logits.js';
import { Decision, isFloatCode } from '../native/codes.js';
import { argumentOf, toUserError } from '../native/label-error.js';
import { native } from '../native/load.js';
import { callNative, callNativeAsync } from '../native/translate-error.js';
import { toTensor, toTensorOn } from '../tensors/argument.js';
import {
  codeOf,
  floatsOrBytes,
  floatsOrLabels,
  isInteger,
  labels as labelDTypes,
  labelList,
  labelsOrFloats,
} from '../tensors/dtype.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import {
  type CountKind,
  checkClassesOnDevice,
  countOnDevice,
  countOnDeviceAsync,
} from './count-on-device.js';
import { callCount } from './native-count.js';
import { type ResolvedMetrics, thresholdList } from './options.js';
import { checkSampleNames, memberLists } from './regions.js';

/** The options of {@link SegmentationMetrics.update}. */
export interface CountOptions extends CallOptions {
  /**
   * The name of the samples of this batch, for reports: one for all, or an array of one for each. All samples of one name,
   * in any number of batches, are counted as one sample, as the tiles of one case are. Needs aggregate `'samples'`.
   */
  sample?: string | readonly string[];
}

/** N, S and the kind of the target. */
type Fit = Pick<Geometry, 'samples' | 'voxels' | 'labels' | 'weightOfClasses'>;

export interface PreparedCount {
  native: NativeCount;
  device: Device;
  /** Of the predictions. */
  shape: readonly number[];
}

/** Counts batches into the counts that it holds. */
export class BatchCounter {
  readonly counts: NativeCounts;
  /**
   * Numbers of all samples together: [C+1, C+1] or, for decision `'threshold'`, [C, 2, 2] for each threshold; see
   * native/math/counts.h.
   */
  readonly cells: number;
  readonly #options: ResolvedMetrics;
  readonly #kind: CountKind;
  readonly #ignored: number | Float64Array | undefined;
  readonly #geometry: Geometry;

  constructor(options: ResolvedMetrics) {
    const { classes, decision, layout, aggregate, regions } = options;
    const ignoreIndex = nativeIgnoreIndex(options.ignoreIndex);
    this.#options = options;
    this.#ignored = ignoreIndex;
    const thresholds = thresholdList(options);
    this.cells =
      decision === 'threshold' ? 4 * classes * (thresholds?.length ?? 1) : (classes + 1) ** 2;
    this.#kind = {
      cells: this.cells,
      thresholds,
      regionsOfSamples: aggregate === 'samples' && regions !== undefined,
    };
    this.counts = callNative(
      () =>
        new native.Counts(
          Decision[decision],
          classes,
          aggregate === 'samples',
          memberLists(regions),
          thresholds && [...thresholds],
        ),
    );
    this.#geometry = new Geometry({
      channelsLast: layout === 'channels-last',
      ignoreIndex,
      masks: true,
    });
  }

  count(x: Predictions, y: TensorLike, options: CountOptions): void {
    this.countPrepared(this.prepare(x, y, options));
  }

  countPrepared(prepared: PreparedCount): void {
    const { native: call, device } = prepared;
    try {
      if (device.kind === 'cuda') countOnDevice(device, call, this.counts, this.#kind);
      else callCount(this.counts, 'count', call);
    } catch (error) {
      throw this.#toUserError(error, prepared);
    }
  }

  /** Wrong arguments throw at once; errors that the work finds reject the promise. */
  countAsync(x: Predictions, y: TensorLike, options: CountOptions): Promise<void> {
    return this.countPreparedAsync(this.prepare(x, y, options));
  }

  countPreparedAsync(prepared: PreparedCount): Promise<void> {
    const { native: call, device } = prepared;
    const start = () =>
      device.kind === 'cuda'
        ? countOnDeviceAsync(device, call, this.counts, this.#kind)
        : callCount(this.counts, 'countAsync', call);
    return callNativeAsync(start, (error) => this.#toUserError(error, prepared));
  }

  /** Checks the arguments of a batch. */
  prepare(predictions: Predictions, target: TensorLike, options: CountOptions): PreparedCount {
    checkKeys(options, 'options', ['weight', 'sample']);
    const { decision } = this.#options;
    const maps = decision === 'labels';
    const linear = predictions instanceof LinearLogits ? predictions : undefined;
    if (linear !== undefined) {
      if (maps) throw cannotCombine('linearLogits', "decision 'labels'", "use 'argmax'");
      linear.expectLive('predictions');
    }
    const x =
      linear?.features ??
      toTensor(predictions as TensorLike, 'predictions', maps ? labelDTypes : floatsOrLabels);
    const { device } = x;
    const y = toTensorOn(device, target, 'target', maps ? labelDTypes : labelsOrFloats);
    const w =
      options.weight === undefined
        ? undefined
        : toTensorOn(device, options.weight, 'weight', floatsOrBytes);
    const { classes, layout, threshold = 0, aggregate } = this.#options;
    if (options.sample !== undefined && aggregate === 'global') {
      throw needs('sample', "aggregate 'samples'");
    }
    const shaped = linear?.shaped(layout === 'channels-last', 'predictions');
    const { samples, voxels, labels, weightOfClasses } = this.#fit(shaped ?? x, x, y, w);
    if (device.kind === 'cuda') checkClassesOnDevice(device, classes, Decision[decision]);
    const native: NativeCount = {
      decision: Decision[decision],
      threshold: typeof threshold === 'number' ? threshold : (threshold[0] as number),
      samples,
      classes,
      voxels,
      channelsLast: layout === 'channels-last',
      predictions: memoryOf(x),
      predictionsType: codeOf(x.dtype),
      target: memoryOf(y),
      targetType: codeOf(y.dtype),
      targetIsLabels: labels,
      ignoreIndex: this.#ignored,
      weight: w && memoryOf(w),
      weightType: w === undefined ? 0 : codeOf(w.dtype),
      weightOfClasses: w !== undefined && weightOfClasses,
      mayBeOneHot: decision === 'labels' && hasClassAxis(x.shape, classes),
      bySample: aggregate === 'samples',
      counts: undefined,
      stream: undefined,
      channels: linear?.channels ?? 0,
      headWeight: linear && memoryOf(linear.weight),
      headBias: linear?.bias && memoryOf(linear.bias),
      headType: linear === undefined ? 0 : codeOf(linear.weight.dtype),
      names: checkSampleNames(options.sample, samples),
    };
    return { native, device, shape: (shaped ?? x).shape };
  }

  #fit(shaped: Shaped, x: Tensor, y: Tensor, w: Tensor | undefined): Fit {
    const { classes, decision } = this.#options;
    if (decision === 'labels') return fitMaps(x, y, w);
    this.#geometry.fit(shaped, y, w);
    if (isInteger(x.dtype)) this.#checkMasks(x);
    if (this.#geometry.classes !== classes) {
      throw new RangeError(
        `Expected ${classes} classes for predictions but received ${this.#geometry.classes} in shape ${showShape(shaped.shape)}`,
      );
    }
    if (w !== undefined && this.#geometry.weightOfClasses && decision !== 'threshold') {
      const name = `weight, as decision is '${decision}',`;
      throw rangeError(
        'one weight per voxel',
        name,
        w.shape,
        "one per class needs decision 'threshold'",
      );
    }
    return this.#geometry;
  }

  #toUserError(error: unknown, { native: call, shape }: PreparedCount): unknown {
    if ((error as { code?: unknown }).code === 'ERR_ONE_HOT') {
      return new RangeError(
        `Expected class indices for predictions, as decision is 'labels', but received one-hot masks of shape ${showShape(shape)}: use decision 'argmax'`,
      );
    }
    const { classes, ignoreIndex, decision } = this.#options;
    const ofPredictions = argumentOf(error) === 'predictions';
    const type = ofPredictions ? call.predictionsType : call.targetType;
    return toUserError(error, {
      name: ofPredictions ? 'predictions' : 'target',
      classes,
      indices: ofPredictions ? decision === 'labels' : call.targetIsLabels,
      probabilities: isFloatCode(type),
      ignoreIndex,
    });
  }

  /** Predictions that are decided already: masks of 0 and 1. */
  #checkMasks({ dtype, device }: Tensor): void {
    const { decision, threshold = 0 } = this.#options;
    const wrong = [threshold].flat().find((one) => one < 0 || one >= 1);
    if (decision === 'threshold' && wrong !== undefined) {
      const name = `threshold, as predictions are masks (${dtype}),`;
      throw rangeError('a number from 0 to below 1', name, wrong);
    }
    if (device.kind === 'cpu' || dtype === 'uint8') return;
    throw new TypeError(
      `Expected dtype uint8 for predictions, which are masks on ${device}, but received ${dtype}`,
    );
  }
}

/**
 * Whether an array of this shape may be masks with a class axis, the second or the last. Label maps may have that shape too,
 * with as many rows as there are classes: the counts tell.
 */
const hasClassAxis = (shape: readonly number[], classes: number): boolean =>
  classes > 1 && shape.length > 2 && (shape[1] === classes || shape.at(-1) === classes);

/** Checks predictions and target that are both label maps: [S] or [N, ...spatial]. */
function fitMaps(x: Tensor, y: Tensor, w: Tensor | undefined): Fit {
  if (x.shape.length === 0) throw rangeError('rank 1 or more', 'the shape of predictions', x.shape);
  for (const [tensor, name] of [
    [x, 'predictions'],
    [y, 'target'],
  ] as const) {
    if (isInteger(tensor.dtype)) continue;
    throw new TypeError(
      `Expected dtype ${labelList} for ${name}, as decision is 'labels', but received ${tensor.dtype}`,
    );
  }
  if (w !== undefined) checkWeightDType(w);
  for (const [tensor, name] of [
    [y, 'target'],
    [w, 'weight'],
  ] as const) {
    if (tensor === undefined || sameShape(tensor.shape, x.shape)) continue;
    const oneHot = [1, x.shape.length - 1].some((axis) =>
      sameShapeWithout(tensor.shape, x.shape, axis),
    );
    const hint = oneHot ? ": for one-hot predictions use decision 'argmax'" : '';
    throw new RangeError(
      `Expected shape ${showShape(x.shape)} for ${name}, as predictions have, but received ${showShape(tensor.shape)}${hint}`,
    );
  }
  const samples = x.shape.length === 1 ? 1 : (x.shape[0] as number);
  return { samples, voxels: x.size / samples, labels: true, weightOfClasses: false };
}
