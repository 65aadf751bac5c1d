// Where a tensor's memory is.
import { typeError } from '../common/check.js';
import { Device } from '../devices/device.js';

/** Options of `Tensor.empty`. */
export interface DeviceTensorOptions {
  /** The device that holds the memory. Default: the CPU. */
  device?: Device;
  /** true: `Tensor.ipcHandle` can export the memory to another process. Only on a GPU. Default false. */
  exportable?: boolean;
}

export function checkDevice(device: unknown, name: string): Device {
  if (!(device instanceof Device)) throw typeError('a Device', name, device);
  return device;
}
