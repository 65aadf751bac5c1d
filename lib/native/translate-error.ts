// Translates the addon's errors into those that users see.
import { type ErrorCode, WarpDiceError } from '../common/errors.js';

const codes: readonly ErrorCode[] = [
  'ERR_OUT_OF_MEMORY',
  'ERR_QUEUE_FULL',
  'ERR_ADDON',
  'ERR_CUDA',
  'ERR_DISPOSED',
  'ERR_NO_DEVICE',
  'ERR_MPI',
  'ERR_MPI_TIMEOUT',
  'ERR_MPI_MISMATCH',
  'ERR_NCCL',
  'ERR_NCCL_TIMEOUT',
  'ERR_NCCL_MISMATCH',
];

/** A WarpDiceError for an error with one of its codes, and for memory that ran out; any other error unchanged. */
export function translate(error: unknown): unknown {
  const { code, message } = error as WarpDiceError;
  if (error instanceof WarpDiceError) return error;
  // From Node-API's C++ wrapper, which allocates the list of arguments before the addon's own code begins.
  if (message === 'std::bad_alloc') {
    return new WarpDiceError('ERR_OUT_OF_MEMORY', 'Out of memory', { cause: error });
  }
  if (codes.includes(code)) return new WarpDiceError(code, message, { cause: error });
  if ((code as string) === 'ERR_UNSUPPORTED') return new TypeError(message, { cause: error });
  return error;
}

/** Calls the addon and translates the errors that it throws or rejects with. */
export function callNative<Result>(call: () => Result, toUserError = translate): Result {
  let result: Result;
  try {
    result = call();
  } catch (error) {
    throw toUserError(error);
  }
  if (typeof (result as Promise<unknown> | undefined)?.then !== 'function') return result;
  return (result as Promise<unknown>).then(undefined, (error) => {
    throw toUserError(error);
  }) as Result;
}

/** {@link callNative} for a promise. Only wrong arguments are thrown at once; every other error rejects. */
export function callNativeAsync<Result>(
  call: () => Promise<Result>,
  toUserError = translate,
): Promise<Result> {
  try {
    return callNative(call, toUserError);
  } catch (error) {
    if (error instanceof WarpDiceError) return Promise.reject(error);
    throw error;
  }
}
