// Results that would lie where something else does. The addon looks at one call; here are several that belong together.
import type { Tensor } from './tensor.js';

/** Where a tensor lies. */
export interface Place {
  /** Of the argument, for messages. */
  readonly name: string;
  /** What addresses are counted in: an ArrayBuffer, or a device. */
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

/** @throws RangeError when `written` and one of the others have bytes in common */
export function expectApart(written: Place, others: readonly Place[]): void {
  for (const other of others) {
    if (other.memory !== written.memory) continue;
    if (other.begin >= written.end || written.begin >= other.end) continue;
    throw new RangeError(
      `Expected memory of its own for ${written.name} but received an array that overlaps ${other.name}`,
    );
  }
}
