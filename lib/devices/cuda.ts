// The CUDA part of the addon, and the reason when there is none.
import type { CudaBinding, CudaDevices } from '../../binding.js';
import { WarpDiceError } from '../common/errors.js';
import { native } from '../native/load.js';
import { callNative } from '../native/translate-error.js';

export function cuda(): CudaBinding {
  if (native.cuda === undefined) throw new WarpDiceError('ERR_NO_DEVICE', whyNoGpu() as string);
  return native.cuda;
}

/** What CUDA says of its devices; undefined for a build without CUDA. */
export const cudaDevices = (): CudaDevices | undefined => callNative(() => native.cuda?.devices());

/** A CUDA version as text: '13.0' for 13000. */
export const version = (code: number): string =>
  `${Math.floor(code / 1000)}.${Math.floor((code % 1000) / 10)}`;

/** The reason why there is no GPU, as text; undefined when there is one. */
export function whyNoGpu(): string | undefined {
  const found = cudaDevices();
  if (found === undefined) {
    return 'this build of warpdice has no CUDA: when it was compiled, there was no NVIDIA GPU or no nvcc, or WARPDICE_CUDA=OFF was set';
  }
  const { devices, error, driverVersion, runtimeVersion } = found;
  if (devices.length > 0) return undefined;
  if (driverVersion === 0) return 'no NVIDIA driver was found';
  return `CUDA says "${error}" (driver for CUDA ${version(driverVersion)}, built with CUDA ${version(runtimeVersion)})`;
}
