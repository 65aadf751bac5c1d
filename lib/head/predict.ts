// What linear logits predict, computed a few voxels at a time.
import type { InOrder, NativeMemory, NativePrediction } from '../../binding.js';
import {
  checkInteger,
  checkKeys,
  checkList,
  checkOneOf,
  none,
  rangeError,
} from '../common/check.js';
import { checkLayout } from '../common/shared-options.js';
import { cuda } from '../devices/cuda.js';
import type { Device } from '../devices/device.js';
import { Activation, DTypeCode } from '../native/codes.js';
import { native } from '../native/load.js';
import { callNative, callNativeAsync } from '../native/translate-error.js';
import { checkShape, toTensorOn } from '../tensors/argument.js';
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

/** A prediction whose arguments have been checked. */
interface Prepared {
  readonly device: Device;
  readonly native: NativePrediction;
  readonly out: Tensor;
  /** Whether `out` is a new tensor. */
  readonly made: boolean;
}

/** Classes whose probabilities are asked for; one may come several times. */
const maxChosen = 65_536;

const layoutKeys = ['layout', 'out'] as const;

/** See {@link LinearLogits.argmax}. */
export const argmax = (logits: Logits, options: ArgmaxOptions = none): Tensor =>
  run(prepareArgmax(logits, options, false));

/** See {@link LinearLogits.argmaxAsync}. */
export const argmaxAsync = (logits: Logits, options: ArgmaxOptions = none): Promise<Tensor> =>
  runAsync(prepareArgmax(logits, options, true));

/** See {@link LinearLogits.probabilities}. */
export const probabilities = (
  logits: Logits,
  classes: readonly number[],
  options: ProbabilitiesOptions = none,
): Tensor => run(prepareProbabilities(logits, classes, options, false));

/** See {@link LinearLogits.probabilitiesAsync}. */
export const probabilitiesAsync = (
  logits: Logits,
  classes: readonly number[],
  options: ProbabilitiesOptions = none,
): Promise<Tensor> => runAsync(prepareProbabilities(logits, classes, options, true));

function prepareArgmax(logits: Logits, options: ArgmaxOptions, async: boolean): Prepared {
  checkKeys(options, 'options', layoutKeys);
  const channelsLast = checkLayout(options.layout) === 'channels-last';
  const { shape } = logits.shaped(channelsLast, 'linearLogits');
  const wanted = shape.filter((_, axis) => axis !== (channelsLast ? shape.length - 1 : 1));
  const dtypes: DType[] = logits.classes > 256 ? ['uint16'] : ['uint8', 'uint16'];
  const request = { channelsLast, activation: Activation.none, chosen: undefined };
  return prepare(logits, request, { out: options.out, shape: wanted, dtypes, async });
}

function prepareProbabilities(
  logits: Logits,
  classes: readonly number[],
  options: ProbabilitiesOptions,
  async: boolean,
): Prepared {
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
  const request = { channelsLast, activation: Activation[activation], chosen };
  return prepare(logits, request, { out: options.out, shape: wanted, dtypes: [dtype], async });
}

/** Where the result goes. async: to memory that a thread can write without a copy. */
interface Result {
  readonly out: TensorLike | undefined;
  readonly shape: readonly number[];
  readonly dtypes: readonly DType[];
  readonly async: boolean;
}

function prepare(
  logits: Logits,
  request: Pick<NativePrediction, 'channelsLast' | 'activation' | 'chosen'>,
  result: Result,
): Prepared {
  logits.expectLive('linearLogits');
  const { features, weight, bias, classes, channels } = logits;
  const { device } = features;
  const out = buffer(device, result);
  const samples = features.shape[0] as number;
  const native: NativePrediction = {
    ...request,
    samples,
    classes,
    voxels: features.size / samples / channels,
    channels,
    features: memoryOf(features),
    featuresType: codeOf(features.dtype),
    headWeight: memoryOf(weight),
    headBias: bias && memoryOf(bias),
    headType: codeOf(weight.dtype),
    out: memoryOf(out),
    outType: request.chosen === undefined ? codeOf(out.dtype) : DTypeCode.uint8,
    stream: device.kind === 'cuda' ? device.stream.native : undefined,
  };
  return { device, native, out, made: result.out === undefined };
}

const memoryOf = (tensor: Tensor): NativeMemory =>
  tensor.device.kind === 'cpu' ? tensor.data : tensor.storage.buffer;

function buffer(device: Device, { out, shape, dtypes, async }: Result): Tensor {
  if (out === undefined) return Tensor.forResult(shape, dtypes[0] as DType, device, async);
  const tensor = toTensorOn(device, out, 'out', dtypes);
  if (!dtypes.includes(tensor.dtype)) {
    throw new TypeError(
      `Expected dtype ${dtypes.join(' or ')} for out but received ${tensor.dtype}`,
    );
  }
  checkShape(tensor, shape, 'out');
  return tensor;
}

function run(prepared: Prepared): Tensor {
  const { device, out } = prepared;
  const addon = device.kind === 'cuda' ? cuda() : native;
  try {
    callNative(() => callPredict(addon, 'predictLinear', prepared.native));
  } catch (error) {
    throw failed(prepared, error);
  }
  return out;
}

/** Wrong arguments throw at once; every other error rejects. */
function runAsync(prepared: Prepared): Promise<Tensor> {
  const { device, out } = prepared;
  const start = (): Promise<void> => {
    if (device.kind === 'cpu') return callPredict(native, 'predictLinearAsync', prepared.native);
    callPredict(cuda(), 'predictLinear', prepared.native);
    return out.storage.settled();
  };
  try {
    return callNativeAsync(start).then(
      () => out,
      (error) => {
        throw failed(prepared, error);
      },
    );
  } catch (error) {
    throw failed(prepared, error);
  }
}

/** Frees the memory of a result that nobody gets. */
function failed({ out, made }: Prepared, error: unknown): unknown {
  if (made) out.dispose();
  return error;
}

/** Calls the addon: the one place of lib/ that knows the order of a prediction's values. */
export function callPredict<
  Method extends string,
  Addon extends { [name in Method]: (...values: InOrder<NativePrediction>) => unknown },
>(addon: Addon, method: Method, of: NativePrediction): ReturnType<Addon[Method]> {
  return addon[method](
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
    of.stream,
  ) as ReturnType<Addon[Method]>;
}
