// NIfTI files as nifti-reader-js reads them: versions, byte orders, datatypes, scaling, compression, orientation.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readNifti } from '../../lib/eval/nifti.js';
import { datatypes, makeNifti, type NiftiFile } from '../support/nifti.js';

const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-nifti-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function write(bytes: Uint8Array, extension = 'nii'): string {
  const file = path.join(folder, `${files++}.${extension}`);
  writeFileSync(file, bytes);
  return file;
}

const rotation = Math.sqrt(0.5);
const values = Array.from({ length: 24 }, (_, i) => (i * i) % 100);
const dims = [2, 3, 4];

interface Theirs {
  dims: number[];
  pixDims: number[];
  affine: number[][];
  /** The bytes of the image, in base64. */
  image: string;
}

function readByThem(paths: string[]): Theirs[] {
  const script = path.join(__dirname, '../support/read-nifti.mjs');
  const { stdout, stderr } = spawnSync(process.execPath, [script, ...paths], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout);
}

describe('as nifti-reader-js reads them', () => {
  const headers: Partial<NiftiFile>[] = [
    { qform: [0, 0, 0, 0, 0, 0] },
    { qform: [rotation, 0, 0, -3, 4, 5], pixdim: [1, 0.5, 2, 3] },
    { qform: [0.1, 0.7, -0.2, 1, 2, 3], pixdim: [-1, 0.5, 2, 3] },
    { sform: [0, -2, 0, 7, 0.5, 0, 0, 8, 0, 0, 3, 9], pixdim: [1, 0.5, 2, 3] },
    { sform: [1, 0, 0, 7, 0, 1, 0, 8, 0, 0, 1, 9], qform: [0, 0, 1, 0, 0, 0], gap: 36 },
  ];
  const kinds = ([1, 2] as const).flatMap((version) =>
    [true, false].map((little) => ({ version, little })),
  );

  test('sizes, spacing and orientation', async () => {
    const written = kinds.flatMap((kind) =>
      headers.map((one) => write(makeNifti({ ...kind, dims, values, ...one }))),
    );
    const shipped = path.join(__dirname, '../../examples/data/brain-tissue.nii.gz');
    const all = [...written, shipped];
    const read = readByThem(all);
    for (const [i, theirs] of read.entries()) {
      const ours = await readNifti(all[i] as string);
      const size = ours.dims.length;
      expect(ours.dims).toEqual(theirs.dims.slice(1, size + 1));
      expect(ours.spacing).toEqual(theirs.pixDims.slice(1, size + 1));
      // It makes no affine of the qform of NIfTI-2: that of the same header in NIfTI-1 instead.
      const isNew = i >= written.length / 2 && i < written.length;
      const { affine } = isNew ? (read[i - written.length / 2] as Theirs) : theirs;
      const close = ours.affine.flat().map((number, at) => {
        const other = affine[Math.floor(at / 4)]?.[at % 4] as number;
        return Math.abs(number - other) < 1e-6;
      });
      expect(close).toEqual(Array(12).fill(true));
      if (all[i] !== shipped) continue;
      expect(ours.dims).toEqual([160, 192, 96]);
      expect(Buffer.from(ours.numbers as Uint8Array).toString('base64') === theirs.image).toBe(
        true,
      );
    }
  });

  test.each(datatypes)('datatype %d', async (datatype) => {
    for (const kind of kinds) {
      const file = makeNifti({ ...kind, dims, values, datatype });
      for (const [bytes, extension] of [
        [file, 'nii'],
        [gzipSync(file), 'nii.gz'],
      ] as const) {
        const { numbers } = await readNifti(write(bytes, extension));
        expect(Array.from(numbers as ArrayLike<number>, Number)).toEqual(values);
      }
    }
  });
});

describe('what a label map needs', () => {
  const read = (file: Partial<NiftiFile>) => readNifti(write(makeNifti({ dims, values, ...file })));

  test('without an orientation, the axes are those of the file', async () => {
    const { affine } = await read({ pixdim: [1, 2, 3, 4] });
    expect(affine.flat()).toEqual([2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4, 0]);
  });

  test('units are made millimetres', async () => {
    for (const [units, factor] of [
      [0, 1],
      [1, 1000],
      [2, 1],
      [3 | 8, 0.001],
    ] as const) {
      const sform = [2, 0, 0, 5, 0, 2, 0, 6, 0, 0, 2, 7];
      const { spacing, affine } = await read({ units, pixdim: [1, 2, 2, 2], sform });
      expect(spacing).toEqual([2, 2, 2].map((size) => size * factor));
      expect(affine[0]).toEqual([2, 0, 0, 5].map((x) => x * factor));
    }
  });

  test('slope and intercept, unless the slope is 0', async () => {
    expect(await read({ slope: 2, intercept: -1 })).toMatchObject({ slope: 2, intercept: -1 });
    expect(await read({ slope: 0, intercept: 5 })).toMatchObject({ slope: 1, intercept: 0 });
    expect(await read({ slope: Number.NaN, intercept: 5 })).toMatchObject({
      slope: 1,
      intercept: 0,
    });
  });

  test('axes of one voxel beyond the third', async () => {
    expect((await read({ dims: [2, 3, 4, 1, 1] })).dims).toEqual(dims);
    expect((await read({ dims: [6, 4] })).dims).toEqual([6, 4]);
  });

  test.each<[string, Buffer, string]>([
    ['no NIfTI', Buffer.alloc(400), 'Expected a NIfTI file (.nii or .nii.gz)'],
    ['nothing', Buffer.alloc(0), 'Expected a NIfTI file (.nii or .nii.gz)'],
    [
      'half a file',
      makeNifti({ dims, values }).subarray(0, 370),
      'Expected 376 bytes, as its header says,',
    ],
    [
      'half a gzip file',
      gzipSync(makeNifti({ dims, values })).subarray(0, 60),
      'Expected a whole gzip file',
    ],
    ['time', makeNifti({ dims: [2, 3, 2, 2], values }), 'Expected an image of two or three axes'],
    ['a line', makeNifti({ dims: [24], values }), 'Expected an image of two or three axes'],
    ['no voxels', makeNifti({ dims: [2, 0, 4], values }), 'Expected an image of two or three axes'],
    [
      'an image in the header',
      makeNifti({ dims, values, gap: 0 }),
      'Expected an image from byte 352 on',
    ],
    ['no size', makeNifti({ dims, values, pixdim: [1, 0, 1, 1] }), 'Expected voxel sizes above 0'],
    [
      'two sizes',
      makeNifti({ dims, values, sform: [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0] }),
      'Expected the voxel sizes of the affine, 2 x 1 x 1, in pixdim',
    ],
  ])('%s is an error', async (_, bytes, message) => {
    await expect(readNifti(write(bytes))).rejects.toThrow(message);
  });

  test('a datatype of colours is an error', async () => {
    const bytes = makeNifti({ dims, values });
    bytes.writeInt16LE(128, 70);
    await expect(readNifti(write(bytes))).rejects.toThrow("received 'datatype 128'");
  });
});
