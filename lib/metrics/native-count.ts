// Passes a count to the addon. Only this file of lib/ knows the order of its arguments.
import type { InOrder, NativeCount } from '../../binding.js';

/** Calls `count` or `countAsync` of the addon's Counts, or `count` of its CUDA part. */
export function callCount<
  Method extends string,
  Addon extends { [name in Method]: (...values: InOrder<NativeCount>) => unknown },
>(addon: Addon, method: Method, count: NativeCount): ReturnType<Addon[Method]> {
  return addon[method](
    count.decision,
    count.threshold,
    count.samples,
    count.classes,
    count.voxels,
    count.channelsLast,
    count.predictions,
    count.predictionsType,
    count.target,
    count.targetType,
    count.targetIsLabels,
    count.ignoreIndex,
    count.weight,
    count.weightType,
    count.weightOfClasses,
    count.mayBeOneHot,
    count.bySample,
    count.counts,
    count.stream,
    count.channels,
    count.headWeight,
    count.headBias,
    count.headType,
    count.names,
  ) as ReturnType<Addon[Method]>;
}
