// Runs a checked call in the addon: at once or off the event loop, with the allReduce hook between its steps.
import type { NativeCall, NativeLoss, NativeLossOptions } from '../../binding.js';
import { isFloatCode } from '../native/codes.js';
import { argumentOf, toUserError } from '../native/label-error.js';
import { native } from '../native/load.js';
import { callNative, callNativeAsync } from '../native/translate-error.js';
import {
  type AllReduce,
  atOnce,
  type DeviceAllReduce,
  deviceAllReduceOf,
  expectItsDevice,
  inTurn,
  runsHook,
  statisticsOnly,
  withCopies,
  withoutStatistics,
} from './all-reduce.js';
import type { Names } from './argument-names.js';
import { expectFactorsApart, readFactors } from './gradient-factors.js';
import type { LossStatistics } from './loss-statistics.js';
import { callLoss } from './native-call.js';
import { readPairs } from './pair-weights.js';
import type { PlanRunner } from './plan.js';
import { type PreparedCall, release } from './prepared-call.js';
import { DeviceRunner } from './run-on-device.js';
import type { Statistics } from './statistics.js';

/** Runs the calls of one loss. */
export class CallRunner {
  readonly #options: NativeLossOptions;
  readonly #native: NativeLoss;
  #onDevices: DeviceRunner | undefined;
  readonly #statistics: LossStatistics;
  readonly #allReduce: AllReduce | undefined;
  /** What does the hook's work on a GPU; undefined: the hook itself. */
  readonly #byDevice: DeviceAllReduce | undefined;

  constructor(
    options: NativeLossOptions,
    statistics: LossStatistics,
    allReduce: AllReduce | undefined,
  ) {
    this.#options = options;
    this.#native = callNative(() => new native.Loss(options));
    this.#statistics = statistics;
    this.#allReduce = allReduce;
    this.#byDevice = deviceAllReduceOf(allReduce);
  }

  run(call: PreparedCall): void {
    this.#expectItsDevice(call);
    if (call.device.kind === 'cuda') {
      this.#refuseHook(call);
      this.#devices.run(call);
      return;
    }
    if (this.#allReduce === undefined || !runsHook(call.native.steps)) {
      this.#runNative(call.native, call.names);
      return;
    }
    // New statistics for each call, because the hook may keep them.
    const local = this.#statistics.make(call);
    this.#runNative(statisticsOnly(call.native, local.data), call.names);
    this.#runNative(withoutStatistics(call.native, this.merged(local).data), call.names);
  }

  /** Wrong arguments throw at once; errors that the work finds reject the promise. */
  runAsync<Result>(call: PreparedCall, result: () => Result): Promise<Result> {
    this.#expectItsDevice(call);
    const { names } = call;
    const allReduce = runsHook(call.native.steps) ? this.#allReduce : undefined;
    if (call.device.kind === 'cuda') return this.#runOnDevice(call, allReduce).then(result);
    if (allReduce === undefined) return this.#runNativeAsync(call.native, names).then(result);
    this.#check(call); // now, because the second half begins too late to throw
    const local = this.#statistics.make(call);
    const kept = withCopies(call.native);
    const ready = this.#runNativeAsync(statisticsOnly(kept, local.data), names);
    return inTurn(allReduce, ready, () => allReduce(local))
      .then((merged) => {
        const sums = this.#statistics.checkMerged(merged, local).data;
        return this.#runNativeAsync(withoutStatistics(kept, sums), names);
      })
      .then(result);
  }

  /** Executes calls like this first one many times. */
  plan(first: PreparedCall): PlanRunner {
    this.#expectItsDevice(first);
    if (first.device.kind === 'cuda') {
      this.#refuseHook(first);
      return this.#devices.plan(first);
    }
    const execute = (call: PreparedCall) => {
      readFactors(call);
      readPairs(call);
      this.run(call);
    };
    const bind = (call: PreparedCall) => this.#check(call);
    expectFactorsApart(first);
    bind(first);
    return { execute, bind, dispose() {} };
  }

  /** The statistics that the hook returns for `local`; `local` itself without a hook. */
  merged(local: Statistics): Statistics {
    if (this.#allReduce === undefined) return local;
    expectItsDevice(this.#byDevice, local.device);
    return this.#statistics.checkMerged(atOnce(this.#allReduce(local)), local);
  }

  #runOnDevice(call: PreparedCall, allReduce: AllReduce | undefined): Promise<void> {
    const devices = this.#devices;
    if (allReduce === undefined || this.#byDevice !== undefined) {
      devices.run(call);
      return devices.settled(call);
    }
    try {
      return devices.runMerging(call, this.#statistics.make(call), (reading) =>
        inTurn(allReduce, reading, async (own) =>
          this.#statistics.checkMerged(await allReduce(own), own),
        ),
      );
    } catch (error) {
      release(call); // the statistics too
      throw error;
    }
  }

  get #devices(): DeviceRunner {
    this.#onDevices ??= new DeviceRunner(
      this.#options,
      this.#byDevice,
      (error, { native, names }) => this.toUserError(error, native, names),
    );
    return this.#onDevices;
  }

  /** Throws for a hook in a synchronous call on a GPU: the hook needs the sums on the host, and the call would block. */
  #refuseHook(call: PreparedCall): void {
    if (this.#allReduce === undefined || this.#byDevice !== undefined) return;
    if (!runsHook(call.native.steps)) return;
    release(call);
    throw new TypeError(
      `allReduce cannot be combined with a synchronous call on ${call.device}: use valueAsync or valueAndGradAsync, or the allReduce of warpdice/nccl`,
    );
  }

  /** Throws for a call that a hook of warpdice/nccl cannot take part in. */
  #expectItsDevice(call: PreparedCall): void {
    if (this.#byDevice === undefined || !runsHook(call.native.steps)) return;
    try {
      expectItsDevice(this.#byDevice, call.device);
    } catch (error) {
      release(call);
      throw error;
    }
  }

  /** Throws what running the call would before it computes anything. */
  #check({ native, names }: PreparedCall): void {
    this.#runNative(native, names, 'check');
  }

  /** Without {@link callNative}, whose closure a plan would allocate for each call. */
  #runNative(call: NativeCall, names: Names, method: 'run' | 'check' = 'run'): void {
    try {
      callLoss(this.#native, method, call);
    } catch (error) {
      throw this.toUserError(error, call, names);
    }
  }

  #runNativeAsync(call: NativeCall, names: Names): Promise<void> {
    return callNativeAsync(
      () => callLoss(this.#native, 'runAsync', call),
      (error) => this.toUserError(error, call, names),
    );
  }

  /** The user's error for one that the addon has thrown. */
  toUserError(error: unknown, call: NativeCall, { predictions, target }: Names): unknown {
    const { classes, targetIsLabels: indices, targetType } = call;
    const logits = argumentOf(error) === 'predictions';
    return toUserError(error, {
      name: logits ? predictions : target,
      classes,
      indices,
      probabilities: logits || isFloatCode(targetType),
      logits,
      ignoreIndex: this.#options.ignoreIndex,
    });
  }
}
