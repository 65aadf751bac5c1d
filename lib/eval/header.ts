// The header of a NIfTI file: versions 1 and 2, in either byte order. https://nifti.nimh.nih.gov
import { rangeError } from '../common/check.js';

/** What label maps need of a header. Axes in the order of the file: x, which changes fastest, first. */
export interface NiftiHeader {
  readonly littleEndian: boolean;
  readonly dims: readonly number[];
  readonly datatype: number;
  readonly dataOffset: number;
  /** The value of a voxel is slope * number + intercept. */
  readonly slope: number;
  readonly intercept: number;
  /** Of a voxel along each axis, in mm. */
  readonly spacing: readonly number[];
  /** Takes x, y, z and 1 to the place of a voxel in mm: three rows of four. */
  readonly affine: readonly (readonly number[])[];
}

/** Where a version has its fields, in bytes, and reads them. */
interface Version {
  readonly size: number;
  readonly magic: readonly [at: number, text: string];
  readonly dim: number;
  readonly datatype: number;
  readonly pixdim: number;
  readonly dataOffset: number;
  readonly slope: number;
  readonly units: number;
  readonly qformCode: number;
  readonly sformCode: number;
  readonly quaternion: number;
  readonly sform: number;
  readonly realBytes: number;
}

const versions: readonly Version[] = [
  // biome-ignore format: a table
  { size: 348, magic: [344, 'n+1'], dim: 40, datatype: 70, pixdim: 76, dataOffset: 108, slope: 112, units: 123, qformCode: 252, sformCode: 254, quaternion: 256, sform: 280, realBytes: 4 },
  // biome-ignore format: a table
  { size: 540, magic: [4, 'n+2'], dim: 16, datatype: 12, pixdim: 104, dataOffset: 168, slope: 176, units: 500, qformCode: 344, sformCode: 348, quaternion: 352, sform: 400, realBytes: 8 },
];

/** Millimetres of a unit of xyzt_units; unknown units are taken as they are. */
const millimetres: Readonly<Record<number, number>> = { 1: 1000, 2: 1, 3: 0.001 };

/** name: of the file, for errors. */
export function readHeader(bytes: Uint8Array, name: string): NiftiHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const version of versions) {
    const { size, magic } = version;
    if (bytes.length < size) continue;
    const text = Buffer.from(bytes.subarray(magic[0], magic[0] + 3)).toString('latin1');
    for (const littleEndian of [true, false]) {
      if (view.getInt32(0, littleEndian) !== size || text !== magic[1]) continue;
      return readVersion(new Fields(view, littleEndian, version), littleEndian, version, name);
    }
  }
  throw new RangeError(`Expected a NIfTI file (.nii or .nii.gz) for ${name} but received another`);
}

class Fields {
  readonly #view: DataView;
  readonly #little: boolean;
  readonly #version: Version;

  constructor(view: DataView, little: boolean, version: Version) {
    this.#view = view;
    this.#little = little;
    this.#version = version;
  }

  /** A real number: float in version 1, double in version 2. */
  real(at: number, i = 0): number {
    return this.#version.realBytes === 4
      ? this.#view.getFloat32(at + 4 * i, this.#little)
      : this.#view.getFloat64(at + 8 * i, this.#little);
  }

  reals(at: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.real(at, i));
  }

  short(at: number): number {
    return this.#view.getInt16(at, this.#little);
  }

  /** Short in version 1, int in version 2. */
  code(at: number): number {
    return this.#version.realBytes === 4 ? this.short(at) : this.#view.getInt32(at, this.#little);
  }

  /** The sizes: short in version 1, 64-bit in version 2. */
  size(i: number): number {
    const { dim, realBytes } = this.#version;
    if (realBytes === 4) return this.short(dim + 2 * i);
    return Number(this.#view.getBigInt64(dim + 8 * i, this.#little));
  }

  offset(): number {
    const { dataOffset, realBytes } = this.#version;
    if (realBytes === 4) return this.real(dataOffset);
    return Number(this.#view.getBigInt64(dataOffset, this.#little));
  }

  units(): number {
    const { units, realBytes } = this.#version;
    return realBytes === 4 ? this.#view.getUint8(units) : this.#view.getInt32(units, this.#little);
  }
}

function readVersion(
  fields: Fields,
  littleEndian: boolean,
  version: Version,
  name: string,
): NiftiHeader {
  const rank = fields.size(0);
  const all = Array.from({ length: rank >= 1 && rank <= 7 ? rank : 0 }, (_, i) =>
    fields.size(i + 1),
  );
  const dims = all.slice(0, 3);
  const isImage = dims.length >= 2 && all.every((size, i) => size >= 1 && (i < 3 || size === 1));
  if (!isImage) throw rangeError('an image of two or three axes', name, all);
  const factor = millimetres[fields.units() & 7] ?? 1;
  const pixdim = fields.reals(version.pixdim, 8);
  const spacing = pixdim.slice(1, dims.length + 1).map((size) => Math.abs(size) * factor);
  if (!spacing.every((size) => size > 0 && Number.isFinite(size))) {
    throw rangeError('voxel sizes above 0', name, spacing);
  }
  const [slope, intercept] = fields.reals(version.slope, 2) as [number, number];
  const isScaled = slope !== 0 && Number.isFinite(slope) && Number.isFinite(intercept);
  const dataOffset = fields.offset();
  // Behind the header are four bytes that say what else comes before the image.
  if (dataOffset < version.size + 4) {
    throw rangeError(`an image from byte ${version.size + 4} on`, name, dataOffset);
  }
  const affine = affineOf(fields, version, pixdim).map((row) => row.map((x) => x * factor));
  checkSizes(affine, spacing, name);
  return {
    littleEndian,
    dims,
    datatype: fields.short(version.datatype),
    dataOffset,
    slope: isScaled ? slope : 1,
    intercept: isScaled ? intercept : 0,
    spacing,
    affine,
  };
}

/** By the standard's three methods: sform, else qform, else the voxel sizes alone. */
function affineOf(fields: Fields, version: Version, pixdim: readonly number[]): number[][] {
  if (fields.code(version.sformCode) > 0) {
    const rows = fields.reals(version.sform, 12);
    return [0, 4, 8].map((at) => rows.slice(at, at + 4));
  }
  const [x, y, z] = pixdim.slice(1, 4).map((size) => Math.abs(size) || 1) as [
    number,
    number,
    number,
  ];
  if (fields.code(version.qformCode) <= 0) {
    return [
      [x, 0, 0, 0],
      [0, y, 0, 0],
      [0, 0, z, 0],
    ];
  }
  const [i, j, k, ...origin] = fields.reals(version.quaternion, 6) as [number, number, number];
  // Where the first part is 0, as of half a turn, the square root would make much of the rounding of the others.
  const rest = 1 - i * i - j * j - k * k;
  const [a, length] = rest < 1e-7 ? [0, Math.hypot(i, j, k)] : [Math.sqrt(rest), 1];
  const [b, c, d] = [i / length, j / length, k / length];
  const last = (pixdim[0] as number) < 0 ? -z : z;
  const rotation = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ] as [number, number, number][];
  return rotation.map(([p, q, r], row) => [
    p * x,
    q * y,
    r * last,
    (origin as number[])[row] as number,
  ]);
}

/** The voxel sizes must be those of the affine, or distances would be wrong by one of them. */
function checkSizes(
  affine: readonly (readonly number[])[],
  spacing: readonly number[],
  name: string,
): void {
  const ofAffine = spacing.map((_, axis) =>
    Math.hypot(...affine.map((row) => row[axis] as number)),
  );
  const agree = ofAffine.every((size, axis) => {
    const other = spacing[axis] as number;
    return Math.abs(size - other) <= 0.01 * other;
  });
  if (agree) return;
  throw new RangeError(
    `Expected the voxel sizes of the affine, ${ofAffine.join(' x ')}, in pixdim of ${name} but received ${spacing.join(' x ')}`,
  );
}
