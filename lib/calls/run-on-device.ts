// Runs calls on a GPU: enqueues them at once; errors in the labels are found when a result is read.
import type {
  NativeBuffer,
  NativeCall,
  NativeDeviceLoss,
  NativeLossOptions,
  NativePlan,
} from '../../binding.js';
import { cuda } from '../devices/cuda.js';
import { callNative } from '../native/translate-error.js';
import { Tensor } from '../tensors/tensor.js';
import { type DeviceAllReduce, statisticsOnly, withoutStatistics } from './all-reduce.js';
import { sumsOn } from './loss-statistics.js';
import { callLoss, memoryOf, withInputs } from './native-call.js';
import type { PlanRunner } from './plan.js';
import { type PreparedCall, release } from './prepared-call.js';
import { signatureOf } from './signature.js';
import type { Statistics } from './statistics.js';

type ToUserError = (error: unknown, call: PreparedCall) => unknown;

/** Executes a plan on a GPU: one graph launch per execution. */
class DevicePlanRunner implements PlanRunner {
  readonly #native: NativePlan;
  readonly #toUserError: ToUserError;

  constructor(native: NativePlan, toUserError: ToUserError) {
    this.#native = native;
    this.#toUserError = toUserError;
  }

  execute(call: PreparedCall): void {
    try {
      this.#native.execute(call.device.stream.native);
    } catch (error) {
      throw this.#toUserError(error, call);
    }
  }

  bind(call: PreparedCall): void {
    callNative(
      () => callLoss(this.#native, 'bind', onCurrentStream(call)),
      (error) => this.#toUserError(error, call),
    );
  }

  dispose(): void {
    this.#native.dispose();
  }
}

/** Enqueues the calls of one loss. */
export class DeviceRunner {
  readonly #native: NativeDeviceLoss;
  readonly #toUserError: ToUserError;

  /** by: adds up the statistics in the stream. */
  constructor(
    options: NativeLossOptions,
    by: DeviceAllReduce | undefined,
    toUserError: ToUserError,
  ) {
    const signature = by && signatureOf(options);
    this.#native = callNative(() => new (cuda().DeviceLoss)(options, by?.communicator, signature));
    this.#toUserError = toUserError;
  }

  run(call: PreparedCall): void {
    this.#begin(call, () => {
      const sums = uploadedSums(call);
      try {
        callLoss(this.#native, 'run', onCurrentStream(call, sums));
      } finally {
        sums?.dispose(); // enqueued work can still use them
      }
    });
  }

  /**
   * Runs a call with the user's hook between its steps. `merge` gets a host copy of the sums of step 1 (`local`, on the GPU),
   * when it has come, and returns the sums that the later steps read. The caller may dispose the inputs meanwhile.
   */
  runMerging(
    call: PreparedCall,
    local: Statistics,
    merge: (own: Promise<Statistics>) => Promise<Statistics>,
  ): Promise<void> {
    // Checks the outputs now, because the second half begins too late to throw.
    this.#begin(call, () => callLoss(this.#native, 'check', onCurrentStream(call)));
    const { device } = call;
    const { stream } = device;
    const first = statisticsOnly(call.native, memoryOf(local.sums as Tensor));
    this.run({ ...call, native: first, statistics: local });
    const inputs = new InputHandles(call.native);
    return merge(local.read())
      .then((merged) => {
        const native = withoutStatistics(inputs.call, sumsOn(device, merged));
        const rest = { ...call, native, statistics: merged };
        stream.run(() => this.run(rest));
        return this.settled(rest);
      })
      .catch((error) => {
        release(call);
        throw error;
      })
      .finally(() => {
        local.dispose();
        inputs.dispose();
      });
  }

  /** Resolves when the work is done; rejects when the labels were wrong. */
  async settled(call: PreparedCall): Promise<void> {
    try {
      await resultsOf(call)[0]?.storage.settled();
    } catch (error) {
      release(call);
      throw error;
    }
  }

  plan(call: PreparedCall): PlanRunner {
    const native = this.#begin(call, () => callLoss(this.#native, 'plan', onCurrentStream(call)));
    return new DevicePlanRunner(native, this.#toUserError);
  }

  /** Begins a call. Gives its results the function that words errors found later; disposes them when `begin` throws. */
  #begin<Result>(call: PreparedCall, begin: () => Result): Result {
    const toError = (error: unknown) => this.#toUserError(error, call);
    try {
      const begun = callNative(begin, toError);
      for (const result of resultsOf(call)) result.storage.toUserError = toError;
      return begun;
    } catch (error) {
      release(call);
      throw error;
    }
  }
}

/** Own handles on a call's inputs, so that the caller may dispose theirs while the call waits. */
class InputHandles {
  readonly call: NativeCall;
  readonly #handles: NativeBuffer[] = [];

  constructor(call: NativeCall) {
    this.call = withInputs(call, (input) => {
      const buffer = input as NativeBuffer;
      const handle = buffer.view(0, buffer.sizeBytes);
      this.#handles.push(handle);
      return handle;
    });
  }

  dispose(): void {
    for (const handle of this.#handles) handle.dispose();
  }
}

/** Uploads the host statistics that a call reads, if any. Dispose the tensor after the call is enqueued. */
function uploadedSums({ statistics, device }: PreparedCall): Tensor | undefined {
  if (statistics === undefined || statistics.sums instanceof Tensor) return undefined;
  return Tensor.from(statistics.sums, statistics.shape).to(device);
}

/** The call on the device's current stream. sums: uploaded statistics, which replace those on the host. */
function onCurrentStream({ native, device }: PreparedCall, sums?: Tensor): NativeCall {
  const statistics = sums === undefined ? native.statistics : memoryOf(sums);
  return { ...native, statistics, stream: device.stream.native };
}

function resultsOf(call: PreparedCall): Tensor[] {
  const { value, perClass, parts, grad, linearGrad, statistics } = call;
  const sums = statistics?.sums instanceof Tensor ? statistics.sums : undefined;
  const ofWeights = [linearGrad?.weight, linearGrad?.bias];
  return [value, perClass, parts, grad, ...ofWeights, sums].filter((result) => result != null);
}
