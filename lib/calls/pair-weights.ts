// sampleClassWeight, the option of a call: how often each class of each sample counts.
import { cannotCombine, rangeError } from '../common/check.js';
import { LossKind, Step } from '../native/codes.js';
import { makeArray } from '../tensors/allocate.js';
import { checkShape, toTensorOn } from '../tensors/argument.js';
import { codeOf, type DType } from '../tensors/dtype.js';
import type { TensorLike } from '../tensors/tensor.js';
import { memoryOf } from './native-call.js';
import type { PreparedCall } from './prepared-call.js';
import type { ResolvedOptions } from './shapes.js';

const name = 'sampleClassWeight';
const dtypes: readonly DType[] = ['float64', 'float32', 'uint8'];

/** Throws for a call of step 1 alone. */
export function refusePairs(like: TensorLike | undefined): void {
  if (like === undefined) return;
  const advice = 'sums do not hold it; pass it to fromStatistics() and gradient()';
  throw cannotCombine(name, 'statistics()', advice);
}

/** Gives the call its weights, checked. The samples of its statistics, and its classes, are known. */
export function bindPairs(
  call: PreparedCall,
  like: TensorLike | undefined,
  options: ResolvedOptions,
): void {
  if (like === undefined) return;
  const { steps, samples, statisticsSamples, classes } = call.native;
  if (options.pooled && (steps & Step.statistics) === 0) {
    const advice = 'it would change the sums; make them with a weight of the classes, [N, C, ...]';
    throw cannotCombine(name, 'batch: true in a call that takes statistics', advice);
  }
  if (options.kind === LossKind.wasserstein) {
    const advice = 'its classes are no terms of their own; pass a weight per voxel';
    throw cannotCombine(name, 'GeneralizedWassersteinDiceLoss', advice);
  }
  if (options.reproducible && options.pooled) {
    throw cannotCombine(name, 'reproducible: true with batch: true');
  }
  const pairs = toTensorOn(call.device, like, name, dtypes);
  if (!dtypes.includes(pairs.dtype)) {
    throw new TypeError(
      `Expected dtype float64, float32 or uint8 for ${name} but received ${pairs.dtype}`,
    );
  }
  checkShape(pairs, [statisticsSamples || samples, classes], name);
  call.pairs = pairs;
  readPairs(call);
}

/** Copies the current numbers into the call. On a GPU the call gets their memory, which each execution reads. */
export function readPairs({ native, device, pairs }: PreparedCall): void {
  if (pairs === undefined) return;
  if (device.kind === 'cuda') {
    native.pairs = memoryOf(pairs);
    native.pairsType = codeOf(pairs.dtype);
    return;
  }
  const data = pairs.data as ArrayLike<number>;
  for (let i = 0; i < data.length; i++) {
    const weight = data[i] as number;
    if (weight >= 0 && weight < Number.POSITIVE_INFINITY) continue;
    throw rangeError('finite numbers >= 0', name, weight, `it is at index ${i}`);
  }
  if (pairs.dtype === 'float64') {
    native.pairs = memoryOf(pairs);
    return;
  }
  native.pairs ??= makeArray('float64', data.length) as Float64Array;
  (native.pairs as Float64Array).set(data);
}
