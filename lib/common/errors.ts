/** The codes of {@link WarpDiceError}. Wrong arguments throw a `TypeError` or `RangeError` instead. */
export type ErrorCode =
  /** A disposed tensor, stream, event or plan was used. */
  | 'ERR_DISPOSED'
  /** The requested GPU does not exist; the message says why. */
  | 'ERR_NO_DEVICE'
  /** Memory could not be allocated. */
  | 'ERR_OUT_OF_MEMORY'
  /** Pending Async calls hold too many copies of arrays: await earlier ones before the next call. */
  | 'ERR_QUEUE_FULL'
  /** A CUDA call failed; the message has CUDA's name and text of the error. */
  | 'ERR_CUDA'
  /**
   * A target, a mask or a label map has values that are no class; or floats, of a dense target or of predictions that should
   * be probabilities, are outside [0, 1]: see `count`, `index` and `value`.
   */
  | 'ERR_LABEL_RANGE'
  /** Of `warpdice/mpi`: no MPI was found, it is not the launcher's, one of its calls failed, or an earlier error has closed it. */
  | 'ERR_MPI'
  /** Of `warpdice/mpi`: other ranks have not come to this call within the time-out. The communicator is closed for good. */
  | 'ERR_MPI_TIMEOUT'
  /** Of `warpdice/mpi`: another rank makes another call. All ranks get this error, and the next call works. */
  | 'ERR_MPI_MISMATCH'
  /** Of `warpdice/nccl`: no NCCL was found, one of its calls failed, or an earlier error has closed the communicator. */
  | 'ERR_NCCL'
  /** Of `warpdice/nccl`: other ranks have not come to this call within the time-out. The communicator is closed for good. */
  | 'ERR_NCCL_TIMEOUT'
  /** Of `warpdice/nccl`: another rank makes another call. All ranks get this error when they read a result. */
  | 'ERR_NCCL_MISMATCH'
  /** The native addon could not be loaded, or it had an internal error. */
  | 'ERR_ADDON';

/** Every error that is not a wrong argument; `code` says which. */
export class WarpDiceError extends Error {
  declare readonly name: string;
  declare readonly code: ErrorCode;
  /** For ERR_LABEL_RANGE: how many values are out of range. */
  declare readonly count?: number;
  /** For ERR_LABEL_RANGE: the flat index of the first of them. */
  declare readonly index?: number;
  /** For ERR_LABEL_RANGE: the value at that index. */
  declare readonly value?: number;

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { count?: number; index?: number; value?: number } = {},
  ) {
    super(message, options);
    const { count, index, value } = options;
    const fields = { name: 'WarpDiceError', code, count, index, value };
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true });
    }
  }
}
