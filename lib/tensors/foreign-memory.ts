// GPU memory that other code or another process owns: checks the arguments of its tensor and opens it.
import {
  checkInteger,
  checkKeys,
  checkOneOf,
  rangeError,
  sizeOf,
  typeError,
} from '../common/check.js';
import type { Device } from '../devices/device.js';
import { DeviceStorage, type IpcHandle } from './device-storage.js';
import { bytesOf, type DType, dtypes } from './dtype.js';
import { checkDevice } from './placement.js';

interface On {
  device: Device;
}

export function wrapPointer(
  pointer: bigint,
  byteLength: number,
  shape: readonly number[],
  dtype: DType,
  options: On,
) {
  if (typeof pointer !== 'bigint') throw typeError('a bigint', 'pointer', pointer);
  const checked = checkForeign(shape, dtype, options);
  const width = bytesOf(checked.type);
  const bytes = checked.size * width;
  if (!Number.isSafeInteger(byteLength) || byteLength < bytes) {
    throw rangeError(`at least ${bytes} bytes`, 'byteLength', byteLength);
  }
  if (pointer <= 0n || pointer >= 2n ** 64n || pointer % BigInt(width) !== 0n) {
    throw rangeError(`an address that is a multiple of ${width}`, 'pointer', pointer);
  }
  return { ...checked, storage: DeviceStorage.wrap(checked.device, pointer, bytes) };
}

export function openIpcHandle(ipc: IpcHandle, shape: readonly number[], dtype: DType, options: On) {
  checkKeys(ipc, 'ipc', ['handle', 'offsetBytes']);
  if (!(ipc?.handle instanceof Uint8Array) || ipc.handle.length !== 64) {
    throw typeError('64 bytes', 'ipc.handle', ipc?.handle);
  }
  checkInteger(ipc.offsetBytes, 'ipc.offsetBytes', 0, Number.MAX_SAFE_INTEGER);
  const checked = checkForeign(shape, dtype, options);
  const width = bytesOf(checked.type);
  if (ipc.offsetBytes % width !== 0) {
    throw rangeError(`a multiple of ${width}`, 'ipc.offsetBytes', ipc.offsetBytes);
  }
  return { ...checked, storage: DeviceStorage.open(checked.device, ipc, checked.size * width) };
}

function checkForeign(shape: readonly number[], dtype: DType, options: On) {
  const size = sizeOf(shape, 'shape');
  const type = checkOneOf(dtype, 'dtype', dtypes, 'float32');
  checkKeys(options, 'options', ['device']);
  const device = checkDevice(options?.device, 'device');
  if (device.kind !== 'cuda') throw typeError('a GPU', 'device', device);
  return { shape: Object.freeze([...shape]), size, type, device };
}
