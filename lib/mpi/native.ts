// The addon of warpdice/mpi (native/node/mpi): what it exports, and loading it.
import path from 'node:path';
import addon from '../../addon.cjs';
import { WarpDiceError } from '../common/errors.js';
import type { TypedArray } from '../tensors/typed-array.js';

/** The numbers that the addon uses for kinds of calls and of elements; native/mpi/operation.h and native/node/mpi/call.h. */
export const Kind = { sum: 0, broadcast: 1, barrier: 2, split: 3, close: 4 } as const;
export const Element = {
  float64: 0,
  float32: 1,
  float16: 2,
  bfloat16: 3,
  int64: 4,
  byte: 5,
} as const;

/** Only this package has it, so that nobody else makes a World. */
export const made = Symbol('made by connect()');

/** The MPI library that a process uses. */
export interface Library {
  /** Its file. */
  readonly path: string;
  /** What it says of itself, such as 'Open MPI v4.1.4'. */
  readonly library: string;
  /** Its binary interface: that of Open MPI, of MPICH, or the standard one of MPI 5. */
  readonly abi: 'Open MPI' | 'MPICH' | 'standard';
}

export interface NativeMpi {
  /** Opens a library, unless this process has one open. Returns that one. */
  open(path: string): Library;
  /** Starts MPI, once in a process. Node does not stay alive for this promise. */
  start(): Promise<void>;
  connect(channel: number, name: string, timeout: number): Promise<number>;
  communicatorOf(channel: number): number;
  place(communicator: number): [rank: number, size: number];
  /**
   * A call of all ranks. Only where `name` is the same on all of them does it begin. first: a number that the ranks add up, in a
   * sum; the root of a broadcast; the colour of a split, whose key is `second`. waits: blocks, and returns the number at once.
   * Otherwise the array is copied, and written when the promise resolves. The number is the sum of `first`, or a split's new
   * communicator.
   */
  call(
    communicator: number,
    kind: number,
    name: string,
    array: TypedArray | undefined,
    element: number,
    first: number,
    second: number,
    timeout: number,
    waits: boolean,
  ): number | Promise<number>;
}

let loaded: NativeMpi | undefined;

/** The addon; it is loaded on the first call. */
export function nativeMpi(): NativeMpi {
  loaded ??= load();
  return loaded;
}

function load(): NativeMpi {
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
  try {
    return require(path.join(path.dirname(addon.file()), 'mpi', 'warpdice_mpi.node'));
  } catch (cause) {
    const words = String((cause as Error).message).split('\n')[0];
    throw new WarpDiceError('ERR_ADDON', `The addon of warpdice/mpi does not load: ${words}`, {
      cause,
    });
  }
}
