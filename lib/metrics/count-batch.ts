// One batch of the metrics: from what the caller gives to the addon's counts.
import type { CountArguments } from '../../binding.js';
import { memoryOf } from '../calls/outputs.js';
import { checkWeightDType, Geometry } from '../calls/shapes.js';
import { checkKeys, rangeError, sameShape, showShape } from '../common/check.js';
import type { Device } from '../devices/device.js';
import type { CallOptions } from '../losses/options.js';
import { inWords } from '../native/label-error.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';
import { toTensor, toTensorOn } from '../tensors/argument.js';
import { codeOf, isInteger, makeArray } from '../tensors/dtype.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import { countOnDevice, countOnDeviceAsync } from './count-on-device.js';
import { decisions, type ResolvedMetrics } from './options.js';

/** Receives what was counted: [samples, cells], to be read at once and not kept. */
type Add = (counts: Float64Array, samples: number) => void;

/** N, S and the kind of target. */
type Fit = Pick<Geometry, 'samples' | 'voxels' | 'labels'>;

export class BatchCounter {
  /** Numbers per sample: [C+1, C+1] or, for decision `'threshold'`, [C, 2, 2]; see native/math/counts.h. */
  readonly cells: number;
  readonly #options: ResolvedMetrics;
  readonly #geometry: Geometry;
  #idle: Float64Array[] = []; // room for counts, one per call under way at the same time; kept from call to call

  constructor(options: ResolvedMetrics) {
    const { classes, decision, layout, ignoreIndex } = options;
    this.#options = options;
    this.cells = decision === 'threshold' ? 4 * classes : (classes + 1) ** 2;
    this.#geometry = new Geometry({ channelsLast: layout === 'channels-last', ignoreIndex });
  }

  count(x: TensorLike, y: TensorLike, options: CallOptions, add: Add): void {
    const { args, device } = this.#prepare(x, y, options);
    try {
      if (device.kind === 'cuda') countOnDevice(device, args, this.cells);
      else native.count(...args);
      add(args[14], args[2]);
    } catch (error) {
      throw this.#inWords(error, args);
    } finally {
      this.#idle.push(args[14]);
    }
  }

  /** Wrong arguments throw at once; what the work finds is a rejection. */
  countAsync(x: TensorLike, y: TensorLike, options: CallOptions, add: Add): Promise<void> {
    const { args, device } = this.#prepare(x, y, options);
    const start = () =>
      device.kind === 'cuda'
        ? countOnDeviceAsync(device, args, this.cells)
        : native.countAsync(...args);
    return callNative(start, (error) => this.#inWords(error, args))
      .then(() => add(args[14], args[2]))
      .finally(() => this.#idle.push(args[14]));
  }

  #prepare(
    predictions: TensorLike,
    target: TensorLike,
    options: CallOptions,
  ): { args: CountArguments; device: Device } {
    checkKeys(options, 'options', ['weight']);
    const x = toTensor(predictions, 'predictions');
    const { device } = x;
    const y = toTensorOn(device, target, 'target');
    const w =
      options.weight === undefined ? undefined : toTensorOn(device, options.weight, 'weight');
    const { samples, voxels, labels } = this.#fit(x, y, w);
    const { classes, decision, layout, threshold = 0, ignoreIndex } = this.#options;
    const args: CountArguments = [
      decisions.indexOf(decision),
      threshold,
      samples,
      classes,
      voxels,
      layout === 'channels-last',
      memoryOf(x),
      codeOf(x.dtype),
      memoryOf(y),
      codeOf(y.dtype),
      labels,
      ignoreIndex,
      w && memoryOf(w),
      w === undefined ? 0 : codeOf(w.dtype),
      this.#room(samples * this.cells),
    ];
    return { args, device };
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

  #inWords(error: unknown, args: CountArguments): unknown {
    const name = (error as { predictions?: boolean }).predictions ? 'predictions' : 'target';
    const { classes, ignoreIndex } = this.#options;
    return inWords(error, { name, classes, indices: args[10], ignoreIndex });
  }
}

/** Label maps on both sides: [S] or [N, ...spatial]. */
function fitMaps(x: Tensor, y: Tensor, w: Tensor | undefined): Fit {
  if (x.shape.length === 0) throw rangeError('rank 1 or more', 'the shape of predictions', x.shape);
  for (const [tensor, name] of [
    [x, 'predictions'],
    [y, 'target'],
  ] as const) {
    if (isInteger(tensor.dtype)) continue;
    throw new TypeError(
      `Expected dtype uint8, int32 or int64 for ${name}, as decision is 'labels', but received ${tensor.dtype}`,
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
