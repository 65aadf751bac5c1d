// Allocates memory for typed arrays: aligned, on huge pages where they help, with a clear error when there is none.
import { constants } from 'node:buffer';
import { WarpDiceError } from '../common/errors.js';
import { native } from '../native/load.js';
import { type DType, type Float16Like, kindFor, type TypedArray } from './dtype.js';
import { copyInto, elementBytesOf, type Kind, kindOf, lengthOf, viewOf } from './typed-array.js';

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
export const makeArray = (dtype: DType, size: number): TypedArray => make(kindFor(dtype), size);

/**
 * A copy in memory of its own; `slice` of Node's Buffer is a view.
 *
 * @throws WarpDiceError ERR_OUT_OF_MEMORY
 */
export function copyArray(data: TypedArray | Float16Like): TypedArray {
  const copy = make(kindOf(data) as Kind, lengthOf(data));
  copyInto(copy, data);
  return copy;
}

/**
 * A zero-filled array for a tensor. Its buffer may have some bytes before and after. shared: on a SharedArrayBuffer.
 *
 * @throws WarpDiceError ERR_OUT_OF_MEMORY
 */
export function makeTensorData(dtype: DType, size: number, shared: boolean): TypedArray {
  const kind = kindFor(dtype);
  return allocate(kind, size, (bytes) => {
    const room = bytes < alignedFromBytes ? bytes : bytes + lineBytes;
    const buffer = shared ? makeShared(room) : new ArrayBuffer(room);
    // The view has one byte: a buffer may have more bytes than a typed array may have elements.
    const before = room === bytes ? 0 : native.bytesToLine(viewOf('Uint8Array', buffer, 0, 1));
    return viewOf(kind, buffer, before, size);
  });
}

/** From this size on V8 is told of shared memory. Below, the objects themselves are enough to make it collect. */
const reportedFromBytes = 1 << 12;

/** V8 does not count shared memory. Without a report it would collect what nobody uses only when memory has run out. */
function makeShared(bytes: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes);
  if (bytes >= reportedFromBytes) native.reportMemory(buffer, bytes);
  return buffer;
}

const make = (kind: Kind, size: number): TypedArray =>
  allocate(kind, size, (bytes) => viewOf(kind, new ArrayBuffer(bytes), 0, size));

function allocate(kind: Kind, size: number, make: (bytes: number) => TypedArray): TypedArray {
  const bytes = size * elementBytesOf(kind);
  let array: TypedArray;
  try {
    array = make(bytes);
  } catch (cause) {
    const limit = constants.MAX_LENGTH;
    const why = size > limit ? `, and an array of this Node has at most ${limit}` : '';
    throw new WarpDiceError(
      'ERR_OUT_OF_MEMORY',
      `Could not allocate ${bytes} bytes for ${size} elements of a ${kind}${why}`,
      { cause },
    );
  }
  if (bytes >= hugeFromBytes) native.preferHugePages(array);
  return array;
}
