// The statistics of one loss: makes new ones for its calls, and checks the caller's.
import type { NativeLossOptions, NativeMemory } from '../../binding.js';
import { showShape } from '../common/check.js';
import type { Device } from '../devices/device.js';
import { makeArray } from '../tensors/allocate.js';
import { Tensor } from '../tensors/tensor.js';
import { memoryOf } from './native-call.js';
import type { PreparedCall } from './prepared-call.js';
import { signatureOf } from './signature.js';
import { checkSignature, Statistics, sumNames } from './statistics.js';

export class LossStatistics {
  readonly pooled: boolean;
  readonly #signature: string;

  constructor(options: NativeLossOptions) {
    this.pooled = options.pooled;
    this.#signature = signatureOf(options);
  }

  /** The number of groups of sums: one per sample, or one in all with `batch`. */
  groups(samples: number): number {
    return this.pooled ? 1 : samples;
  }

  /** New statistics for the predictions of a call. */
  make({ native: { samples, classes }, device, async, made }: PreparedCall): Statistics {
    const groups = this.groups(samples);
    const sums = Tensor.forResult([groups, classes, sumNames.length], 'float64', device, async);
    if (device.kind === 'cuda') made.push(sums);
    const data = device.kind === 'cpu' ? (sums.data as Float64Array) : sums;
    return Statistics.make(data, groups, classes, samples, this.#signature);
  }

  /** Statistics of no voxels. */
  empty(classes: number, samples: number): Statistics {
    const groups = this.groups(samples);
    const data = makeArray('float64', groups * classes * sumNames.length) as Float64Array;
    return Statistics.make(data, groups, classes, this.pooled ? 0 : samples, this.#signature);
  }

  /** Throws for statistics of a loss with other options. */
  checkMeaning(statistics: unknown, name: string): asserts statistics is Statistics {
    checkSignature(statistics, this.#signature, name);
  }

  /** Throws for statistics of a loss with other options, or of another shape. */
  check(
    statistics: unknown,
    samples: number,
    classes: number,
    name: string,
  ): asserts statistics is Statistics {
    checkSignature(statistics, this.#signature, name);
    const { shape } = statistics as Statistics;
    if (shape[0] !== this.groups(samples) || shape[1] !== classes) {
      throw new RangeError(
        `Expected statistics of ${samples} samples and ${classes} classes for ${name} but received shape ${showShape(shape)}`,
      );
    }
  }

  /** The result of an allReduce hook, checked to have the shape and meaning of `local`. */
  checkMerged(merged: unknown, local: Statistics): Statistics {
    this.check(merged, local.samples, local.shape[1], 'the result of allReduce');
    return merged;
  }
}

/** The statistics as the addon takes them; undefined for host statistics in a call on a GPU: DeviceRunner uploads those. */
export function sumsOn(device: Device, statistics: Statistics): NativeMemory | undefined {
  const { sums } = statistics;
  if (!(sums instanceof Tensor)) return device.kind === 'cpu' ? sums : undefined;
  if (sums.device === device) return memoryOf(sums);
  throw new TypeError(
    `Expected statistics on ${device} for statistics but received those on ${sums.device}: read() copies them to the host`,
  );
}
