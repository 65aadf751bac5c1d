/** What a {@link WarpDiceError} is about; wrong arguments are a `TypeError` or `RangeError` instead. */
export type ErrorCode =
  /** A disposed tensor, stream, event or plan was used. */
  | 'ERR_DISPOSED'
  /** The device asked for is not there. */
  | 'ERR_NO_DEVICE'
  | 'ERR_OUT_OF_MEMORY'
  | 'ERR_CUDA'
  /** The target, or a label map to be scored, names classes that do not exist: see `count`, `index` and `value`. */
  | 'ERR_LABEL_RANGE'
  /** The native addon could not be loaded or failed inside. */
  | 'ERR_ADDON';

/** A fault that a program may want to tell apart by its `code`. */
export class WarpDiceError extends Error {
  override readonly name = 'WarpDiceError';
  readonly code: ErrorCode;
  /** ERR_LABEL_RANGE: how many target values are out of range. */
  readonly count?: number;
  /** ERR_LABEL_RANGE: flat index of the first one. */
  readonly index?: number;
  /** ERR_LABEL_RANGE: its value. */
  readonly value?: number;

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { count?: number; index?: number; value?: number } = {},
  ) {
    super(message, options);
    this.code = code;
    if (options.count !== undefined) this.count = options.count;
    if (options.index !== undefined) this.index = options.index;
    if (options.value !== undefined) this.value = options.value;
  }
}
