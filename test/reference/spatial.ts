// Losses that know where voxels lie, from their definitions: slow and obvious, in float64.

export interface SpatialOptions {
  activation?: 'none' | 'sigmoid' | 'softmax';
  absent?: 'formula' | 'skip';
  reduction?: 'none' | 'mean' | 'sum';
  background?: boolean;
  batch?: boolean;
  ignoreIndex?: number | ArrayLike<number>;
  spacing?: readonly number[];
  alpha?: number;
  log?: boolean;
}

export interface SpatialProblem {
  N: number;
  C: number;
  /** The spatial lengths. */
  size: readonly number[];
  /** [N, C, S] */
  x: Float64Array;
  /** [N, S]; with one class 1 is in it. */
  labels: Float64Array;
}

export const ignoredLabels = ({ ignoreIndex }: SpatialOptions): number[] =>
  typeof ignoreIndex === 'number' ? [ignoreIndex] : Array.from(ignoreIndex ?? []);

/** What is known of one voxel. t: whether it is of the class; undefined: it is ignored. */
export interface Voxel {
  p: number;
  t: boolean | undefined;
  at: number[];
}

/** One class of one sample. */
export type ClassVoxels = Voxel[];

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: number[]) => (values.length === 0 ? 0 : sum(values) / values.length);

function probability(logits: number[], c: number, activation: string): number {
  const z = logits[c] as number;
  if (activation === 'none') return z;
  if (activation === 'sigmoid') return 1 / (1 + Math.exp(-z));
  const largest = Math.max(...logits);
  return Math.exp(z - largest) / sum(logits.map((v) => Math.exp(v - largest)));
}

function position(size: readonly number[], voxel: number): number[] {
  const at: number[] = [];
  for (const length of [...size].reverse()) {
    at.unshift(voxel % length);
    voxel = Math.floor(voxel / length);
  }
  return at;
}

/** [n][c]: the voxels of that sample, of that class. */
function voxelsOf(problem: SpatialProblem, options: SpatialOptions): ClassVoxels[][] {
  const { N, C, size, x, labels } = problem;
  const S = size.reduce((a, b) => a * b, 1);
  const { activation = 'softmax' } = options;
  const ignored = ignoredLabels(options);
  return Array.from({ length: N }, (_, n) =>
    Array.from({ length: C }, (_, c) =>
      Array.from({ length: S }, (_, s) => {
        const logits = Array.from({ length: C }, (_, j) => x[(n * C + j) * S + s] as number);
        const label = labels[n * S + s] as number;
        const t = ignored.includes(label) ? undefined : label === (C === 1 ? 1 : c);
        return { p: probability(logits, c, activation), t, at: position(size, s) };
      }),
    ),
  );
}

/** The value of a loss that is `ofClass` for the samples that are taken together, each by itself or the batch. */
export function spatialLoss(
  problem: SpatialProblem,
  options: SpatialOptions,
  ofClass: (samples: ClassVoxels[]) => number,
): number {
  const all = voxelsOf(problem, options);
  const groups = options.batch ? [all] : all.map((sample) => [sample]);
  const perGroup = groups.map((samples) => {
    const losses: number[] = [];
    for (let c = options.background === false ? 1 : 0; c < problem.C; c++) {
      const ofC = samples.map((sample) => sample[c] as ClassVoxels);
      if (options.absent === 'skip' && !ofC.flat().some(({ t }) => t)) continue;
      losses.push(ofClass(ofC));
    }
    return options.reduction === 'sum' ? sum(losses) : mean(losses);
  });
  const value = options.reduction === 'sum' ? sum(perGroup) : mean(perGroup);
  return options.log ? Math.log(1 + value) : value;
}

/** The distance of a voxel to the nearest one on the other side; 0 where there is none. */
function distance(
  voxel: Voxel,
  all: Voxel[],
  spacing: readonly number[] | undefined,
  side: (v: Voxel) => unknown,
) {
  let least = Number.POSITIVE_INFINITY;
  for (const other of all) {
    if (other.t === undefined || side(other) === side(voxel)) continue;
    const steps = other.at.map(
      (k, axis) => (k - (voxel.at[axis] as number)) * (spacing?.[axis] ?? 1),
    );
    least = Math.min(least, Math.hypot(...steps));
  }
  return least === Number.POSITIVE_INFINITY ? 0 : least;
}

export const boundaryOf =
  ({ spacing }: SpatialOptions) =>
  (samples: ClassVoxels[]): number =>
    mean(
      samples.flatMap((voxels) =>
        voxels
          .filter(({ t }) => t !== undefined)
          .map((voxel) => {
            const d = distance(voxel, voxels, spacing, ({ t }) => t);
            return voxel.p * (voxel.t && d > 0 ? -(d - 1) : d);
          }),
      ),
    );

export const hausdorffOf =
  ({ spacing, alpha = 2 }: SpatialOptions) =>
  (samples: ClassVoxels[]): number =>
    mean(
      samples.flatMap((voxels) =>
        voxels
          .filter(({ t }) => t !== undefined)
          .map((voxel) => {
            const toTarget = distance(voxel, voxels, spacing, ({ t }) => t);
            const toPredicted = distance(voxel, voxels, spacing, ({ p }) => p > 0.5);
            return (voxel.p - Number(voxel.t)) ** 2 * (toTarget ** alpha + toPredicted ** alpha);
          }),
      ),
    );
