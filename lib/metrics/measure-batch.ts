// Measures one batch of the surface metrics: checks the arguments and calls the addon.
import type { Binding, NativeCount, NativeSurfaces } from '../../binding.js';
import { checkKeys, showShape } from '../common/check.js';
import { native } from '../native/load.js';
import { callNative, callNativeAsync } from '../native/translate-error.js';
import { makeTensorData } from '../tensors/allocate.js';
import { toTensor } from '../tensors/argument.js';
import { floatsOrLabels, labels } from '../tensors/dtype.js';
import type { TensorLike } from '../tensors/tensor.js';
import { BatchCounter, type PreparedCount } from './count-batch.js';
import { callCount } from './native-count.js';
import { checkSpacing, type ResolvedSurface } from './surface-options.js';
import { numbersPerRow } from './surface-scores.js';

/** The options of {@link SurfaceMetrics.update}. */
export interface SurfaceUpdateOptions {
  /** The spacing of this batch's voxels, in place of {@link SurfaceOptions.spacing}. */
  spacing?: readonly number[];
}

/** Measures batches for metrics of these options. The result is the numbers of each sample and class, [N, C, 14]. */
export class BatchMeasurer {
  readonly #options: ResolvedSurface;
  /** Counts what is measured, because counting finds every value that is out of range. */
  readonly #counter: BatchCounter;
  readonly #tolerances: Float64Array | undefined;

  constructor(options: ResolvedSurface) {
    const { classes, tolerance } = options;
    this.#options = options;
    this.#counter = new BatchCounter({ ...options, aggregate: 'global' });
    this.#tolerances =
      typeof tolerance === 'number'
        ? new Float64Array(classes).fill(tolerance)
        : tolerance && Float64Array.from(tolerance);
  }

  measure(x: TensorLike, y: TensorLike, options: SurfaceUpdateOptions): Float64Array {
    const { prepared, surfaces } = this.#prepare(x, y, options);
    this.#counter.countPrepared(prepared);
    callNative(() => callSurfaces(native, 'measureSurfaces', prepared.native, surfaces));
    return surfaces.rows;
  }

  /** Wrong arguments throw at once; errors that the work finds reject the promise. */
  measureAsync(x: TensorLike, y: TensorLike, options: SurfaceUpdateOptions): Promise<Float64Array> {
    const { prepared, surfaces } = this.#prepare(x, y, options);
    // Both at once, because both read the arrays as they are now.
    const counted = this.#counter.countPreparedAsync(prepared);
    const measured = callNativeAsync(() =>
      callSurfaces(native, 'measureSurfacesAsync', prepared.native, surfaces),
    );
    return Promise.all([counted, measured]).then(() => surfaces.rows);
  }

  #prepare(
    x: TensorLike,
    y: TensorLike,
    options: SurfaceUpdateOptions,
  ): { prepared: PreparedCount; surfaces: NativeSurfaces } {
    checkKeys(options, 'options', ['spacing']);
    const { decision, surface, percentile, boundaryDistance = 0 } = this.#options;
    const { device } = toTensor(x, 'predictions', decision === 'labels' ? labels : floatsOrLabels);
    if (device.kind !== 'cpu') {
      throw new TypeError(
        `Expected a tensor on cpu for predictions, as surfaces are measured there, but received one on ${device}: use to('cpu')`,
      );
    }
    const prepared = this.#counter.prepare(x, y, {});
    const sizes = this.#spatial(prepared.shape);
    const { samples, classes } = prepared.native;
    const numbers = samples * classes * numbersPerRow;
    const surfaces = {
      sizes,
      spacing: this.#spacing(sizes, options.spacing),
      elements: surface === 'elements',
      fraction: percentile / 100,
      tolerances: this.#tolerances,
      boundaryWidth: boundaryDistance,
      rows: makeTensorData('float64', numbers, true) as Float64Array,
    };
    return { prepared, surfaces };
  }

  #spatial(shape: readonly number[]): number[] {
    const { decision, layout } = this.#options;
    const last = decision !== 'labels' && layout === 'channels-last';
    const first = decision === 'labels' || last ? 1 : 2;
    const sizes = shape.slice(first, last ? -1 : undefined);
    if (sizes.length === 2 || sizes.length === 3) return sizes;
    throw new RangeError(
      `Expected 2 or 3 spatial axes for predictions but received ${sizes.length} in shape ${showShape(shape)}`,
    );
  }

  #spacing(sizes: readonly number[], ofBatch: unknown): number[] {
    const spacing = ofBatch === undefined ? this.#options.spacing : checkSpacing(ofBatch);
    if (spacing === undefined) return sizes.map(() => 1);
    if (spacing.length === sizes.length) return [...spacing];
    throw new RangeError(
      `Expected ${sizes.length} numbers, one per spatial axis, for spacing but received ${showShape(spacing)}`,
    );
  }
}

/** Calls the addon: the one place of lib/ that knows the order of the values after those of a count. */
export function callSurfaces<Method extends 'measureSurfaces' | 'measureSurfacesAsync'>(
  addon: Pick<Binding, Method>,
  method: Method,
  count: NativeCount,
  { sizes, spacing, elements, fraction, tolerances, boundaryWidth, rows }: NativeSurfaces,
): ReturnType<Binding[Method]> {
  const more = [sizes, spacing, elements, fraction, tolerances, boundaryWidth, rows];
  const all = {
    count: (...values: unknown[]) => addon[method](...(values as never[]), ...(more as never[])),
  };
  return callCount(all, 'count', count) as ReturnType<Binding[Method]>;
}
