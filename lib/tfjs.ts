// warpdice/tfjs: makes a TensorFlow.js loss of a loss of this package. It does not import TensorFlow.js: the caller passes
// the package that it uses (tfjs, tfjs-node or tfjs-core), so a program never loads a second copy.
import { type Names, outNames } from './calls/argument-names.js';
import './common/disposable.js';
import { cut, rangeError, sameShape, show, showShape, typeError } from './common/check.js';
import { WarpDiceError } from './common/errors.js';
import { linearLogits } from './head/linear-logits.js';
import { adviceWithoutSums, Loss } from './losses/loss.js';
import type { LossOptions } from './losses/options.js';
import { makeArray } from './tensors/allocate.js';
import { kindFor, type TypedArray } from './tensors/dtype.js';
import type { Tensor, TensorLike } from './tensors/tensor.js';
import { kindOf } from './tensors/typed-array.js';

/** The part of a TensorFlow.js tensor that {@link tfLoss} uses. */
export interface TfTensor {
  readonly shape: number[];
  readonly dtype: string;
  readonly isDisposed: boolean;
  /** The values, in row-major order. */
  dataSync(): Float32Array | Int32Array | Uint8Array;
}

/** The part of TensorFlow.js that {@link tfLoss} uses. T is its `Tensor`, S its `Scalar`. */
export interface TensorFlow<T extends TfTensor, S extends T> {
  /** `tf.customGrad`. */
  customGrad(f: () => { value: T; gradFunc: (dy: T) => T[] }): (...inputs: T[]) => T;
  /** `tf.tensor`. */
  tensor(values: Float32Array, shape: number[], dtype: 'float32'): T;
  /** `tf.scalar`; only its type S is used. */
  scalar(value: number): S;
  /** `tf.zeros`. */
  zeros(shape: number[]): T;
}

/** A class that extends `Loss`, such as `DiceLoss`; `LovaszLoss` and others that extend `DirectLoss` do not. O is the type of its options, which may be left out where O has `undefined`. */
export type LossClass<O extends LossOptions | undefined> = new (options: O) => Loss;

/**
 * Makes a TensorFlow.js loss `(yTrue, yPred) => tensor` of any class of this package that extends `Loss`, with the exact gradient
 * (`tf.customGrad`):
 *
 *     value      L(yPred, yTrue), rounded to float32
 *     gradient   dy * dL/dyPred for yPred, computed in one pass over yPred; zeros for yTrue, which is held constant
 *
 * The layout is channels last by default. yPred is [N, ...spatial, C], float32; rank 1 is one sample of one class. yTrue is
 * one of these:
 * - class indices: [N, ...spatial], int32, or bool for two classes
 * - a dense target: the shape of yPred, float32 or bool, or int32 with 0 and 1 (the result of `tf.oneHot`; it is copied)
 * - with one class, a 0/1 mask of any of these dtypes, with or without the class axis
 *
 * The result is a scalar. With `reduction: 'none'` it is [N, C] or, with `batch`, [C]; compound losses and losses that sum
 * over the classes then give [N] or, with `batch`, a scalar.
 *
 * Use the loss in `tf.grads`, `tf.variableGrads`, `optimizer.minimize`, `model.compile({ loss })` and as a metric. Two
 * things differ in `model.fit`: TensorFlow.js refuses targets without the class axis there, so pass dense targets; and its
 * `classWeight` only scales the finished value, so use the option `classWeights` instead. Only the first derivative is
 * exact: a gradient of the gradient throws or, when yPred also reaches the result another way, is incomplete.
 *
 * The loss reads its inputs with `dataSync()`, because `tf.customGrad` needs the value before the call returns. On a GPU
 * backend `dataSync()` blocks the event loop until the inputs are computed. On the cpu backend it returns the tensor's own
 * memory at once.
 *
 * ```ts
 * const loss = tfLoss(tf, DiceLoss, { activation: 'softmax', background: false });
 * optimizer.minimize(() => loss(labels, model.apply(images))); // labels [N, H, W] int32, logits [N, H, W, C]
 * model.compile({ optimizer, loss }); // then model.fit(images, tf.oneHot(labels, C))
 * ```
 *
 * @param tf The TensorFlow.js of the program: `import * as tf from '@tensorflow/tfjs'` (or tfjs-node, tfjs-core)
 * @param LossClass The class, not an instance, because tfLoss sets the layout
 * @param options The options of the class; `layout` is `'channels-last'` by default
 * @throws TypeError, RangeError for an unknown option or a wrong value. The returned function throws TypeError, RangeError
 *   for inputs that do not fit; WarpDiceError ERR_LABEL_RANGE, ERR_DISPOSED
 *
 * @example
 * const loss = tfLoss(tf, DiceLoss);
 * const yTrue = tf.tensor1d([1, 1, 0, 1, 0]);
 * const yPred = tf.tensor1d([0.9, 0.8, 0.2, 0.7, 0.1]);
 * loss(yTrue, yPred).dataSync()[0]; // 1 - 2*2.4 / (1.99 + 3 + 1e-7) = 0.0380761...
 * // dL/dp = 2(Np - tD)/D^2 with N = 4.8, D = 4.99, at p = .9, t = 1:
 * tf.grad((p) => loss(yTrue, p))(yPred).dataSync()[0]; // 2*(4.8*0.9 - 4.99) / 4.99**2 = -0.0538...
 */
export function tfLoss<T extends TfTensor, S extends T, O extends LossOptions | undefined>(
  tf: TensorFlow<T, S>,
  LossClass: LossClass<O>,
  options: NoInfer<O> & { reduction: 'none' },
): (yTrue: T, yPred: T) => T;
export function tfLoss<T extends TfTensor, S extends T, O extends LossOptions | undefined>(
  tf: TensorFlow<T, S>,
  LossClass: LossClass<O>,
  options?: NoInfer<O>,
): (yTrue: T, yPred: T) => S;
export function tfLoss<T extends TfTensor, S extends T, O extends LossOptions | undefined>(
  tf: TensorFlow<T, S>,
  LossClass: LossClass<O>,
  options?: O,
): (yTrue: T, yPred: T) => T {
  checkTensorFlow(tf);
  checkLossClass(LossClass);
  const all = withLayout(options);
  const loss = new LossClass(all as O);
  loss.useNames(names);
  const unreduced = all.reduction === 'none';

  const tfjsLoss = (yTrue: T, yPred: T): T => {
    checkTensor(yTrue, 'yTrue', Object.keys(arrays));
    checkTensor(yPred, 'yPred', ['float32']);

    const differentiable = tf.customGrad(() => {
      // The gradient below reuses both arrays, so a GPU backend downloads them only once.
      const predictions: TensorLike = { data: read(yPred), shape: yPred.shape };
      const target: TensorLike = { data: targetData(yTrue, yPred, all.layout), shape: yTrue.shape };
      const statistics = loss.mergedSync(loss.statistics(predictions, target));
      const { value } = loss.fromStatistics(statistics);

      const gradFunc = (dy: T): T[] => {
        const data = read(dy);
        const scaled = unreduced
          ? { upstream: { data, shape: dy.shape } }
          : { gradScale: { data, shape: [] } };
        // A new array for each gradient: on the cpu backend tf.tensor keeps the array as its memory.
        const grad = loss.gradient(predictions, target, statistics, scaled);
        return [
          tf.zeros(yTrue.shape),
          tf.tensor(grad.data as Float32Array, yPred.shape, 'float32'),
        ];
      };
      const values = Float32Array.from(value.data as Float64Array);
      return { value: tf.tensor(values, [...value.shape], 'float32'), gradFunc };
    });

    return differentiable(yTrue, yPred);
  };
  // As a metric, model.fit reports it by this name: 'diceLoss'.
  const name = LossClass.name.charAt(0).toLowerCase() + LossClass.name.slice(1);
  return Object.defineProperty(tfjsLoss, 'name', { value: name });
}

/**
 * Makes a TensorFlow.js loss of the last layer's input and weights, a 1x1 convolution whose logits are never in memory: see
 * {@link linearLogits}. With many classes they and their gradient would be the largest tensors of a training step.
 *
 *     logits     features * kernel + bias
 *     value      L(logits, yTrue), rounded to float32
 *     gradient   dy * dL/d of features, kernel and bias; zeros for yTrue, which is held constant
 *
 * features [N, ...spatial, K] is the output of the layer before the last. kernel is [..., K, C], with axes of one element before
 * these, as conv2d and conv3d layers have it, or [K, C]; bias is [C] or left out. All float32. yTrue is that of {@link tfLoss}.
 * Arguments, result and errors are those of {@link tfLoss}, but the loss needs an activation.
 *
 * ```ts
 * const last = model.layers.at(-1); // conv2d({ filters: C, kernelSize: 1 }), without an activation
 * const backbone = tf.model({ inputs: model.inputs, outputs: last.input });
 * const [kernel, bias] = last.trainableWeights.map((weight) => weight.val);
 * const loss = headLoss(tf, DiceLoss, { activation: 'softmax' });
 * optimizer.minimize(() => loss(labels, backbone.apply(images), kernel, bias));
 * ```
 *
 * @example
 * const loss = headLoss(tf, DiceLoss, { activation: 'softmax', denominator: 'linear', smoothDenominator: 0 });
 * const labels = tf.tensor2d([0, 1], [1, 2], 'int32');
 * const features = tf.tensor3d([1, 0, 0, 1], [1, 2, 2]); // (1, 0) and (0, 1)
 * const kernel = tf.tensor2d([Math.log(3), 0, 0, 0], [2, 2]); // logits (log 3, 0) and (0, 0)
 * loss(labels, features, kernel).dataSync()[0]; // 1 - (1.5 / (1.25 + 1) + 1 / (0.75 + 1)) / 2 = 0.380952...
 */
export function headLoss<T extends TfTensor, S extends T, O extends LossOptions | undefined>(
  tf: TensorFlow<T, S>,
  LossClass: LossClass<O>,
  options: NoInfer<O> & { reduction: 'none' },
): (yTrue: T, features: T, kernel: T, bias?: T) => T;
export function headLoss<T extends TfTensor, S extends T, O extends LossOptions | undefined>(
  tf: TensorFlow<T, S>,
  LossClass: LossClass<O>,
  options?: NoInfer<O>,
): (yTrue: T, features: T, kernel: T, bias?: T) => S;
export function headLoss<T extends TfTensor, S extends T, O extends LossOptions | undefined>(
  tf: TensorFlow<T, S>,
  LossClass: LossClass<O>,
  options?: O,
): (yTrue: T, features: T, kernel: T, bias?: T) => T {
  checkTensorFlow(tf);
  checkLossClass(LossClass);
  const all = withLayout(options);
  const loss = new LossClass(all as O);
  loss.useNames({ ...names, predictions: 'head' });
  const unreduced = all.reduction === 'none';

  return (yTrue: T, features: T, kernel: T, bias?: T): T => {
    checkTensor(yTrue, 'yTrue', Object.keys(arrays));
    checkTensor(features, 'features', ['float32']);
    checkTensor(kernel, 'kernel', ['float32']);
    if (bias !== undefined) checkTensor(bias, 'bias', ['float32']);
    const [K, C] = checkKernel(kernel);

    const differentiable = tf.customGrad(() => {
      // The gradient below reuses these arrays, so a GPU backend downloads them only once.
      const logits = linearLogits(
        { data: read(features), shape: features.shape },
        { data: transposed(read(kernel), K, C), shape: [C, K] },
        bias && { data: read(bias), shape: bias.shape },
      );
      const { shape } = logits.shaped(all.layout === 'channels-last', 'head');
      const target = { data: targetData(yTrue, { shape }, all.layout), shape: yTrue.shape };
      const statistics = loss.mergedSync(loss.statistics(logits, target));
      const { value } = loss.fromStatistics(statistics);

      const gradFunc = (dy: T): T[] => {
        const data = read(dy);
        const scaled = unreduced
          ? { upstream: { data, shape: dy.shape } }
          : { gradScale: { data, shape: [] } };
        const grad = loss.gradient(logits, target, statistics, scaled);
        const floats = (part: Tensor | null) => part?.data as Float32Array;
        const ofKernel = transposed(floats(grad.weight), C, K);
        const made = [
          tf.zeros(yTrue.shape),
          tf.tensor(floats(grad.features), features.shape, 'float32'),
          tf.tensor(ofKernel, kernel.shape, 'float32'),
        ];
        if (bias !== undefined) made.push(tf.tensor(floats(grad.bias), bias.shape, 'float32'));
        return made;
      };
      const values = Float32Array.from(value.data as Float64Array);
      return { value: tf.tensor(values, [...value.shape], 'float32'), gradFunc };
    });

    const inputs = [yTrue, features, kernel];
    return differentiable(...(bias === undefined ? inputs : [...inputs, bias]));
  };
}

/** K and C of a kernel [..., K, C]. */
function checkKernel({ shape }: TfTensor): [number, number] {
  if (shape.length >= 2 && shape.slice(0, -2).every((size) => size === 1)) {
    return shape.slice(-2) as [number, number];
  }
  throw rangeError('[K, C], or [1, 1, K, C] of a 1x1 convolution,', 'the shape of kernel', shape);
}

/** [rows, columns] to [columns, rows] */
function transposed(from: Read, rows: number, columns: number): Float32Array {
  const to = makeArray('float32', rows * columns) as Float32Array;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c] as number;
  }
  return to;
}

// --- checks, with messages in TensorFlow.js' terms --------------------------------------------------------

/** Names and advice for the loss's messages, in TensorFlow.js' terms. */
const names: Names = {
  predictions: 'yPred',
  target: 'yTrue',
  out: outNames('out'),
  dropAxis: (axis) => `use yTrue.squeeze([${axis}])`,
  toIntegers: 'use yTrue.round().toInt()',
  toDense: 'use yTrue.toFloat()',
  labels: 'int32 or bool',
};

function checkTensorFlow(tf: unknown): void {
  const has = (name: string) =>
    typeof (tf as Record<string, unknown> | null)?.[name] === 'function';
  if (!['customGrad', 'tensor', 'zeros'].every(has)) {
    throw typeError("TensorFlow.js (import * as tf from '@tensorflow/tfjs')", 'tf', tf);
  }
}

function checkLossClass(LossClass: unknown): void {
  const known = typeof LossClass === 'function' && LossClass.prototype instanceof Loss;
  if (!known) {
    const advice =
      LossClass instanceof Loss
        ? 'pass the class, and its options as the third argument'
        : adviceWithoutSums((LossClass as { prototype?: unknown } | null | undefined)?.prototype);
    throw typeError('a class of losses, such as DiceLoss,', 'LossClass', LossClass, advice);
  }
}

/** The options, with channels last as the default layout. */
function withLayout(options: LossOptions | undefined) {
  const known = options === undefined || (typeof options === 'object' && options !== null);
  if (!known || Array.isArray(options)) throw typeError('an object', 'options', options);
  const layout = options?.layout === undefined ? 'channels-last' : options.layout;
  return { ...options, layout };
}

function checkTensor(tensor: TfTensor, name: string, dtypes: readonly string[]): void {
  const known = typeof tensor?.dataSync === 'function' && Array.isArray(tensor.shape);
  if (!known) throw typeError('a tensor of TensorFlow.js', name, tensor);
  if (tensor.isDisposed) {
    throw new WarpDiceError(
      'ERR_DISPOSED',
      `Expected a live tensor for ${name} but received a disposed one`,
    );
  }
  if (dtypes.includes(tensor.dtype)) return;
  throw new TypeError(
    `Expected dtype ${dtypes.join(' or ')} for ${name} but received ${cut(String(tensor.dtype))}`,
  );
}

/**
 * The values in an array that fits the tensor's dtype. TensorFlow.js' own array may not fit: on the cpu backend a cast to a
 * wider dtype keeps the old array, so `tf.oneHot(labels, C).toFloat().dataSync()` is an Int32Array.
 */
function read(tensor: TfTensor): Read {
  const data = tensor.dataSync();
  const dtype = arrays[tensor.dtype as keyof typeof arrays];
  if (kindOf(data) === kindFor(dtype)) return data;
  const copy = makeArray(dtype, data.length) as Read;
  copy.set(data);
  return copy;
}

type Read = Float32Array | Int32Array | Uint8Array;

/** The dtypes that TensorFlow.js' have here. */
const arrays = { float32: 'float32', int32: 'int32', bool: 'uint8' } as const;

/** The values of yTrue in a dtype that the loss takes. It does not take a dense int32 target, which becomes uint8. */
function targetData(
  yTrue: TfTensor,
  yPred: { readonly shape: readonly number[] },
  layout: string,
): TypedArray {
  const data = read(yTrue);
  const { shape } = yPred;
  const classes = shape[layout === 'channels-last' ? shape.length - 1 : 1];
  const oneClass = shape.length < 2 || classes === 1;
  const dense = sameShape(yTrue.shape, shape);
  if (!dense || oneClass || yTrue.dtype !== 'int32') return data;

  const bytes = makeArray('uint8', data.length);
  let count = 0;
  let index = -1;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (value === 1) bytes[i] = 1;
    else if (value !== 0 && count++ === 0) index = i;
  }
  if (count === 0) return bytes;
  const value = data[index] as number;
  throw new WarpDiceError(
    'ERR_LABEL_RANGE',
    `Expected 0 or 1 for yTrue, which is dense (shape ${showShape(yTrue.shape)}) and int32, but received ${count} other value${count === 1 ? '' : 's'}, the first ${show(value)} at index ${index}`,
    { count, index, value },
  );
}
