// Checks the arguments that say where a tensor's memory is.
import { checkKeys, checkOneOf, sizeOf, typeError } from '../common/check.js';
import { Device } from '../devices/device.js';
import { type DType, dtypes } from './dtype.js';

export function checkDevice(device: unknown, name: string): Device {
  if (!(device instanceof Device)) throw typeError('a Device', name, device);
  return device;
}

/** Checks the shape, dtype and GPU of memory that other code owns. */
export function checkForeign(shape: readonly number[], dtype: DType, options: { device: Device }) {
  const size = sizeOf(shape, 'shape');
  const type = checkOneOf(dtype, 'dtype', dtypes, 'float32');
  checkKeys(options, 'options', ['device']);
  const device = checkDevice(options?.device, 'device');
  if (device.kind !== 'cuda') throw typeError('a GPU', 'device', device);
  return { size, type, device };
}
