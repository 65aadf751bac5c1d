// One call of a loss after all checks.
import type { NativeCall } from '../../binding.js';
import type { Device } from '../devices/device.js';
import type { Tensor } from '../tensors/tensor.js';
import { blankCall } from './native-call.js';
import type { Statistics } from './statistics.js';

/** What the addon is told, and the tensors behind it. */
export interface PreparedCall {
  /** Where it runs; all memory of `native` is there. */
  readonly device: Device;
  readonly native: NativeCall;
  /** Read again by every execution of a plan: both may hold other numbers then. */
  upstream: Tensor | undefined;
  gradScale: number | Tensor;
  value: Tensor | undefined;
  perClass: Tensor | undefined;
  parts: Tensor | undefined;
  /** dL/dpredictions or, of step targetGradient, dL/dtarget. */
  grad: Tensor | undefined;
  statistics: Statistics | undefined;
  /** Those of the results that are not the caller's. */
  readonly made: Tensor[];
}

export function emptyCall(steps: number, device: Device): PreparedCall {
  return {
    device,
    native: blankCall(steps),
    upstream: undefined,
    gradScale: 1,
    value: undefined,
    perClass: undefined,
    parts: undefined,
    grad: undefined,
    statistics: undefined,
    made: [],
  };
}

/** Lets go of the results of a call that failed: the garbage collector would do so late, and on a GPU too late. */
export function release({ made }: PreparedCall): void {
  for (const result of made) result.dispose();
}
