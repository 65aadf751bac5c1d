// Turns the caller's arguments into a checked call: shapes, dtypes and statistics fit, and every result has a buffer.
import {
  cannotCombine,
  checkFlag,
  checkInteger,
  checkKeys,
  needs,
  rangeError,
  typeError,
} from '../common/check.js';
import type { LinearGradOut } from '../head/linear-grad.js';
import { LinearLogits, type Predictions } from '../head/linear-logits.js';
import { Activation, Reduction, Step } from '../native/codes.js';
import { toTensor, toTensorOn } from '../tensors/argument.js';
import { codeOf, floats, floatsOrBytes, labelsOrFloats } from '../tensors/dtype.js';
import type { Tensor, TensorLike } from '../tensors/tensor.js';
import type { Names } from './argument-names.js';
import { checkScale, checkUpstream, readFactors, refuseUpstream } from './gradient-factors.js';
import { type LossStatistics, sumsOn } from './loss-statistics.js';
import { memoryOf } from './native-call.js';
import { type AnyOptions, type Operation, valueOutKeys } from './operations.js';
import type {
  FromStatisticsOptions,
  GradientOptions,
  TargetGradientOptions,
  ValueAndGradOptions,
  ValueOptions,
} from './options.js';
import { float64Buffer, gradBuffer, targetGradBuffer } from './outputs.js';
import { bindPairs, refusePairs } from './pair-weights.js';
import { placeLinearGrad } from './place-linear-grad.js';
import { bindInputs, bindLinear, emptyCall, type PreparedCall, release } from './prepared-call.js';
import { refuseReproducible } from './reproducible.js';
import { checkClasses, Geometry, isPerGroup, type ResolvedOptions } from './shapes.js';
import type { Statistics } from './statistics.js';

/** The number of parts of a value: overlap, cross-entropy, focal. */
const PARTS = 3;

/** Prepares the calls of one loss. */
export class Preparer {
  readonly #options: ResolvedOptions;
  readonly #statistics: LossStatistics;
  readonly #names: Names;
  readonly #geometry: Geometry;

  constructor(options: ResolvedOptions, statistics: LossStatistics, names: Names) {
    this.#options = options;
    this.#statistics = statistics;
    this.#names = names;
    this.#geometry = new Geometry(options);
  }

  /**
   * A call that reads predictions and target. statistics: for a call that begins with step 3. async: it will run off the event
   * loop. names: for messages.
   */
  call(
    operation: Pick<Operation<never, unknown>, 'steps' | 'keys' | 'outKeys'>,
    predictionsLike: Predictions,
    targetLike: TensorLike,
    options: AnyOptions,
    statistics?: Statistics,
    async = false,
    names = this.#names,
  ): PreparedCall {
    checkKeys(options, 'options', operation.keys);
    const linear = this.#linearOf(predictionsLike, names.predictions);
    const predictions =
      linear?.features ?? toTensor(predictionsLike as TensorLike, names.predictions, floats);
    const { device } = predictions;
    refuseReproducible(this.#options, device, linear !== undefined);
    const target = toTensorOn(device, targetLike, names.target, labelsOrFloats);
    const weight =
      options.weight === undefined
        ? undefined
        : toTensorOn(device, options.weight, 'weight', floatsOrBytes);
    const geometry = this.#geometry;
    const shaped = linear?.shaped(this.#options.channelsLast, names.predictions) ?? predictions;
    geometry.fit(shaped, target, weight, names);

    const call = emptyCall(operation.steps, device, names, async);
    const { native } = call;
    native.samples = geometry.samples;
    native.classes = geometry.classes;
    native.voxels = geometry.voxels;
    bindInputs(call, predictions, target);
    native.predictionsType = codeOf(predictions.dtype);
    native.targetType = codeOf(target.dtype);
    native.targetIsLabels = geometry.labels;
    if (linear !== undefined) bindLinear(call, linear);
    if (weight !== undefined) {
      call.weight = weight;
      native.weight = memoryOf(weight);
      native.weightType = codeOf(weight.dtype);
      native.weightOfClasses = geometry.weightOfClasses;
    }
    try {
      if (operation.steps === Step.statistics) {
        refusePairs(options.sampleClassWeight);
        this.#placeStatistics(call, options.out);
      } else {
        checkKeys(options.out, names.out.all, operation.outKeys);
        this.#placeResults(call, predictions, target, options, statistics);
      }
    } catch (error) {
      release(call);
      throw error;
    }
    return call;
  }

  /** The predictions, if they are linearLogits. */
  #linearOf(predictions: unknown, name: string): LinearLogits | undefined {
    if (!(predictions instanceof LinearLogits)) return undefined;
    if (!LinearLogits.isWhole(predictions)) {
      throw new TypeError(
        `Expected linearLogits for ${name} but received a Proxy of them: pass the object itself`,
      );
    }
    predictions.expectLive(name);
    if (this.#options.activation === Activation.none) {
      throw cannotCombine('linearLogits', "activation 'none'", "use 'softmax' or 'sigmoid'");
    }
    return predictions;
  }

  /** A call of step 2 alone. */
  fromStatistics(statistics: Statistics, options: FromStatisticsOptions): PreparedCall {
    checkKeys(options, 'options', ['sampleClassWeight', 'out']);
    checkKeys(options.out, 'out', valueOutKeys);
    this.#statistics.checkMeaning(statistics, 'statistics');
    const [groups, classes] = statistics.shape;
    checkClasses(this.#options, classes, () => statistics.toString());
    const { device } = statistics;
    const call = emptyCall(Step.finalize, device, this.#names, false);
    const { native } = call;
    native.samples = groups;
    native.classes = classes;
    native.voxels = 1;
    native.statistics = sumsOn(device, statistics);
    call.statistics = statistics;
    try {
      bindPairs(call, options.sampleClassWeight, this.#options);
      this.#placeValue(call, options.out, groups, classes);
    } catch (error) {
      release(call);
      throw error;
    }
    return call;
  }

  #placeResults(
    call: PreparedCall,
    predictions: Tensor,
    target: Tensor,
    options: AnyOptions,
    statistics: Statistics | undefined,
  ): void {
    const { native, device, names } = call;
    const { steps, samples, classes } = native;
    const groups = this.#statistics.groups(samples);
    const out = options.out as ValueAndGradOptions['out'];
    if (steps & Step.finalize) this.#placeValue(call, out, groups, classes);
    if ((steps & Step.statistics) === 0) {
      this.#takeStatistics(call, statistics, (options as GradientOptions).sampleOffset);
    }
    bindPairs(call, options.sampleClassWeight, this.#options);
    if ((steps & (Step.gradient | Step.targetGradient)) === 0) return;
    const { reduction } = this.#options;
    if (reduction === Reduction.none) {
      const shape = this.#valueShape(call.statistics?.shape[0] ?? groups, classes);
      call.upstream = checkUpstream(options.upstream, shape, device);
    } else {
      refuseUpstream(options.upstream, reduction);
    }
    call.gradScale = checkScale(options.gradScale, device);
    readFactors(call);
    if (call.linear !== undefined && steps !== Step.targetGradient) {
      const { gradDtype, accumulate } = options;
      placeLinearGrad(call, call.linear, out?.grad as LinearGradOut, gradDtype, accumulate);
      return;
    }
    const accumulate = checkFlag(options.accumulate, 'accumulate', false);
    native.accumulate = accumulate;
    if (steps === Step.targetGradient) {
      const { targetGrad } = (options as TargetGradientOptions).out ?? {};
      call.grad = targetGradBuffer(target, names.out.targetGrad, targetGrad, accumulate, call);
      native.targetGrad = memoryOf(call.grad);
    } else {
      const { gradDtype } = options;
      call.grad = gradBuffer(predictions, names.out.grad, out?.grad, gradDtype, accumulate, call);
      native.grad = memoryOf(call.grad);
      native.gradType = codeOf(call.grad.dtype);
    }
  }

  #placeValue(call: PreparedCall, out: ValueOptions['out'], groups: number, classes: number): void {
    const { native, names } = call;
    const valueShape = this.#valueShape(groups, classes);
    const perClassShape = this.#perClassShape(groups, classes);
    call.value = float64Buffer(out?.value, names.out.value, valueShape, call);
    call.perClass = float64Buffer(out?.perClass, names.out.perClass, perClassShape, call);
    native.value = memoryOf(call.value);
    native.perClass = memoryOf(call.perClass);
    if (this.#options.hasParts) {
      const shape = [...call.value.shape, PARTS];
      call.parts = float64Buffer(out?.parts, names.out.parts, shape, call);
      native.parts = memoryOf(call.parts);
    } else if (out?.parts !== undefined) {
      throw needs(names.out.parts, 'a compound loss (crossEntropy or focal)');
    }
  }

  /** For step 1 alone: sets the statistics to write, the caller's or new ones. */
  #placeStatistics(call: PreparedCall, out: unknown): void {
    const { native, device } = call;
    if (out === undefined) {
      call.statistics = this.#statistics.make(call);
    } else {
      const { samples, classes } = native;
      this.#statistics.check(out, samples, classes, 'out');
      if (out.device !== device) throw typeError(`statistics on ${device}`, 'out', out);
      if (out.samples !== samples) {
        throw rangeError(`statistics of ${samples} samples`, 'out', out.samples);
      }
      call.statistics = out;
    }
    native.statistics = sumsOn(device, call.statistics);
  }

  /** For step 3 alone: sets the statistics to read, of exactly these samples or, with an offset, of more samples. */
  #takeStatistics(
    call: PreparedCall,
    statistics: Statistics | undefined,
    sampleOffset: number | undefined,
  ): void {
    const { native } = call;
    const { samples, classes } = native;
    if (sampleOffset === undefined) {
      this.#statistics.check(statistics, samples, classes, 'statistics');
    } else {
      if (this.#statistics.pooled) throw cannotCombine('sampleOffset', 'batch: true');
      this.#statistics.checkMeaning(statistics, 'statistics');
      const all = Math.max(statistics.shape[0], samples);
      this.#statistics.check(statistics, all, classes, 'statistics');
      native.sampleOffset = checkInteger(sampleOffset, 'sampleOffset', 0, all - samples);
      native.statisticsSamples = all;
    }
    call.statistics = statistics;
    native.statistics = sumsOn(call.device, statistics);
  }

  /** [N, C] or, pooled, [C]. */
  #perClassShape(groups: number, classes: number): number[] {
    return this.#statistics.pooled ? [classes] : [groups, classes];
  }

  #valueShape(groups: number, classes: number): number[] {
    if (this.#options.reduction !== Reduction.none) return [];
    if (isPerGroup(this.#options)) return this.#statistics.pooled ? [] : [groups];
    return this.#perClassShape(groups, classes);
  }
}
