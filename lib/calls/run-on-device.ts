// Calls on a GPU: enqueued at once, their faults found when a result is read.
import type {
  DeviceRunArguments,
  NativeBuffer,
  NativeDeviceLoss,
  NativeLossOptions,
  NativePlan,
  RunArguments,
} from '../../binding.js';
import { cuda } from '../devices/cuda.js';
import { callNative } from '../native/translate-error.js';
import { codeOf } from '../tensors/dtype.js';
import { Tensor } from '../tensors/tensor.js';
import { afterSeam, beforeSeam, inputArguments } from './all-reduce.js';
import { memoryOf, type Prepared, release } from './outputs.js';
import type { PlanRunner } from './plan.js';
import { sumsOn } from './prepare.js';
import type { Statistics } from './statistics.js';

type Words = (error: unknown, call: Prepared) => unknown;

/** A call that is executed many times by one launch each. */
class DevicePlanRunner implements PlanRunner {
  readonly #native: NativePlan;
  readonly #words: Words;

  constructor(native: NativePlan, words: Words) {
    this.#native = native;
    this.#words = words;
  }

  execute(call: Prepared): void {
    try {
      this.#native.execute(call.device.stream.native);
    } catch (error) {
      throw this.#words(error, call);
    }
  }

  bind(call: Prepared): void {
    callNative(
      () => this.#native.bind(...argumentsOf(call)),
      (error) => this.#words(error, call),
    );
  }

  dispose(): void {
    this.#native.dispose();
  }
}

/** Enqueues the calls of one loss. */
export class DeviceRunner {
  readonly #native: NativeDeviceLoss;
  readonly #words: Words;

  constructor(options: NativeLossOptions, words: Words) {
    this.#native = new (cuda().DeviceLoss)(options);
    this.#words = words;
  }

  run(call: Prepared): void {
    this.#begin(call, () => {
      const sums = uploadedSums(call);
      try {
        this.#native.run(...argumentsOf(call, sums));
      } finally {
        sums?.dispose(); // what is enqueued still finds them
      }
    });
  }

  /**
   * A call with the user's hook between its steps: `merge` gets the sums of step 1 (`local`, on the GPU) on the host
   * and makes those that the others read. Meanwhile the inputs may be disposed.
   */
  runMerging(
    call: Prepared,
    local: Statistics,
    merge: (own: Statistics) => Promise<Statistics>,
  ): Promise<void> {
    // The second half begins too late to throw, and must not find its outputs wrong then.
    this.#begin(call, () => this.#native.check(...argumentsOf(call)));
    const { device } = call;
    const { stream } = device;
    const args = beforeSeam(call.args, sumsOn(device, local) as Float64Array);
    this.run({ ...call, args, statistics: local });
    const kept = new KeptInputs(call);
    return local
      .read()
      .then(merge)
      .then((merged) => {
        const args = afterSeam(kept.call.args, sumsOn(device, merged));
        const rest = { ...kept.call, args, statistics: merged };
        stream.run(() => this.run(rest));
        return this.settled(rest);
      })
      .catch((error) => {
        release(call);
        throw error;
      })
      .finally(() => {
        local.dispose();
        kept.dispose();
      });
  }

  /** Resolves when the work is done; rejects when the labels were wrong. */
  async settled(call: Prepared): Promise<void> {
    try {
      await resultsOf(call)[0]?.storage.settled();
    } catch (error) {
      release(call);
      throw error;
    }
  }

  plan(call: Prepared): PlanRunner {
    const native = this.#begin(call, () => this.#native.plan(...argumentsOf(call)));
    return new DevicePlanRunner(native, this.#words);
  }

  /** Gives the results words for faults that are found later, or lets them go. */
  #begin<Result>(call: Prepared, begin: () => Result): Result {
    const words = (error: unknown) => this.#words(error, call);
    try {
      const begun = callNative(begin, words);
      for (const result of resultsOf(call)) result.storage.words = words;
      return begun;
    } catch (error) {
      release(call);
      throw error;
    }
  }
}

/** A call whose inputs have handles of their own. */
class KeptInputs {
  readonly call: Prepared;
  readonly #handles: { dispose(): void }[] = [];

  constructor(call: Prepared) {
    const args: RunArguments = [...call.args];
    for (const input of inputArguments) {
      const buffer = args[input] as unknown as NativeBuffer | undefined;
      if (buffer === undefined) continue;
      const handle = buffer.view(0, buffer.sizeBytes);
      this.#handles.push(handle);
      args[input] = handle as unknown as Float64Array;
    }
    let { gradScale } = call;
    if (gradScale instanceof Tensor) {
      gradScale = gradScale.to(gradScale.device);
      this.#handles.push(gradScale);
    }
    this.call = { ...call, args, gradScale };
  }

  dispose(): void {
    for (const handle of this.#handles) handle.dispose();
  }
}

/** Statistics of the host, where the call reads such, on its GPU: to be disposed when it is enqueued. */
function uploadedSums({ statistics, device }: Prepared): Tensor | undefined {
  if (statistics === undefined || statistics.sums instanceof Tensor) return undefined;
  return Tensor.from(statistics.sums, statistics.shape).to(device);
}

function argumentsOf(call: Prepared, sums?: Tensor): DeviceRunArguments {
  const { args, device, gradScale } = call;
  const { native } = device.stream;
  const upstream = codeOf(call.upstream?.dtype ?? 'float64');
  const all: DeviceRunArguments =
    typeof gradScale === 'number'
      ? [...args, native, undefined, 0, upstream]
      : [...args, native, gradScale.storage.buffer, codeOf(gradScale.dtype), upstream];
  if (sums !== undefined) all[11] = memoryOf(sums) as Float64Array;
  return all;
}

function resultsOf({ value, perClass, parts, grad, statistics }: Prepared): Tensor[] {
  const sums = statistics?.sums instanceof Tensor ? statistics.sums : undefined;
  return [value, perClass, parts, grad, sums].filter((result) => result !== undefined);
}
