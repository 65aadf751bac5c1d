import {
  checkInteger,
  checkKeys,
  checkTimeout,
  none,
  rangeError,
  typeError,
} from '../common/check.js';
import { cuda } from '../devices/cuda.js';
import { Device } from '../devices/device.js';
import { callNative } from '../native/translate-error.js';
import { Communicator, made, until } from './communicator.js';
import { type NcclLibrary, openLibrary } from './find-library.js';
import { type Broadcaster, idBytes, meet } from './meeting.js';

/** Options of {@link connect}: either `world`, or `id`, `rank` and `size`. */
export interface ConnectOptions {
  /** Gives rank and size, and broadcasts the id: a `World` of `warpdice/mpi`. */
  world?: Broadcaster;
  /** The 128 bytes of {@link uniqueId}, which one rank has called, the same on all ranks. */
  id?: Uint8Array;
  /** This rank: from 0 to size - 1. */
  rank?: number;
  /** The number of ranks. */
  size?: number;
  /** The GPU of this rank. One GPU cannot be two ranks. Default `Device.cuda(0)`. */
  device?: Device;
  /**
   * The most milliseconds that the GPU may wait for the other ranks: 1 to 2147483647. Default 60000. Choose more than the longest
   * time that one rank works alone, as when it validates or saves a model.
   */
  timeout?: number;
  /**
   * The file of NCCL, or its name for the system's loader. Default: `libnccl.so.2` in the folders lib and lib64 of `NCCL_HOME`,
   * `NCCL_ROOT`, `CUDA_HOME` and `CUDA_PATH`, in the Python environment of `VIRTUAL_ENV` or `CONDA_PREFIX`, then where the
   * system's loader finds it. A process uses the first one that it has opened.
   */
  library?: string;
}

const keys = ['world', 'id', 'rank', 'size', 'device', 'timeout', 'library'];

/**
 * Makes the id of a new communicator: 128 bytes. One rank calls it and gives the bytes to all others, which is the user's own to do.
 * With a `World` of `warpdice/mpi`, {@link connect} does both. Each communicator needs an id of its own.
 *
 * @throws TypeError; WarpDiceError ERR_NCCL where no NCCL is found, or no network interface; ERR_NO_DEVICE for a build without CUDA
 */
export function uniqueId(options: Pick<ConnectOptions, 'library'> = none): Uint8Array {
  checkKeys(options, 'options', ['library']);
  openLibrary(options.library);
  return callNative(() => cuda().ncclUniqueId());
}

/**
 * Makes a communicator of GPUs, one of each rank. Resolves when all ranks have connected. With `world`, a rank that has no GPU or no
 * NCCL makes it reject on all ranks at once.
 *
 * @throws TypeError, RangeError for wrong options; WarpDiceError as a rejection: ERR_NO_DEVICE without a GPU, ERR_NCCL where no
 *   NCCL is found or it fails, ERR_NCCL_TIMEOUT where other ranks do not connect
 */
export async function connect(options: ConnectOptions): Promise<Communicator> {
  checkKeys(options, 'options', keys);
  const timeout = checkTimeout(options.timeout);
  const given = { ...options };
  const { world } = given;
  if (world !== undefined) checkWorld(given);
  const { id, rank, size, library, device } =
    world === undefined
      ? { ...equipment(given), ...placeOf(given) }
      : await meet(world, () => ({
          ...equipment(given),
          rank: world.rank,
          size: world.size,
          id: world.rank === 0 ? uniqueId() : undefined,
        }));
  const native = callNative(() => new (cuda().Communicator)(device.index, size, rank, id, timeout));
  await until(() => native.ready());
  return new Communicator(made, native, { rank, size, device, library });
}

function equipment(given: ConnectOptions): { library: NcclLibrary; device: Device } {
  const library = openLibrary(given.library);
  const device = given.device ?? Device.cuda(0);
  if (!(device instanceof Device) || device.kind !== 'cuda') {
    throw typeError('a GPU', 'device', device);
  }
  return { library, device };
}

function checkWorld({ world, id, rank, size }: ConnectOptions): void {
  for (const [key, value] of Object.entries({ id, rank, size })) {
    if (value !== undefined) throw new TypeError(`${key} cannot be combined with world`);
  }
  if (typeof world?.broadcast === 'function') return;
  throw typeError('a World of warpdice/mpi', 'world', world);
}

interface Place {
  id: Uint8Array;
  rank: number;
  size: number;
}

function placeOf({ id, rank, size }: ConnectOptions): Place {
  if (!(id instanceof Uint8Array)) throw typeError('the bytes of uniqueId()', 'id', id);
  if (id.length !== idBytes) throw rangeError(`${idBytes} bytes`, 'id', id.length);
  const ranks = checkInteger(size, 'size', 1, 32768);
  return { id: id.slice(), rank: checkInteger(rank, 'rank', 0, ranks - 1), size: ranks };
}
