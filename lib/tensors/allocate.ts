// Allocates memory for typed arrays: aligned, on huge pages where they help, with a clear error when there is none.
import { WarpDiceError } from '../common/errors.js';
import { native } from '../native/load.js';
import { bytesOf, type DType, type TypedArray } from './dtype.js';

/** From this size on (two huge pages), arrays ask for huge pages. NumPy has the same limit. */
const hugeFromBytes = 1 << 22;

/** From this size on, tensors begin on a cache line: elsewhere every vector of AVX-512 would touch two lines. */
const alignedFromBytes = 1 << 14;
const lineBytes = 64;

/**
 * A zero-filled typed array.
 *
 * @throws WarpDiceError ERR_OUT_OF_MEMORY
 */
export function makeArray(dtype: DType, size: number): TypedArray {
  return allocate(dtype, size, () =>
    viewOf(dtype, new ArrayBuffer(size * bytesOf(dtype)), 0, size),
  );
}

/**
 * A zero-filled array for a tensor. Its buffer may have some bytes before and after. shared: on a SharedArrayBuffer.
 *
 * @throws WarpDiceError ERR_OUT_OF_MEMORY
 */
export function makeTensorData(dtype: DType, size: number, shared: boolean): TypedArray {
  return allocate(dtype, size, () => {
    const bytes = size * bytesOf(dtype);
    const room = bytes < alignedFromBytes ? bytes : bytes + lineBytes;
    const buffer = shared ? new SharedArrayBuffer(room) : new ArrayBuffer(room);
    const before = room === bytes ? 0 : native.bytesToLine(new Uint8Array(buffer));
    return viewOf(dtype, buffer, before, size);
  });
}

function allocate(dtype: DType, size: number, make: () => TypedArray): TypedArray {
  let array: TypedArray;
  try {
    array = make();
  } catch (cause) {
    throw new WarpDiceError(
      'ERR_OUT_OF_MEMORY',
      `Could not allocate ${size * bytesOf(dtype)} bytes for ${size} elements of ${dtype}`,
      { cause },
    );
  }
  if (array.byteLength >= hugeFromBytes) native.preferHugePages(array);
  return array;
}

function viewOf(
  dtype: DType,
  buffer: ArrayBuffer | SharedArrayBuffer,
  offset: number,
  size: number,
): TypedArray {
  const from = buffer as ArrayBuffer;
  switch (dtype) {
    case 'float32':
      return new Float32Array(from, offset, size);
    case 'float64':
      return new Float64Array(from, offset, size);
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(from, offset, size);
    case 'uint8':
      return new Uint8Array(from, offset, size);
    case 'int32':
      return new Int32Array(from, offset, size);
    case 'int64':
      return new BigInt64Array(from, offset, size);
  }
}
