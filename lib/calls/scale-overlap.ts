// Finds results of one scale that overlap what other scales read or write. The addon checks each scale alone.
import { expectApart, type Place, placeOf } from '../tensors/overlap.js';
import type { Tensor } from '../tensors/tensor.js';
import type { PreparedCall } from './prepared-call.js';

/**
 * Each result must have memory that no other scale reads or writes. A gradient may replace its own predictions.
 * value: the sum of the scales. shared: the other inputs, by name.
 *
 * @throws RangeError when memory overlaps otherwise
 */
export function expectOwnMemory(
  calls: readonly PreparedCall[],
  value: Tensor,
  shared: Readonly<Record<string, Tensor | undefined>>,
): void {
  const read = calls.map(({ names, predictions }) =>
    placeOf(names.predictions, predictions as Tensor),
  );
  for (const { names, linear } of calls) {
    if (linear === undefined) continue;
    read.push(placeOf(`${names.predictions}.weight`, linear.weight));
    if (linear.bias !== undefined) read.push(placeOf(`${names.predictions}.bias`, linear.bias));
  }
  for (const [name, tensor] of Object.entries(shared)) {
    if (tensor !== undefined) read.push(placeOf(name, tensor));
  }
  const written: Place[] = [placeOf('out.value', value)];
  expectApart(written[0] as Place, read);
  calls.forEach((call, scale) => {
    for (const name of ['value', 'perClass', 'parts', 'grad'] as const) {
      const result = call[name];
      if (result === undefined) continue;
      const place = placeOf(call.names.out[name], result);
      const own = read[scale] as Place;
      const replaces =
        name === 'grad' &&
        place.begin === own.begin &&
        result.dtype === call.predictions?.dtype &&
        !call.native.accumulate;
      expectApart(place, replaces ? read.filter((other) => other !== own) : read);
      expectApart(place, written);
      written.push(place);
    }
    for (const part of ['weight', 'bias'] as const) {
      const result = call.linearGrad?.[part];
      if (result == null) continue;
      const place = placeOf(`${call.names.out.grad}.${part}`, result);
      expectApart(place, read);
      expectApart(place, written);
      written.push(place);
    }
  });
}
