// What linear logits predict, computed a few voxels at a time.
import type { InOrder, NativeMemory, NativePrediction } from '../../binding.js';
import {
  cannotCombine,
  checkInteger,
  checkKeys,
  checkList,
  checkOneOf,
  none,
  rangeError,
} from '../common/check.js';
import { checkLayout } from '../common/shared-options.js';
import { Device } from '../devices/device.js';
import { Activation, DTypeCode } from '../native/codes.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';
import { checkShape, toTensor } from '../tensors/argument.js';
import { codeOf, type DType } from '../tensors/dtype.js';
import { Tensor, type TensorLike } from '../tensors/tensor.js';

/** The options of {@link LinearLogits.argmax}. */
export interface ArgmaxOptions {
  /** Where the features' channels are. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
  /** Your buffer for the result: uint8 or uint16, [N, ...spatial]. Default: a new tensor. */
  out?: TensorLike;
}

/** The options of {@link LinearLogits.probabilities}. */
export interface ProbabilitiesOptions {
  /** Default `'softmax'`. */
  activation?: 'softmax' | 'sigmoid';
  /** Where the features' channels are, and the classes of the result. Default `'channels-first'`. */
  layout?: 'channels-first' | 'channels-last';
  /** Your buffer for the result. Default: a new tensor. */
  out?: TensorLike;
}

interface Logits {
  readonly features: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly classes: number;
  readonly channels: number;
  expectLive(name: string): void;
  shaped(channelsLast: boolean, name: string): { readonly shape: readonly number[] };
}

/** Classes whose probabilities are asked for; one may come several times. */
const maxChosen = 65_536;

const layoutKeys = ['layout', 'out'] as const;

/** See {@link LinearLogits.argmax}. */
export function argmax(logits: Logits, options: ArgmaxOptions = none): Tensor {
  expectOnCpu(logits, 'argmax()');
  checkKeys(options, 'options', layoutKeys);
  const channelsLast = checkLayout(options.layout) === 'channels-last';
  const { shape } = logits.shaped(channelsLast, 'linearLogits');
  const wanted = shape.filter((_, axis) => axis !== (channelsLast ? shape.length - 1 : 1));
  const dtypes: DType[] = logits.classes > 256 ? ['uint16'] : ['uint8', 'uint16'];
  const out = buffer(options.out, wanted, dtypes);
  predict(logits, channelsLast, Activation.none, undefined, out);
  return out;
}

/** See {@link LinearLogits.probabilities}. */
export function probabilities(
  logits: Logits,
  classes: readonly number[],
  options: ProbabilitiesOptions = none,
): Tensor {
  expectOnCpu(logits, 'probabilities()');
  checkKeys(options, 'options', ['activation', ...layoutKeys]);
  const list = checkList(classes, 'classes', 'an array of classes', maxChosen);
  if (list.length === 0) throw rangeError('one or more classes', 'classes', classes);
  const chosen = Int32Array.from(list, (c, i) =>
    checkInteger(c, `classes[${i}]`, 0, logits.classes - 1),
  );
  const activation = checkOneOf(
    options.activation,
    'activation',
    ['softmax', 'sigmoid'] as const,
    'softmax',
  );
  const channelsLast = checkLayout(options.layout) === 'channels-last';
  const { shape } = logits.shaped(channelsLast, 'linearLogits');
  const axis = channelsLast ? shape.length - 1 : 1;
  const wanted = shape.map((size, i) => (i === axis ? chosen.length : size));
  const dtype = logits.features.dtype === 'float64' ? 'float64' : 'float32';
  const out = buffer(options.out, wanted, [dtype]);
  predict(logits, channelsLast, Activation[activation], chosen, out);
  return out;
}

function expectOnCpu({ features: { device } }: Logits, method: string): void {
  if (device.kind === 'cpu') return;
  throw cannotCombine(
    `features on ${device}`,
    method,
    'it computes on the CPU only; copy features, weight and bias by to(Device.cpu)',
  );
}

function buffer(
  out: TensorLike | undefined,
  shape: readonly number[],
  dtypes: readonly DType[],
): Tensor {
  if (out === undefined) return Tensor.forResult(shape, dtypes[0] as DType, Device.cpu);
  const tensor = toTensor(out, 'out', dtypes);
  if (!dtypes.includes(tensor.dtype)) {
    throw new TypeError(
      `Expected dtype ${dtypes.join(' or ')} for out but received ${tensor.dtype}`,
    );
  }
  checkShape(tensor, shape, 'out');
  return tensor;
}

function predict(
  logits: Logits,
  channelsLast: boolean,
  activation: number,
  chosen: Int32Array | undefined,
  out: Tensor,
): void {
  logits.expectLive('linearLogits');
  const { features, weight, bias, classes, channels } = logits;
  const samples = features.shape[0] as number;
  callNative(() =>
    callPredict(native, {
      samples,
      classes,
      voxels: features.size / samples / channels,
      channels,
      channelsLast,
      features: features.data as NativeMemory,
      featuresType: codeOf(features.dtype),
      headWeight: weight.data,
      headBias: bias?.data,
      headType: codeOf(weight.dtype),
      activation,
      chosen,
      out: out.data,
      outType: chosen === undefined ? codeOf(out.dtype) : DTypeCode.uint8,
    }),
  );
}

/** Calls the addon: the one place of lib/ that knows the order of a prediction's values. */
export const callPredict = (
  addon: { predictLinear(...values: InOrder<NativePrediction>): void },
  of: NativePrediction,
): void =>
  addon.predictLinear(
    of.samples,
    of.classes,
    of.voxels,
    of.channels,
    of.channelsLast,
    of.features,
    of.featuresType,
    of.headWeight,
    of.headBias,
    of.headType,
    of.activation,
    of.chosen,
    of.out,
    of.outType,
  );
