// Computes scores from the numbers of a sample and class that native/cpu/surface/measure.h names.
import type { MetricsAbsent } from '../common/shared-options.js';
import { scoredCount } from './regions.js';
import type { Measured } from './sample-metrics.js';
import type { ResolvedSurface } from './surface-options.js';

/** The scores of {@link SurfaceMetrics}. P and T: the surfaces of prediction and target; d(x, T): the distance of x from T. */
export type SurfaceScoreName =
  /** The largest of all d(p, T) and d(t, P). */
  | 'hausdorff'
  /** A percentile of the d(p, T), or that of the d(t, P): the larger one. The percentile is an option, by default 95. */
  | 'hausdorffPercentile'
  /** The mean of the d(p, T): from the prediction to the target. */
  | 'averageDistance'
  /** The mean of the d(p, T) and d(t, P) together. */
  | 'averageSymmetricDistance'
  /** The share of P and T together that is within `tolerance` of the other surface: normalized surface Dice. */
  | 'surfaceDice'
  /** The IoU of the parts of both masks within `boundaryDistance` of the outside of their mask. */
  | 'boundaryIou';

/** How many numbers a sample and class have. */
const numbersPerRow = 14;

/** From one surface to the other. */
interface Directed {
  size: number;
  sum: number;
  largest: number;
  quantile: number;
  within: number;
}

interface Row {
  targetVoxels: number;
  predictedVoxels: number;
  predicted: Directed;
  target: Directed;
  both: number;
  either: number;
}

function directed(numbers: Float64Array, at: number): Directed {
  const [size, sum, largest, quantile, within] = numbers.subarray(at, at + 5) as unknown as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { size, sum, largest, quantile, within };
}

function toRow(numbers: Float64Array): Row {
  const at = (i: number) => numbers[i] as number;
  return {
    targetVoxels: at(0),
    predictedVoxels: at(1),
    predicted: directed(numbers, 2),
    target: directed(numbers, 7),
    both: at(12),
    either: at(13),
  };
}

const formulas: Record<SurfaceScoreName, (row: Row) => number> = {
  hausdorff: ({ predicted: p, target: t }) => Math.max(p.largest, t.largest),
  hausdorffPercentile: ({ predicted: p, target: t }) => Math.max(p.quantile, t.quantile),
  averageDistance: ({ predicted: p }) => p.sum / p.size,
  averageSymmetricDistance: ({ predicted: p, target: t }) => (p.sum + t.sum) / (p.size + t.size),
  surfaceDice: ({ predicted: p, target: t }) => (p.within + t.within) / (p.size + t.size),
  boundaryIou: ({ both, either }) => both / either,
};

export const surfaceScoreNames = Object.keys(formulas) as readonly SurfaceScoreName[];

/** Scores of which more is better. */
const shares: readonly SurfaceScoreName[] = ['surfaceDice', 'boundaryIou'];

/** The option that a score needs. */
const neededBy: { [name in SurfaceScoreName]?: keyof ResolvedSurface } = {
  surfaceDice: 'tolerance',
  boundaryIou: 'boundaryDistance',
};

/** The score of one sample and class; NaN when it is not counted. numbers: [14]. */
function surfaceScore(
  name: SurfaceScoreName,
  numbers: Float64Array,
  { absent, worstDistance = Number.POSITIVE_INFINITY }: ResolvedSurface,
): number {
  const row = toRow(numbers);
  const [perfect, worst] = shares.includes(name) ? [1, 0] : [0, worstDistance];
  const predicted = row.predictedVoxels > 0;
  if (row.targetVoxels > 0) return predicted ? formulas[name](row) : worst;
  return scoreOfAbsent(absent, predicted, perfect, worst);
}

/** The score of a class without target voxels. */
export function scoreOfAbsent(
  absent: MetricsAbsent,
  predicted: boolean,
  perfect: number,
  worst: number,
): number {
  switch (absent) {
    case 'skip':
      return Number.NaN;
    case 'perfect':
      return perfect;
    case 'worst':
      return worst;
    case 'agree':
      return predicted ? worst : perfect;
    case 'skip-agreed':
      return predicted ? worst : Number.NaN;
    case 'formula': // distances and shares of nothing are 0
      return predicted ? worst : 0;
  }
}

/** What {@link SurfaceMetrics} measure. */
export const measuredSurfaces: Measured<SurfaceScoreName, ResolvedSurface> = {
  numbersPerRow,
  names: surfaceScoreNames,
  neededBy,
  score: surfaceScore,
  native: ({ surface, percentile, tolerance, boundaryDistance, ...options }) => ({
    elements: surface === 'elements',
    fraction: percentile / 100,
    tolerances:
      typeof tolerance === 'number'
        ? new Float64Array(scoredCount(options)).fill(tolerance)
        : tolerance && Float64Array.from(tolerance),
    boundaryWidth: boundaryDistance ?? 0,
    connectivity: 0,
  }),
};
