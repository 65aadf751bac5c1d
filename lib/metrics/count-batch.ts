// Counts one batch of the metrics: checks the arguments and calls the addon.
import type { NativeCount } from '../../binding.js';
import { memoryOf } from '../calls/native-call.js';
import type { CallOptions } from '../calls/options.js';
import { checkWeightDType, Geometry } from '../calls/shapes.js';
import { checkKeys, rangeError, sameShape, showShape } from '../common/check.js';
import type { Device } from '../devices/device.js';
import { Decision } from '../native/codes.js';
import { toUserError } from '../native/label-error.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';
import { makeArray } from '../tensors/allocate.js';
import { toTensor, toTensorOn } from '../tensors/argument.js';
import {
  codeOf,
  floats,
  floatsOrBytes,
  isInteger,
  labels as labelDTypes,
  labelList,
  labelsOrFloats,
} from '../tensors/dtype.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { countOnDevice, countOnDeviceAsync } from './count-on-device.js';
import { callCount } from './native-count.js';
import type { ResolvedMetrics } from './options.js';

/** Receives the counts, [samples, cells]. It must read them at once and not keep the array. */
type Add = (counts: Float64Array, samples: number) => void;

/** N, S and the kind of the target. */
type Fit = Pick<Geometry, 'samples' | 'voxels' | 'labels'>;

interface PreparedCount {
  native: NativeCount;
  /** Receives the counts, on the host. */
  counts: Float64Array;
  device: Device;
}

export class BatchCounter {
  /** Numbers per sample: [C+1, C+1] or, for decision `'threshold'`, [C, 2, 2]; see native/math/counts.h. */
  readonly cells: number;
  readonly #options: ResolvedMetrics;
  readonly #geometry: Geometry;
  #idle: Float64Array[] = []; // arrays for counts that no running call uses; reused by later calls

  constructor(options: ResolvedMetrics) {
    const { classes, decision, layout, ignoreIndex } = options;
    this.#options = options;
    this.cells = decision === 'threshold' ? 4 * classes : (classes + 1) ** 2;
    this.#geometry = new Geometry({ channelsLast: layout === 'channels-last', ignoreIndex });
  }

  count(x: TensorLike, y: TensorLike, options: CallOptions, add: Add): void {
    const { native: call, counts, device } = this.#prepare(x, y, options);
    try {
      if (device.kind === 'cuda') countOnDevice(device, call, counts, this.cells);
      else callCount(native, 'count', call);
      add(counts, call.samples);
    } catch (error) {
      throw this.#toUserError(error, call);
    } finally {
      this.#idle.push(counts);
    }
  }

  /** Wrong arguments throw at once; errors that the work finds reject the promise. */
  countAsync(x: TensorLike, y: TensorLike, options: CallOptions, add: Add): Promise<void> {
    const { native: call, counts, device } = this.#prepare(x, y, options);
    const start = () =>
      device.kind === 'cuda'
        ? countOnDeviceAsync(device, call, counts, this.cells)
        : callCount(native, 'countAsync', call);
    return callNative(start, (error) => this.#toUserError(error, call))
      .then(() => add(counts, call.samples))
      .finally(() => this.#idle.push(counts));
  }

  #prepare(predictions: TensorLike, target: TensorLike, options: CallOptions): PreparedCount {
    checkKeys(options, 'options', ['weight']);
    const { decision } = this.#options;
    const maps = decision === 'labels';
    const x = toTensor(predictions, 'predictions', maps ? labelDTypes : floats);
    const { device } = x;
    const y = toTensorOn(device, target, 'target', maps ? labelDTypes : labelsOrFloats);
    const w =
      options.weight === undefined
        ? undefined
        : toTensorOn(device, options.weight, 'weight', floatsOrBytes);
    const { samples, voxels, labels } = this.#fit(x, y, w);
    const { classes, layout, threshold = 0, ignoreIndex } = this.#options;
    const counts = this.#room(samples * this.cells);
    const native: NativeCount = {
      decision: Decision[decision],
      threshold,
      samples,
      classes,
      voxels,
      channelsLast: layout === 'channels-last',
      predictions: memoryOf(x),
      predictionsType: codeOf(x.dtype),
      target: memoryOf(y),
      targetType: codeOf(y.dtype),
      targetIsLabels: labels,
      ignoreIndex,
      weight: w && memoryOf(w),
      weightType: w === undefined ? 0 : codeOf(w.dtype),
      counts,
      stream: undefined,
    };
    return { native, counts, device };
  }

  #room(size: number): Float64Array {
    const room = this.#idle.pop();
    if (room !== undefined && room.length >= size) return room;
    return makeArray('float64', size) as Float64Array;
  }

  #fit(x: Tensor, y: Tensor, w: Tensor | undefined): Fit {
    const { classes, decision } = this.#options;
    if (decision === 'labels') return fitMaps(x, y, w);
    this.#geometry.fit(x, y, w);
    if (this.#geometry.classes !== classes) {
      throw new RangeError(
        `Expected ${classes} classes for predictions but received ${this.#geometry.classes} in shape ${showShape(x.shape)}`,
      );
    }
    return this.#geometry;
  }

  #toUserError(error: unknown, call: NativeCount): unknown {
    const name = (error as { predictions?: boolean }).predictions ? 'predictions' : 'target';
    const { classes, ignoreIndex } = this.#options;
    return toUserError(error, { name, classes, indices: call.targetIsLabels, ignoreIndex });
  }
}

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
    throw new RangeError(
      `Expected shape ${showShape(x.shape)} for ${name}, as predictions have, but received ${showShape(tensor.shape)}`,
    );
  }
  const samples = x.shape.length === 1 ? 1 : (x.shape[0] as number);
  return { samples, voxels: x.size / samples, labels: true };
}
