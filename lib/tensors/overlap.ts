// Finds results that overlap other tensors. The addon checks single calls; this file checks several calls that belong together.
import type { Device } from '../devices/device.js';
import { native } from '../native/load.js';
import type { Tensor } from './tensor.js';

/** The bytes of a tensor. */
export interface Place {
  /** The name of the argument, for messages. */
  readonly name: string;
  readonly device: Device;
  /** Addresses, as two buffer objects can be of one shared memory. */
  readonly begin: number;
  readonly end: number;
}

export function placeOf(name: string, tensor: Tensor): Place {
  const { device, byteLength } = tensor;
  const begin =
    device.kind === 'cpu' ? native.addressOf(tensor.data) : Number(tensor.devicePointer);
  return { name, device, begin, end: begin + byteLength };
}

/** @throws RangeError when `written` and one of the others share bytes */
export function expectApart(written: Place, others: readonly Place[]): void {
  for (const other of others) {
    if (other.device !== written.device) continue;
    if (other.begin >= written.end || written.begin >= other.end) continue;
    throw new RangeError(
      `Expected memory of its own for ${written.name} but received an array that overlaps ${other.name}`,
    );
  }
}
