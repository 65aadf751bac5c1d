// Reads label maps from NIfTI files.
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { rangeError } from '../common/check.js';
import { type NiftiHeader, readHeader } from './header.js';

/** The image of a NIfTI file. */
export interface NiftiImage extends NiftiHeader {
  /** The numbers of the voxels, x fastest, as they are in the file: without slope and intercept. */
  readonly numbers: ArrayLike<number> | ArrayLike<bigint>;
}

type NumberArray =
  | typeof Uint8Array
  | typeof Int8Array
  | typeof Int16Array
  | typeof Uint16Array
  | typeof Int32Array
  | typeof Uint32Array
  | typeof Float32Array
  | typeof Float64Array
  | typeof BigInt64Array
  | typeof BigUint64Array;

const datatypes: Readonly<Record<number, NumberArray>> = {
  2: Uint8Array,
  4: Int16Array,
  8: Int32Array,
  16: Float32Array,
  64: Float64Array,
  256: Int8Array,
  512: Uint16Array,
  768: Uint32Array,
  1024: BigInt64Array,
  1280: BigUint64Array,
};

const unzip = promisify(gunzip);

/** @throws Error with the name of the file */
export async function readNifti(file: string): Promise<NiftiImage> {
  const stored = await readFile(file).catch((cause: Error) => {
    throw new Error(`Expected a file that can be read for ${file} but received: ${cause.message}`, {
      cause,
    });
  });
  const isZipped = stored[0] === 0x1f && stored[1] === 0x8b;
  const bytes = isZipped
    ? await unzip(stored).catch((cause: Error) => {
        throw new Error(`Expected a whole gzip file for ${file} but received: ${cause.message}`, {
          cause,
        });
      })
    : stored;
  const header = readHeader(bytes, file);
  return { ...header, numbers: readNumbers(bytes, header, file) };
}

function readNumbers(bytes: Uint8Array, header: NiftiHeader, file: string): NiftiImage['numbers'] {
  const { dims, datatype, dataOffset, littleEndian } = header;
  const Numbers = datatypes[datatype];
  if (Numbers === undefined) {
    throw rangeError('a datatype of integers or floats', file, `datatype ${datatype}`);
  }
  const size = Numbers.BYTES_PER_ELEMENT;
  const count = dims.reduce((a, b) => a * b);
  const end = dataOffset + count * size;
  if (!(Number.isInteger(dataOffset) && end <= bytes.length)) {
    throw rangeError(`${end} bytes, as its header says,`, file, `${bytes.length} bytes`);
  }
  // A copy, which begins at a multiple of the element's size.
  const data = Buffer.from(Uint8Array.from(bytes.subarray(dataOffset, end)).buffer);
  if (!littleEndian && size > 1) swap(data, size);
  return new Numbers(data.buffer as ArrayBuffer, 0, count);
}

function swap(data: Buffer, size: number): void {
  if (size === 2) data.swap16();
  else if (size === 4) data.swap32();
  else data.swap64();
}
