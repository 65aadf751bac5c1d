// Finds results that overlap other tensors. The addon checks single calls; this file checks several calls that belong together.
import type { Tensor } from './tensor.js';

/** The bytes of a tensor. */
export interface Place {
  /** The name of the argument, for messages. */
  readonly name: string;
  /** The ArrayBuffer or device that `begin` and `end` refer to. */
  readonly memory: object;
  readonly begin: number;
  readonly end: number;
}

export function placeOf(name: string, tensor: Tensor): Place {
  const { device, byteLength } = tensor;
  const onHost = device.kind === 'cpu' ? tensor.data : undefined;
  const begin = onHost?.byteOffset ?? Number(tensor.devicePointer);
  return { name, memory: onHost?.buffer ?? device, begin, end: begin + byteLength };
}

/** @throws RangeError when `written` and one of the others share bytes */
export function expectApart(written: Place, others: readonly Place[]): void {
  for (const other of others) {
    if (other.memory !== written.memory) continue;
    if (other.begin >= written.end || written.begin >= other.end) continue;
    throw new RangeError(
      `Expected memory of its own for ${written.name} but received an array that overlaps ${other.name}`,
    );
  }
}
