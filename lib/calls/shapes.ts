// Checks that the shapes of a call fit together, and finds N samples, C classes, S voxels.
import type { NativeLossOptions } from '../../binding.js';
import { needs, rangeError, sameShape, sameShapeWithout, showShape } from '../common/check.js';
import type { Shaped } from '../head/linear-logits.js';
import { Activation, LossKind } from '../native/codes.js';
import { isFloat, isInteger } from '../tensors/dtype.js';
import type { Tensor } from '../tensors/tensor.js';
import { defaultNames, type Names } from './argument-names.js';
import { layoutAdvice } from './layout-advice.js';

/** The options of a loss that shapes are checked against. */
type GeometryOptions = Pick<NativeLossOptions, 'channelsLast' | 'ignoreIndex'> &
  Partial<
    Pick<
      NativeLossOptions,
      | 'activation'
      | 'background'
      | 'classWeights'
      | 'entropyWeights'
      | 'positiveWeight'
      | 'focalAlpha'
      | 'distances'
    >
  > & {
    /** Whether predictions may also be masks of integers. */
    masks?: boolean;
    /** See ResolvedOptions. Without it, options of the parts are those of the loss itself. */
    hasParts?: boolean;
  };

/** The options of a loss as calls need them: those for the addon, and whether its results show the parts of the value. */
export interface ResolvedOptions extends NativeLossOptions {
  hasParts: boolean;
}

/** Whether the value has parts beside the overlap. */
export function isCompound(options: NativeLossOptions): boolean {
  const { crossEntropyFactor = 0, focalFactor = 0 } = options;
  return crossEntropyFactor !== 0 || focalFactor !== 0;
}

/** Losses that sum over the classes. */
const groupKinds = new Set<number | undefined>([
  LossKind.generalized,
  LossKind.wasserstein,
  LossKind.microMatthews,
  LossKind.multiclassMatthews,
]);

/** Whether reduction `'none'` gives a number per sample instead of one per sample and class. */
export function isPerGroup(options: NativeLossOptions): boolean {
  return groupKinds.has(options.kind) || isCompound(options);
}

/** Throws when a loss cannot have this number of classes. where: the argument that has them, for messages. */
export function checkClasses(options: GeometryOptions, classes: number, where: () => string): void {
  const { activation, background, distances } = options;
  if (classes === 1 && activation === Activation.softmax) {
    throw new RangeError(
      `Expected 2 or more classes for activation 'softmax' but received 1, in ${where()}: use 'sigmoid'`,
    );
  }
  if (classes === 1 && background === false) {
    throw new RangeError(
      `Expected 2 or more classes for background: false but received 1, in ${where()}`,
    );
  }
  const [entropy, focal] = options.hasParts ? partsOfCompound : partsAlone;
  const { positiveWeight, focalAlpha } = options;
  expectPerClass(options.classWeights, '', 'classWeights', classes, where);
  expectPerClass(options.entropyWeights, entropy, 'classWeights', classes, where);
  if (positiveWeight?.length !== 1) {
    expectPerClass(positiveWeight, entropy, 'positiveWeight', classes, where);
  }
  if (focalAlpha?.length !== 1) expectPerClass(focalAlpha, focal, 'alpha', classes, where);
  if (distances !== undefined && distances.length !== classes ** 2) {
    throw new RangeError(
      `Expected ${classes} rows, one per class, for distances but received ${Math.sqrt(distances.length)}: the classes are counted in ${where()}`,
    );
  }
}

const partsOfCompound = ['crossEntropy.', 'focal.'] as const;
const partsAlone = ['', ''] as const;

/** part: before the option's name in messages. */
function expectPerClass(
  numbers: Float64Array | undefined,
  part: string,
  option: string,
  classes: number,
  where: () => string,
): void {
  if (numbers === undefined || numbers.length === classes) return;
  throw rangeError(
    `${classes} numbers, one per class,`,
    part + option,
    numbers.length > 16 ? numbers : [...numbers],
    `the classes are counted in ${where()}`,
  );
}

/** N, C, S of a call and the kind of its target. A loss has one Geometry, which every call overwrites. */
export class Geometry {
  samples = 0;
  classes = 0;
  voxels = 0;
  labels = false;
  /** Whether the weight, if there is one, is a number per class and voxel. */
  weightOfClasses = false;
  #axis = -1; // of the classes; -1 for rank 1
  #shape: readonly number[] = []; // of the predictions

  #names = defaultNames;
  readonly #options: GeometryOptions;

  constructor(options: GeometryOptions) {
    this.#options = options;
  }

  /** "predictions of shape [8, 1, 64, 64] (channels-first)": a wrong number of classes is often a wrong layout. */
  readonly #where = (): string => {
    const layout = this.#options.channelsLast ? 'channels-last' : 'channels-first';
    return `${this.#names.predictions} of shape ${showShape(this.#shape)} (${layout})`;
  };

  /** Reads N, C, S and the kind of target from the shapes, or throws. names: for the messages. */
  fit(
    predictions: Shaped,
    target: Tensor,
    weight: Tensor | undefined,
    names: Names = defaultNames,
  ): void {
    const { shape } = predictions;
    this.#shape = shape;
    this.#names = names;
    if (!isFloat(predictions.dtype) && !this.#options.masks) {
      throw new TypeError(
        `Expected dtype float32, float64, float16 or bfloat16 for ${names.predictions} but received ${predictions.dtype}`,
      );
    }
    if (shape.length === 0) {
      throw rangeError('rank 1 or more', `the shape of ${names.predictions}`, shape);
    }
    this.#axis = shape.length === 1 ? -1 : this.#options.channelsLast ? shape.length - 1 : 1;
    this.samples = shape.length === 1 ? 1 : (shape[0] as number);
    this.classes = shape.length === 1 ? 1 : (shape[this.#axis] as number);
    this.voxels = predictions.size / this.samples / this.classes;
    checkClasses(this.#options, this.classes, this.#where);
    this.labels = this.#isLabels(predictions, target);
    if (weight !== undefined) this.#checkWeight(predictions, weight);
  }

  #isLabels(predictions: Shaped, target: Tensor): boolean {
    const same = sameShape(target.shape, predictions.shape);
    const without =
      this.#axis >= 0 && sameShapeWithout(target.shape, predictions.shape, this.#axis);
    const names = this.#names;
    if (!same && !without) throw this.#shapeError(predictions, target);
    if (this.classes === 1) return isInteger(target.dtype);
    if (same) {
      if (isInteger(target.dtype) && target.dtype !== 'uint8') {
        throw new TypeError(
          `Expected dtype uint8 or a float dtype for ${names.target}, which is dense (shape ${showShape(target.shape)}), but received ${target.dtype}: ${names.toDense}`,
        );
      }
      if (this.#options.ignoreIndex !== undefined) {
        throw needs(
          'ignoreIndex',
          `class indices as ${names.target}, without the class axis; it is dense, of shape ${showShape(target.shape)}`,
        );
      }
      return false;
    }
    if (!isInteger(target.dtype)) {
      throw new TypeError(
        `Expected dtype ${names.labels} for ${names.target}, which is class indices (shape ${showShape(target.shape)}), but received ${target.dtype}: ${names.toIntegers}`,
      );
    }
    return true;
  }

  #shapeError(predictions: Shaped, target: Tensor): RangeError {
    const { shape } = predictions;
    const labels = shape.filter((_, axis) => axis !== this.#axis);
    const either =
      this.#axis < 0
        ? showShape(shape)
        : `${showShape(shape)} (dense) or ${showShape(labels)} (class indices)`;
    const one = shape.map((size, axis) => (axis === this.#axis ? 1 : size));
    const advice =
      this.#axis >= 0 && sameShape(target.shape, one)
        ? this.#names.dropAxis(this.#axis, labels)
        : layoutAdvice(shape, target.shape, this.#options.channelsLast);
    const name = `${this.#names.target}, with ${this.#names.predictions} of shape ${showShape(shape)},`;
    return rangeError(`shape ${either}`, name, target.shape, advice);
  }

  #checkWeight(predictions: Shaped, weight: Tensor): void {
    checkWeightDType(weight);
    const { shape } = predictions;
    const same = sameShape(weight.shape, shape);
    this.weightOfClasses = same && this.classes > 1;
    if (same || (this.#axis >= 0 && sameShapeWithout(weight.shape, shape, this.#axis))) return;
    const wanted = shape.filter((_, axis) => axis !== this.#axis);
    const either = this.classes > 1 ? ` or ${showShape(shape)}` : '';
    throw new RangeError(
      `Expected shape ${showShape(wanted)}${either} for weight, with ${this.#names.predictions} of shape ${showShape(shape)}, but received ${showShape(weight.shape)}`,
    );
  }
}

export function checkWeightDType({ dtype }: Tensor): void {
  if (isFloat(dtype) || dtype === 'uint8') return;
  throw new TypeError(`Expected dtype uint8 or a float dtype for weight but received ${dtype}`);
}
