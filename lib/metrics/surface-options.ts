// The options of the surface metrics, and their checks.
import {
  checkNonNegative,
  checkOneOf,
  checkPositive,
  rangeError,
  typeError,
} from '../common/check.js';
import type { MetricsOptions } from './options.js';
import { scoredCount } from './regions.js';
import { resolveSampleOptions } from './sample-options.js';

const surfaces = ['voxels', 'elements'] as const;

/** The options of {@link SurfaceMetrics}. Distances are in the unit of `spacing`. */
export interface SurfaceOptions extends Omit<MetricsOptions, 'aggregate' | 'threshold'> {
  /** As in {@link MetricsOptions}, one number. */
  threshold?: number;
  /**
   * The distance between neighbouring voxels along each spatial axis, in the order of the axes: two or three numbers above 0.
   * {@link SampleUpdateOptions.spacing} is that of one batch. Default ones.
   */
  spacing?: readonly number[];
  /**
   * What the surface of a mask is made of. `'voxels'`: its voxels with a face on the outside, or on the border of the image;
   * each counts once. This is MONAI's surface. `'elements'`: the places between 2 x 2 x 2 voxels where marching cubes would put
   * a surface; each counts by the area of the surface there (2D: between 2 x 2 pixels, by the length of the contour). This is
   * that of DeepMind's `surface-distance`. Default `'voxels'`.
   */
  surface?: 'voxels' | 'elements';
  /**
   * The percentile of score `'hausdorffPercentile'`, from 0 to 100. For voxels it is interpolated between two distances, as in
   * MONAI and NumPy; for elements it is the smallest distance with that share of the surface. Default 95.
   */
  percentile?: number;
  /** The tolerance of score `'surfaceDice'`, which needs it: a number from 0, or one for each class or region. */
  tolerance?: number | readonly number[];
  /** For score `'boundaryIou'`, which needs it: how wide the boundaries are, above 0. Its paper takes 2% of the image's diagonal. */
  boundaryDistance?: number;
  /**
   * The distance of a class that only the target or only the prediction has, where `absent` counts it. It has none: a finite
   * number, such as the diagonal of the image, keeps averages finite. Default Infinity.
   */
  worstDistance?: number;
}

/** {@link SurfaceOptions} with their defaults. */
export type ResolvedSurface = Readonly<
  Required<
    Omit<
      SurfaceOptions,
      | 'ignoreIndex'
      | 'threshold'
      | 'classNames'
      | 'regions'
      | 'spacing'
      | 'tolerance'
      | 'boundaryDistance'
      | 'worstDistance'
    >
  > &
    SurfaceOptions
>;

const ownKeys: readonly (keyof SurfaceOptions)[] = [
  'surface',
  'percentile',
  'tolerance',
  'boundaryDistance',
  'worstDistance',
];

/** Throws for anything that is not an option. */
export function resolveSurface(options: SurfaceOptions): ResolvedSurface {
  const resolved = resolveSampleOptions(options, ownKeys);
  const { tolerance, boundaryDistance, worstDistance } = options;
  return Object.freeze({
    ...resolved,
    surface: checkOneOf(options.surface, 'surface', surfaces, 'voxels'),
    percentile: checkPercentile(options.percentile),
    ...(tolerance !== undefined && { tolerance: checkTolerance(tolerance, scoredCount(resolved)) }),
    ...(boundaryDistance !== undefined && {
      boundaryDistance: checkPositive(boundaryDistance, 'boundaryDistance', 1),
    }),
    ...(worstDistance !== undefined &&
      worstDistance !== Number.POSITIVE_INFINITY && {
        worstDistance: checkNonNegative(worstDistance, 'worstDistance', 0),
      }),
  });
}

function checkPercentile(value: unknown): number {
  const percentile = checkNonNegative(value, 'percentile', 95);
  if (percentile > 100) throw rangeError('a number from 0 to 100', 'percentile', percentile);
  return percentile;
}

/** A number, or one for each class. */
function checkTolerance(value: unknown, classes: number): number | readonly number[] {
  if (typeof value === 'number') return checkNonNegative(value, 'tolerance', 0);
  if (!Array.isArray(value)) throw typeError('a number, or an array of them,', 'tolerance', value);
  if (value.length !== classes) {
    throw rangeError(`${classes} numbers, one per class or region,`, 'tolerance', value);
  }
  return Object.freeze(
    Array.from(value, (number, c) => checkNonNegative(number ?? null, `tolerance[${c}]`, 0)),
  );
}
