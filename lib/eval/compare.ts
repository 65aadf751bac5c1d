// Reads the two files of a case and compares where they are.
import type { Case } from './cases.js';
import { collectLabels, toClasses } from './labels.js';
import { type NiftiImage, readNifti } from './nifti.js';

/** Two images on the same grid. */
export interface Pair {
  readonly truth: NiftiImage;
  readonly prediction: NiftiImage;
}

/** @throws Error where a file cannot be read, or the grids differ */
export async function readPair(files: Case): Promise<Pair> {
  const [truth, prediction] = await Promise.all([
    readNifti(files.truth),
    readNifti(files.prediction),
  ]);
  const [mine, theirs] = [truth.dims, prediction.dims].map((dims) => dims.join(' x '));
  if (mine !== theirs) {
    throw new Error(
      `Expected ${mine} voxels, as ${files.truth} has, for ${files.prediction} but received ${theirs}`,
    );
  }
  const apart = distanceApart(truth, prediction);
  const limit = 0.01 * Math.min(...truth.spacing);
  if (apart > limit || Number.isNaN(apart)) {
    throw new Error(
      `Expected the orientation of ${files.truth}, ${show(truth)}, for ${files.prediction} but received ${show(prediction)}: the same voxels are up to ${apart.toPrecision(3)} mm apart`,
    );
  }
  return { truth, prediction };
}

const show = ({ affine }: NiftiImage) =>
  `[${affine.map((row) => row.map((x) => Number(x.toPrecision(6))).join(' ')).join('; ')}]`;

/** The largest distance between the places of one voxel, which is at a corner. */
function distanceApart({ affine: a, dims }: NiftiImage, { affine: b }: NiftiImage): number {
  const corners = [0, 1, 2, 3, 4, 5, 6, 7].map((bits) =>
    [0, 1, 2].map((axis) => (bits & (1 << axis) ? (dims[axis] ?? 1) - 1 : 0)),
  );
  const apart = corners.map((corner) =>
    Math.hypot(
      ...a.map((row, i) =>
        [...corner, 1].reduce(
          (sum, x, k) => sum + x * ((row[k] as number) - ((b[i] as number[])[k] as number)),
          0,
        ),
      ),
    ),
  );
  return Math.max(...apart);
}

/** The labels of both images. */
export function labelsOf({ truth, prediction }: Pair, files: Case): Set<number> {
  const labels = new Set<number>();
  collectLabels(truth, files.truth, labels);
  collectLabels(prediction, files.prediction, labels);
  return labels;
}

/** One sample for the metrics: shape and spacing with the axis that changes fastest last. */
export interface Sample {
  readonly prediction: { readonly data: Uint16Array; readonly shape: number[] };
  readonly target: { readonly data: Uint16Array; readonly shape: number[] };
  readonly spacing: number[];
}

/** ignore: labels, and what stands for them. An image of one slice, along any axis, is 2D. */
export function toSample(
  { truth, prediction }: Pair,
  files: Case,
  classes: ReadonlyMap<number, number>,
  ignore: readonly [labels: readonly number[], index: number] | undefined,
): Sample {
  const axes = axesOf(truth.dims);
  const shape = [1, ...axes.map((axis) => truth.dims[axis] as number)];
  return {
    prediction: { data: toClasses(prediction, files.prediction, classes, undefined), shape },
    target: { data: toClasses(truth, files.truth, classes, ignore), shape },
    spacing: axes.map((axis) => truth.spacing[axis] as number),
  };
}

/** The axes of the image, the one that changes fastest last: without one of a single voxel, of which every voxel would be surface. */
function axesOf(dims: readonly number[]): number[] {
  const axes = [...dims.keys()].reverse();
  const flat = dims.length === 3 ? axes.find((axis) => dims[axis] === 1) : undefined;
  return axes.filter((axis) => axis !== flat);
}

/** @throws Error where axes are not at right angles: distances would not be those of the voxel sizes */
export function expectRightAngles({ affine, spacing }: NiftiImage, file: string): void {
  const column = (axis: number) => affine.map((row) => row[axis] as number);
  for (const [a, b] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const) {
    if (b >= spacing.length) continue;
    const other = column(b);
    const product = column(a).reduce((sum, x, i) => sum + x * (other[i] as number), 0);
    const cosine = product / ((spacing[a] as number) * (spacing[b] as number));
    if (Math.abs(cosine) <= 0.01) continue;
    const degrees = (Math.acos(cosine) * 180) / Math.PI;
    throw new Error(
      `Expected axes at right angles for ${file} but received ${degrees.toFixed(1)} degrees between two of them: resample it, or take --scores that need no distances, such as dice`,
    );
  }
}
