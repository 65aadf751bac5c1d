// A count as the addon takes it: the one place of lib/ that knows the order of its values.
import type { InOrder, NativeCount } from '../../binding.js';

/** Calls `count` or `countAsync` of the addon, or of its CUDA part. */
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
    count.counts,
    count.stream,
  ) as ReturnType<Addon[Method]>;
}
