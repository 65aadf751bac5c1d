// Prints what nifti-reader-js says of NIfTI files, as JSON: it is an ES module, which Jest cannot load.
import { readFileSync } from 'node:fs';
import * as nifti from 'nifti-reader-js';

const read = (file) => {
  const bytes = readFileSync(file);
  const stored = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const data = nifti.isCompressed(stored) ? nifti.decompress(stored) : stored;
  const { dims, pixDims, affine, littleEndian, datatypeCode } = nifti.readHeader(data);
  const image = Buffer.from(nifti.readImage(nifti.readHeader(data), data)).toString('base64');
  return { dims, pixDims, affine, littleEndian, datatypeCode, image };
};
console.log(JSON.stringify(process.argv.slice(2).map(read)));
