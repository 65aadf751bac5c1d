// Writes NIfTI files for tests: both versions, both byte orders, every datatype that label maps have.

export interface NiftiFile {
  version?: 1 | 2;
  little?: boolean;
  dims: number[];
  datatype?: number;
  pixdim?: number[];
  slope?: number;
  intercept?: number;
  units?: number;
  /** b, c, d, and the offsets; pixdim[0] is the sign of the third axis. */
  qform?: number[];
  sform?: number[];
  /** Between header and image. */
  gap?: number;
  values: number[];
}

type Write = (view: DataView, at: number, value: number, little: boolean) => void;

const writers: Record<number, [bytes: number, write: Write]> = {
  2: [1, (view, at, value) => view.setUint8(at, value)],
  4: [2, (view, at, value, little) => view.setInt16(at, value, little)],
  8: [4, (view, at, value, little) => view.setInt32(at, value, little)],
  16: [4, (view, at, value, little) => view.setFloat32(at, value, little)],
  64: [8, (view, at, value, little) => view.setFloat64(at, value, little)],
  256: [1, (view, at, value) => view.setInt8(at, value)],
  512: [2, (view, at, value, little) => view.setUint16(at, value, little)],
  768: [4, (view, at, value, little) => view.setUint32(at, value, little)],
  1024: [8, (view, at, value, little) => view.setBigInt64(at, BigInt(value), little)],
  1280: [8, (view, at, value, little) => view.setBigUint64(at, BigInt(value), little)],
};

export const datatypes = Object.keys(writers).map(Number);

export function makeNifti(file: NiftiFile): Buffer {
  const { version = 1, little = true, dims, datatype = 2, pixdim = [1, 1, 1, 1], values } = file;
  const { slope = 0, intercept = 0, units = 2, gap = 4 } = file;
  const [bytes, write] = writers[datatype] as [number, Write];
  const old = version === 1;
  const start = (old ? 348 : 540) + gap;
  const view = new DataView(new ArrayBuffer(start + values.length * bytes));
  const short = (at: number, value: number) => view.setInt16(at, value, little);
  const int = (at: number, value: number) => view.setInt32(at, value, little);
  const real = (at: number, value: number, i = 0) =>
    old ? view.setFloat32(at + 4 * i, value, little) : view.setFloat64(at + 8 * i, value, little);
  const text = (at: number, words: string) => {
    for (const [i, letter] of [...words].entries()) view.setUint8(at + i, letter.charCodeAt(0));
  };
  int(0, old ? 348 : 540);
  text(old ? 344 : 4, old ? 'n+1\0' : 'n+2\0\r\n\x1a\n');
  for (const [i, size] of [dims.length, ...dims, ...Array(7 - dims.length).fill(1)].entries()) {
    if (old) short(40 + 2 * i, size);
    else view.setBigInt64(16 + 8 * i, BigInt(size), little);
  }
  short(old ? 70 : 12, datatype);
  short(old ? 72 : 14, 8 * bytes);
  for (const [i, size] of pixdim.entries()) real(old ? 76 : 104, size, i);
  if (old) real(108, start);
  else view.setBigInt64(168, BigInt(start), little);
  real(old ? 112 : 176, slope);
  real(old ? 116 : 184, intercept);
  if (old) view.setUint8(123, units);
  else int(500, units);
  const code = (at: [number, number], given: unknown) =>
    old ? short(at[0], given ? 1 : 0) : int(at[1], given ? 1 : 0);
  code([252, 344], file.qform);
  code([254, 348], file.sform);
  for (const [i, value] of (file.qform ?? []).entries()) real(old ? 256 : 352, value, i);
  for (const [i, value] of (file.sform ?? []).entries()) real(old ? 280 : 400, value, i);
  for (const [i, value] of values.entries()) write(view, start + i * bytes, value, little);
  return Buffer.from(view.buffer);
}
