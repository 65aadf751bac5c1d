// From what the caller gives to a checked call: shapes, dtypes and statistics that fit, and a place for every result.
import type { NativeLossOptions } from '../../binding.js';
import {
  cannotCombine,
  checkFlag,
  checkInteger,
  checkKeys,
  needs,
  rangeError,
  showShape,
  typeError,
} from '../common/check.js';
import type { Device } from '../devices/device.js';
import type {
  GradientOptions,
  TargetGradientOptions,
  ValueAndGradOptions,
  ValueOptions,
} from '../losses/options.js';
import { isCompound, isPerGroup } from '../losses/resolve.js';
import { checkShape, toTensor, toTensorOn } from '../tensors/argument.js';
import { codeOf } from '../tensors/dtype.js';
import { Tensor, type TensorLike } from '../tensors/tensor.js';
import type { Names } from './names.js';
import {
  blankArguments,
  checkScale,
  FINALIZE,
  float64Buffer,
  GRADIENT,
  gradBuffer,
  type Keys,
  memoryOf,
  type Prepared,
  REDUCTION_NONE,
  readUpstream,
  release,
  STATISTICS,
  TARGET_GRADIENT,
  targetGradBuffer,
  valueOutKeys,
} from './outputs.js';
import { Geometry } from './shapes.js';
import { checkSignature, Statistics, sumNames } from './statistics.js';

/** What statistics of a loss with these options mean: only equal ones can be mixed. */
function signatureOf(options: NativeLossOptions): string {
  const meaning = [
    options.pooled ? 'pooled' : 'per sample',
    options.squared ? 'squared' : 'linear',
    `activation ${['none', 'sigmoid', 'softmax'][options.activation]}`,
  ];
  if (options.crossEntropyFactor) {
    meaning.push(options.labelSmoothing ? 'smoothed cross-entropy' : 'cross-entropy');
  }
  if (options.focalFactor) meaning.push(`focal ${options.focalGamma}`);
  if (options.overlap === 1) meaning.push('minimum');
  if (options.distances) meaning.push(`distances ${fingerprint(options.distances)}`);
  return meaning.join(', ');
}

/** Eight hexadecimal digits that differ where the numbers do (FNV-1a of their bytes). */
function fingerprint(numbers: Float64Array): string {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(Float64Array.from(numbers).buffer)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** What a value is made of: overlap, cross-entropy, focal. */
const PARTS = 3;

/** Those of every call that reads predictions and target. */
type CallOptionsOfAny = Omit<ValueAndGradOptions, 'out'> & { out?: unknown };

/** Prepares the calls of one loss. */
export class Preparer {
  readonly #options: NativeLossOptions;
  readonly #geometry: Geometry;
  readonly #signature: string;

  constructor(options: NativeLossOptions) {
    this.#options = options;
    this.#geometry = new Geometry(options);
    this.#signature = signatureOf(options);
  }

  /** What messages call the arguments. */
  get names(): Names {
    return this.#geometry.names;
  }

  set names(names: Names) {
    this.#geometry.names = names;
  }

  /** A call that reads predictions and target. `statistics` is for one that begins with step 3. */
  call(
    steps: number,
    predictionsLike: TensorLike,
    targetLike: TensorLike,
    options: CallOptionsOfAny,
    keys: Keys,
    statistics?: Statistics,
  ): Prepared {
    checkKeys(options, 'options', keys.options);
    const geometry = this.#geometry;
    const predictions = toTensor(predictionsLike, geometry.names.predictions);
    const { device } = predictions;
    const target = toTensorOn(device, targetLike, geometry.names.target);
    const weight =
      options.weight === undefined ? undefined : toTensorOn(device, options.weight, 'weight');
    geometry.fit(predictions, target, weight);
    const { samples, classes, voxels } = geometry;

    const call = blankCall(steps, device);
    const { args } = call;
    args[1] = samples;
    args[2] = classes;
    args[3] = voxels;
    args[4] = memoryOf(predictions);
    args[5] = codeOf(predictions.dtype);
    args[6] = memoryOf(target);
    args[7] = codeOf(target.dtype);
    args[8] = geometry.labels;
    if (weight !== undefined) {
      args[9] = memoryOf(weight);
      args[10] = codeOf(weight.dtype);
    }
    try {
      this.#placeResults(call, predictions, target, options, keys, statistics);
    } catch (error) {
      release(call);
      throw error;
    }
    return call;
  }

  #placeResults(
    call: Prepared,
    predictions: Tensor,
    target: Tensor,
    options: CallOptionsOfAny,
    keys: Keys,
    statistics: Statistics | undefined,
  ): void {
    const { args, device, made } = call;
    const [steps, samples, classes] = args;
    const groups = this.#options.pooled ? 1 : samples;
    if (steps === STATISTICS) {
      call.statistics = this.#statisticsBuffer(options.out, call);
      args[11] = sumsOn(device, call.statistics);
      return;
    }
    checkKeys(options.out, 'out', keys.out);
    const out = options.out as ValueAndGradOptions['out'];
    if (steps & FINALIZE) this.#placeValue(call, out, groups, classes);
    if (steps & (GRADIENT | TARGET_GRADIENT)) {
      if (steps === GRADIENT || steps === TARGET_GRADIENT) {
        this.#takeStatistics(call, statistics, (options as GradientOptions).sampleOffset);
      }
      call.upstream = this.#upstream(
        device,
        options.upstream,
        call.statistics?.shape[0] ?? groups,
        classes,
      );
      call.gradScale = checkScale(options.gradScale, device);
      readUpstream(call);
      args[18] = checkFlag(options.accumulate, 'accumulate', false);
      if (steps === TARGET_GRADIENT) {
        const { targetGrad } = (options as TargetGradientOptions).out ?? {};
        call.grad = targetGradBuffer(target, targetGrad, args[18], made);
        args[20] = memoryOf(call.grad);
      } else {
        call.grad = gradBuffer(predictions, out?.grad, options.gradDtype, args[18], made);
        args[16] = memoryOf(call.grad);
        args[17] = codeOf(call.grad.dtype);
      }
    }
  }

  /** A call of step 2 alone. */
  fromStatistics(statistics: Statistics, options: Omit<ValueOptions, 'weight'>): Prepared {
    checkKeys(options, 'options', ['out']);
    checkKeys(options.out, 'out', valueOutKeys);
    checkSignature(statistics, this.#signature, 'statistics');
    const [groups, classes] = statistics.shape;
    const { classWeights, background, distances } = this.#options;
    if (classWeights !== undefined && classWeights.length !== classes) {
      throw new RangeError(
        `Expected statistics of ${classWeights.length} classes, as classWeights has so many, but received those of ${classes}`,
      );
    }
    if (distances !== undefined && distances.length !== classes * classes) {
      throw new RangeError(
        `Expected statistics of ${Math.sqrt(distances.length)} classes, as distances has so many, but received those of ${classes}`,
      );
    }
    if (!background && classes === 1) {
      throw new RangeError('Expected 2 or more classes for background: false but received 1');
    }
    const { device } = statistics;
    const call = blankCall(FINALIZE, device);
    const { args } = call;
    args[1] = groups;
    args[2] = classes;
    args[3] = 1;
    args[11] = sumsOn(device, statistics);
    call.statistics = statistics;
    try {
      this.#placeValue(call, options.out, groups, classes);
    } catch (error) {
      release(call);
      throw error;
    }
    return call;
  }

  /** New statistics for the predictions of a call. */
  localStatistics(call: Prepared): Statistics {
    return this.#statisticsBuffer(undefined, call);
  }

  /** What an allReduce hook made of statistics, if it can take their place. */
  checkMerged(merged: unknown, local: Statistics): Statistics {
    const [groups, classes] = local.shape;
    this.#checkStatistics(merged, groups, classes, local.samples, 'the result of allReduce');
    return merged as Statistics;
  }

  /** Step 3 alone: from statistics of these samples or, with an offset, of these among others. */
  #takeStatistics(
    call: Prepared,
    statistics: Statistics | undefined,
    sampleOffset: number | undefined,
  ): void {
    const { args } = call;
    const [, samples, classes] = args;
    const { pooled } = this.#options;
    if (sampleOffset === undefined) {
      this.#checkStatistics(statistics, pooled ? 1 : samples, classes, samples);
    } else {
      if (pooled) throw cannotCombine('sampleOffset', 'batch: true');
      checkSignature(statistics, this.#signature, 'statistics');
      const all = Math.max((statistics as Statistics).shape[0], samples);
      this.#checkStatistics(statistics, all, classes, all);
      args[22] = checkInteger(sampleOffset, 'sampleOffset', 0, all - samples);
      args[21] = all;
    }
    call.statistics = statistics;
    args[11] = sumsOn(call.device, statistics as Statistics);
  }

  /** The caller's statistics, or new ones, for the predictions of a call. */
  #statisticsBuffer(
    out: unknown,
    { args: [, samples, classes], device, made }: Prepared,
  ): Statistics {
    const groups = this.#options.pooled ? 1 : samples;
    if (out === undefined) {
      const sums = Tensor.forResult([groups, classes, sumNames.length], 'float64', device);
      if (device.kind === 'cuda') made.push(sums);
      const data = device.kind === 'cpu' ? (sums.data as Float64Array) : sums;
      return new Statistics(data, groups, classes, samples, this.#signature);
    }
    this.#checkStatistics(out, groups, classes, samples, 'out');
    if ((out as Statistics).device !== device) {
      throw typeError(`statistics on ${device}`, 'out', out);
    }
    if ((out as Statistics).samples !== samples) {
      throw rangeError(`statistics of ${samples} samples`, 'out', (out as Statistics).samples);
    }
    return out as Statistics;
  }

  #checkStatistics(
    statistics: unknown,
    groups: number,
    classes: number,
    samples: number,
    name = 'statistics',
  ): void {
    checkSignature(statistics, this.#signature, name);
    const { shape } = statistics as Statistics;
    if (shape[0] !== groups || shape[1] !== classes) {
      throw new RangeError(
        `Expected statistics of ${samples} samples and ${classes} classes for ${name} but received shape ${showShape(shape)}`,
      );
    }
  }

  /** [N, C] or, pooled, [C]. */
  #perClassShape(groups: number, classes: number): number[] {
    return this.#options.pooled ? [classes] : [groups, classes];
  }

  #valueShape(groups: number, classes: number): number[] {
    const { reduction, pooled } = this.#options;
    if (reduction !== REDUCTION_NONE) return [];
    if (isPerGroup(this.#options)) return pooled ? [] : [groups];
    return this.#perClassShape(groups, classes);
  }

  #placeValue(call: Prepared, out: ValueOptions['out'], groups: number, classes: number): void {
    const { args, device, made } = call;
    const valueShape = this.#valueShape(groups, classes);
    const perClassShape = this.#perClassShape(groups, classes);
    call.value = float64Buffer(out?.value, 'out.value', valueShape, device, made);
    call.perClass = float64Buffer(out?.perClass, 'out.perClass', perClassShape, device, made);
    args[14] = memoryOf(call.value) as Float64Array;
    args[15] = memoryOf(call.perClass) as Float64Array;
    if (isCompound(this.#options)) {
      const shape = [...call.value.shape, PARTS];
      call.parts = float64Buffer(out?.parts, 'out.parts', shape, device, made);
      args[19] = memoryOf(call.parts) as Float64Array;
    } else if (out?.parts !== undefined) {
      throw needs('out.parts', 'a compound loss (crossEntropy or focal)');
    }
  }

  #upstream(
    device: Device,
    like: TensorLike | undefined,
    groups: number,
    classes: number,
  ): Tensor | undefined {
    if (this.#options.reduction !== REDUCTION_NONE) {
      if (like === undefined) return undefined;
      const reduction = this.#options.reduction === 1 ? 'mean' : 'sum';
      throw cannotCombine(
        'upstream',
        `reduction '${reduction}'`,
        'scale its gradient by gradScale',
      );
    }
    const shape = this.#valueShape(groups, classes);
    if (like === undefined) {
      const wanted = `upstream, dL/dvalue of shape ${showShape(shape)}, for a gradient`;
      throw needs("reduction 'none'", wanted);
    }
    const upstream = toTensorOn(device, like, 'upstream');
    if (upstream.dtype !== 'float64' && upstream.dtype !== 'float32') {
      throw new TypeError(
        `Expected dtype float64 or float32 for upstream but received ${upstream.dtype}`,
      );
    }
    checkShape(upstream, shape, 'upstream');
    return upstream;
  }
}

/** What the addon takes for statistics; nothing yet for those of the host in a call on a GPU, see DeviceRunner. */
export function sumsOn(device: Device, statistics: Statistics): Float64Array | undefined {
  const { sums } = statistics;
  if (!(sums instanceof Tensor)) return device.kind === 'cpu' ? sums : undefined;
  if (sums.device === device) return memoryOf(sums) as Float64Array;
  throw new TypeError(
    `Expected statistics on ${device} for statistics but received those on ${sums.device}: read() copies them to the host`,
  );
}

function blankCall(steps: number, device: Device): Prepared {
  return {
    device,
    args: blankArguments(steps),
    upstream: undefined,
    gradScale: 1,
    value: undefined,
    perClass: undefined,
    parts: undefined,
    grad: undefined,
    statistics: undefined,
    made: [],
  };
}
