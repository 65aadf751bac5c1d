// Calls on a GPU: enqueued at once, their faults found when a result is read.
import type {
  DeviceRunArguments,
  NativeDeviceLoss,
  NativeLossOptions,
  NativePlan,
  NativeStream,
} from '../binding.js';
import type { Prepared } from './call.js';
import { cuda } from './cuda.js';
import { codeOf } from './dtype.js';
import { callNative } from './native-call.js';
import type { Tensor } from './tensor.js';

type Words = (error: unknown, call: Prepared) => unknown;

/** A call that is executed many times by one launch each. */
export class DevicePlanRunner {
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
    callNative(() => this.#native.run(...argumentsOf(call)), words);
    for (const result of resultsOf(call)) result.storage.words = words;
  }

  /** Resolves when the work is done; rejects when the labels were wrong. */
  async settled(call: Prepared): Promise<void> {
    await resultsOf(call)[0]?.storage.settled();
  }

  plan(call: Prepared): DevicePlanRunner {
    const words = (error: unknown) => this.#words(error, call);
    const native = callNative(() => this.#native.plan(...argumentsOf(call)), words);
    for (const result of resultsOf(call)) result.storage.words = words;
    return new DevicePlanRunner(native, this.#words);
  }
}

function argumentsOf({ args, device, gradScale }: Prepared): DeviceRunArguments {
  const stream: NativeStream = device.stream.native;
  if (typeof gradScale === 'number') return [...args, stream, undefined, 0];
  return [...args, stream, gradScale.storage.buffer, codeOf(gradScale.dtype)];
}

function resultsOf({ value, perClass, parts, grad, statistics, device }: Prepared): Tensor[] {
  const sums = statistics?.device === device ? (statistics.on(device) as Tensor) : undefined;
  return [value, perClass, parts, grad, sums].filter((result) => result !== undefined);
}
