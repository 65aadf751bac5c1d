// Calls on a GPU: enqueued at once, their faults found when a result is read.
import type {
  DeviceRunArguments,
  NativeDeviceLoss,
  NativeLossOptions,
  NativePlan,
} from '../binding.js';
import { memoryOf, type Prepared } from './call.js';
import { cuda } from './cuda.js';
import { codeOf } from './dtype.js';
import { callNative } from './native-call.js';
import type { PlanRunner } from './plan.js';
import { Tensor } from './tensor.js';

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
    const words = (error: unknown) => this.#words(error, call);
    const sums = uploadedSums(call);
    try {
      callNative(() => this.#native.run(...argumentsOf(call, sums)), words);
    } finally {
      sums?.dispose(); // what is enqueued still finds them
    }
    for (const result of resultsOf(call)) result.storage.words = words;
  }

  /** Resolves when the work is done; rejects when the labels were wrong. */
  async settled(call: Prepared): Promise<void> {
    await resultsOf(call)[0]?.storage.settled();
  }

  plan(call: Prepared): PlanRunner {
    const words = (error: unknown) => this.#words(error, call);
    const native = callNative(() => this.#native.plan(...argumentsOf(call)), words);
    for (const result of resultsOf(call)) result.storage.words = words;
    return new DevicePlanRunner(native, this.#words);
  }
}

/** Statistics of the host, where the call reads such, on its GPU: to be disposed when it is enqueued. */
function uploadedSums({ statistics, device }: Prepared): Tensor | undefined {
  if (statistics === undefined || statistics.sums instanceof Tensor) return undefined;
  return Tensor.from(statistics.sums, statistics.shape).to(device);
}

function argumentsOf({ args, device, gradScale }: Prepared, sums?: Tensor): DeviceRunArguments {
  const { native } = device.stream;
  const all: DeviceRunArguments =
    typeof gradScale === 'number'
      ? [...args, native, undefined, 0]
      : [...args, native, gradScale.storage.buffer, codeOf(gradScale.dtype)];
  if (sums !== undefined) all[11] = memoryOf(sums) as Float64Array;
  return all;
}

function resultsOf({ value, perClass, parts, grad, statistics }: Prepared): Tensor[] {
  const sums = statistics?.sums instanceof Tensor ? statistics.sums : undefined;
  return [value, perClass, parts, grad, sums].filter((result) => result !== undefined);
}
