// A checked call goes to the addon: at once or off the event loop, with the allReduce hook between its steps.
import type { NativeLoss, NativeLossOptions, RunArguments } from '../../binding.js';
import { inWords } from '../native/label-error.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';
import {
  type AllReduce,
  afterSeam,
  atOnce,
  beforeSeam,
  hasSeam,
  withCopies,
} from './all-reduce.js';
import { LogitsCheck } from './logits-check.js';
import { type Prepared, readUpstream, release, STATISTICS } from './outputs.js';
import type { PlanRunner } from './plan.js';
import type { Preparer } from './prepare.js';
import { DeviceRunner } from './run-on-device.js';
import type { Statistics } from './statistics.js';

/** Runs the calls of one loss. */
export class Runner {
  readonly #options: NativeLossOptions;
  readonly #native: NativeLoss;
  #onDevices: DeviceRunner | undefined;
  readonly #ignoreIndex: number | undefined;
  readonly #preparer: Preparer;
  readonly #allReduce: AllReduce | undefined;
  #logits: LogitsCheck | undefined;

  constructor(
    options: NativeLossOptions,
    preparer: Preparer,
    allReduce: AllReduce | undefined,
    lossName: string,
  ) {
    this.#options = options;
    this.#native = new native.Loss(options);
    this.#ignoreIndex = options.ignoreIndex;
    this.#preparer = preparer;
    this.#allReduce = allReduce;
    this.#logits = LogitsCheck.for(options, lossName);
  }

  run(call: Prepared): void {
    const { args } = call;
    if (call.device.kind === 'cuda') {
      this.#refuseHook(call);
      this.#devices.run(call);
      return;
    }
    if (this.#allReduce === undefined || !hasSeam(args[0])) {
      if (this.#logits === undefined || !(args[0] & STATISTICS)) this.#runNative(args, call);
      else this.#runLookedAt(call, this.#logits);
      return;
    }
    // New ones each time, as the hook may keep them.
    const local = this.#preparer.localStatistics(call);
    this.#runNative(beforeSeam(args, local.data), call);
    this.#lookAt(local.data, args);
    this.#runNative(afterSeam(args, this.merged(local).data), call);
  }

  /** Wrong arguments throw at once, from here too; what the work finds is a rejection. */
  runAsync<Result>(call: Prepared, result: () => Result): Promise<Result> {
    const allReduce = hasSeam(call.args[0]) ? this.#allReduce : undefined;
    if (call.device.kind === 'cuda') return this.#runOnDevice(call, allReduce).then(result);
    if (allReduce === undefined) {
      const args = this.#withSums(call.args);
      return this.#runNativeAsync(args, call).then(() => {
        this.#lookAt(args[11], args);
        return result();
      });
    }
    // The second half begins too late to throw, and must not find its outputs wrong then.
    this.#native.check(...call.args);
    const local = this.#preparer.localStatistics(call);
    const args = withCopies(call.args);
    return this.#runNativeAsync(beforeSeam(args, local.data), call)
      .then(() => {
        this.#lookAt(local.data, args);
        return allReduce(local);
      })
      .then((merged) => {
        const sums = this.#preparer.checkMerged(merged, local).data;
        return this.#runNativeAsync(afterSeam(args, sums), call);
      })
      .then(result);
  }

  /** Executes calls like this first one many times. */
  plan(first: Prepared): PlanRunner {
    if (first.device.kind === 'cuda') {
      this.#refuseHook(first);
      return this.#devices.plan(first);
    }
    const execute = (call: Prepared) => {
      readUpstream(call);
      this.run(call);
    };
    return { execute, bind() {}, dispose() {} };
  }

  #runOnDevice(call: Prepared, allReduce: AllReduce | undefined): Promise<void> {
    const devices = this.#devices;
    if (allReduce === undefined) {
      devices.run(call);
      return devices.settled(call);
    }
    try {
      return devices.runMerging(call, this.#preparer.localStatistics(call), async (own) =>
        this.#preparer.checkMerged(await allReduce(own), own),
      );
    } catch (error) {
      release(call); // the statistics too
      throw error;
    }
  }

  get #devices(): DeviceRunner {
    this.#onDevices ??= new DeviceRunner(this.#options, (error, call) =>
      this.#inWords(error, call),
    );
    return this.#onDevices;
  }

  /** The hook reads sums on the host, for which a call on a GPU does not wait. */
  #refuseHook(call: Prepared): void {
    const { args, device } = call;
    if (this.#allReduce === undefined || !hasSeam(args[0])) return;
    release(call);
    throw new TypeError(
      `allReduce cannot be combined with a synchronous call on ${device}: use valueAsync or valueAndGradAsync`,
    );
  }

  /** What the hook makes of these statistics, or they themselves where there is none. */
  merged(local: Statistics): Statistics {
    if (this.#allReduce === undefined) return local;
    return this.#preparer.checkMerged(atOnce(this.#allReduce(local)), local);
  }

  /** The steps of a call of which the logits check wants the sums. */
  #runLookedAt(call: Prepared, logits: LogitsCheck): void {
    const { args } = call;
    const own = args[11];
    const groups = this.#options.pooled ? 1 : args[1];
    args[11] = own ?? logits.roomFor(groups, args[2]);
    this.#runNative(args, call);
    this.#lookAt(args[11], args);
    args[11] = own;
  }

  /** The same arguments, or a copy with room for the sums where the logits check wants them. */
  #withSums(args: RunArguments): RunArguments {
    if (this.#logits === undefined || !(args[0] & STATISTICS) || args[11] !== undefined)
      return args;
    const sums: RunArguments = [...args];
    const groups = this.#options.pooled ? 1 : args[1];
    sums[11] = this.#logits.roomFor(groups, args[2]).slice(); // calls may overlap
    return sums;
  }

  /** The sums of step 1 of a call. */
  #lookAt(sums: Float64Array | undefined, args: RunArguments): void {
    if (this.#logits === undefined || sums === undefined || !(args[0] & STATISTICS)) return;
    this.#logits.look(sums, args, this.#preparer.names.predictions);
    if (this.#logits.done) this.#logits = undefined;
  }

  #runNative(args: RunArguments, call: Prepared): void {
    try {
      this.#native.run(...args);
    } catch (error) {
      throw this.#inWords(error, call);
    }
  }

  #runNativeAsync(args: RunArguments, call: Prepared): Promise<void> {
    return callNative(
      () => this.#native.runAsync(...args),
      (error) => this.#inWords(error, call),
    );
  }

  #inWords(error: unknown, { args }: Prepared): unknown {
    const ignoreIndex = this.#ignoreIndex;
    const { target: name } = this.#preparer.names;
    return inWords(error, { name, classes: args[2], indices: args[8], ignoreIndex });
  }
}
