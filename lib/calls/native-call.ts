// A call for the addon, as a record. Only this file of lib/ knows the order of the addon's arguments.
import type { InOrder, NativeCall, NativeMemory } from '../../binding.js';
import { WarpDiceError } from '../common/errors.js';
import { DTypeCode } from '../native/codes.js';
import type { DeviceStorage } from '../tensors/device-storage.js';
import { Tensor } from '../tensors/tensor.js';
import type { TypedArray } from '../tensors/typed-array.js';

/** A call of these steps without inputs and results. */
export function blankCall(steps: number): NativeCall {
  return {
    steps,
    samples: 0,
    classes: 0,
    voxels: 0,
    predictions: undefined,
    predictionsType: 0,
    target: undefined,
    targetType: 0,
    targetIsLabels: false,
    weight: undefined,
    weightType: 0,
    weightOfClasses: false,
    statistics: undefined,
    statisticsSamples: 0,
    sampleOffset: 0,
    upstream: undefined,
    upstreamType: DTypeCode.float64,
    pairs: undefined,
    pairsType: DTypeCode.float64,
    scale: 1,
    scaleBuffer: undefined,
    scaleType: 0,
    value: undefined,
    perClass: undefined,
    parts: undefined,
    grad: undefined,
    gradType: 0,
    targetGrad: undefined,
    accumulate: false,
    stream: undefined,
    channels: 0,
    headWeight: undefined,
    headBias: undefined,
    headType: 0,
    headWeightGrad: undefined,
    headBiasGrad: undefined,
    headGradType: 0,
    accumulateWeight: false,
    accumulateBias: false,
    sizes: undefined,
    spacing: undefined,
  };
}

/** Calls a method of the addon's losses: `callLoss(loss, 'run', call)`. Unlike a spread array, this allocates nothing. */
export function callLoss<
  Method extends string,
  Loss extends { [name in Method]: (...values: InOrder<NativeCall>) => unknown },
>(loss: Loss, method: Method, call: NativeCall): ReturnType<Loss[Method]> {
  return loss[method](
    call.steps,
    call.samples,
    call.classes,
    call.voxels,
    call.predictions,
    call.predictionsType,
    call.target,
    call.targetType,
    call.targetIsLabels,
    call.weight,
    call.weightType,
    call.weightOfClasses,
    call.statistics,
    call.statisticsSamples,
    call.sampleOffset,
    call.upstream,
    call.upstreamType,
    call.pairs,
    call.pairsType,
    call.scale,
    call.scaleBuffer,
    call.scaleType,
    call.value,
    call.perClass,
    call.parts,
    call.grad,
    call.gradType,
    call.targetGrad,
    call.accumulate,
    call.stream,
    call.channels,
    call.headWeight,
    call.headBias,
    call.headType,
    call.headWeightGrad,
    call.headBiasGrad,
    call.headGradType,
    call.accumulateWeight,
    call.accumulateBias,
    call.sizes,
    call.spacing,
  ) as ReturnType<Loss[Method]>;
}

/** A copy of the call, with `change` applied to every input. */
export function withInputs(
  call: NativeCall,
  change: (input: NativeMemory) => NativeMemory,
): NativeCall {
  const changed = (input: NativeMemory | undefined) => input && change(input);
  return {
    ...call,
    predictions: changed(call.predictions),
    target: changed(call.target),
    weight: changed(call.weight),
    upstream: changed(call.upstream),
    pairs: changed(call.pairs),
    scaleBuffer: changed(call.scaleBuffer),
    headWeight: changed(call.headWeight),
    headBias: changed(call.headBias),
  };
}

/** The memory of a tensor as the addon takes it. That an array still has its elements is checked before, and by the addon. */
export function memoryOf(tensor: Tensor): NativeMemory {
  const memory = Tensor.memoryOf(tensor);
  if (memory === undefined) {
    throw new WarpDiceError('ERR_DISPOSED', 'Expected a live tensor but received a disposed one');
  }
  return tensor.device.kind === 'cpu' ? (memory as TypedArray) : (memory as DeviceStorage).buffer;
}
