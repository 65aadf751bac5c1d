// A case on a GPU instead of the CPU, and back on the host.
import { type Device, Tensor } from '../../lib/index.js';
import { type Case, gradOptions } from './cases.js';
import type { Typed } from './tensors.js';

/** A tensor on a device with what `from` holds. */
export const onDevice = (device: Device, from: Typed): Tensor =>
  Tensor.from(from.data, from.shape, { dtype: from.dtype }).to(device);

/** What valueAndGrad gives there. Nothing stays on the device. */
export function solveOnDevice(device: Device, c: Case) {
  const made: Tensor[] = [];
  const there = (from: Typed) => {
    const tensor = onDevice(device, from);
    made.push(tensor);
    return tensor;
  };
  const options = Object.entries(gradOptions(c)).map(([name, value]) => [
    name,
    typeof value === 'object' ? there(value) : value,
  ]);
  const [x, y] = [there(c.predictions), there(c.target)];
  const { value, perClass, grad } = c.loss.valueAndGrad(x, y, Object.fromEntries(options));
  made.push(value, perClass, grad);
  const read = (from: Tensor) => ({ data: from.readSync(), dtype: from.dtype });
  const outcome = { value: read(value), perClass: read(perClass), grad: read(grad) };
  for (const tensor of made) tensor.dispose();
  return outcome;
}
