// Measures one batch of the surface metrics: checks the arguments and calls the addon.
import type { Binding, NativeCount, NativeSurfaces } from '../../binding.js';
import { checkKeys, rangeError, showShape } from '../common/check.js';
import { checkSpacing, spacingOf, spatialSizes } from '../common/spatial.js';
import { native } from '../native/load.js';
import { callNative, callNativeAsync } from '../native/translate-error.js';
import { makeTensorData } from '../tensors/allocate.js';
import { toTensor } from '../tensors/argument.js';
import { floatsOrLabels, labels } from '../tensors/dtype.js';
import type { TensorLike } from '../tensors/tensor.js';
import { BatchCounter, type PreparedCount } from './count-batch.js';
import { callCount } from './native-count.js';
import { checkSampleNames, memberLists, scoredCount } from './regions.js';
import type { SampleOptions } from './sample-options.js';

/** What the addon measures. */
export type NativeMeasurement = Omit<NativeSurfaces, 'sizes' | 'spacing' | 'regions' | 'rows'>;

/** The options of {@link SampleMetrics.update}. */
export interface SampleUpdateOptions {
  /** The spacing of this batch's voxels, in place of the option `spacing` of the metrics. */
  spacing?: readonly number[];
  /**
   * The name of the batch's sample, for reports, or an array of one for each. It must be new: surfaces of the tiles of a case
   * are not those of the case, so tiles are to be put together first.
   */
  sample?: string | readonly string[];
}

export type CheckNames = (names: readonly string[]) => void;

/** A batch that was measured. */
export interface MeasuredBatch {
  /** The numbers of each sample and class or region, [N, C, 14]. */
  readonly rows: Float64Array;
  /** Of the samples, '' for none. */
  readonly names: readonly string[];
}

/** Measures batches for metrics of these options. */
export class BatchMeasurer {
  readonly #options: SampleOptions;
  readonly #measurement: NativeMeasurement;
  readonly #numbersPerRow: number;
  /** Counts what is measured, because counting finds every value that is out of range. */
  readonly #counter: BatchCounter;

  constructor(options: SampleOptions, measurement: NativeMeasurement, numbersPerRow: number) {
    this.#options = options;
    this.#measurement = measurement;
    this.#numbersPerRow = numbersPerRow;
    this.#counter = new BatchCounter({ ...options, aggregate: 'global' });
  }

  /** checkNames: throws for names that are not new. */
  measure(
    x: TensorLike,
    y: TensorLike,
    options: SampleUpdateOptions,
    checkNames: CheckNames,
  ): MeasuredBatch {
    const { prepared, surfaces, names } = this.#prepare(x, y, options);
    checkNames(names);
    this.#counter.countPrepared(prepared);
    callNative(() => callSurfaces(native, 'measureSurfaces', prepared.native, surfaces));
    return { rows: surfaces.rows, names };
  }

  /** Wrong arguments throw at once; errors that the work finds reject the promise. */
  measureAsync(
    x: TensorLike,
    y: TensorLike,
    options: SampleUpdateOptions,
    checkNames: CheckNames,
  ): Promise<MeasuredBatch> {
    const { prepared, surfaces, names } = this.#prepare(x, y, options);
    checkNames(names);
    // Both at once, because both read the arrays as they are now.
    const counted = this.#counter.countPreparedAsync(prepared);
    const measured = callNativeAsync(() =>
      callSurfaces(native, 'measureSurfacesAsync', prepared.native, surfaces),
    );
    return Promise.all([counted, measured]).then(() => ({ rows: surfaces.rows, names }));
  }

  #prepare(
    x: TensorLike,
    y: TensorLike,
    options: SampleUpdateOptions,
  ): { prepared: PreparedCount; surfaces: NativeSurfaces; names: readonly string[] } {
    checkKeys(options, 'options', ['spacing', 'sample']);
    const { decision, layout, regions } = this.#options;
    const { device } = toTensor(x, 'predictions', decision === 'labels' ? labels : floatsOrLabels);
    if (device.kind !== 'cpu') {
      throw new TypeError(
        `Expected a tensor on cpu for predictions, as it is measured there, but received one on ${device}: use to('cpu')`,
      );
    }
    const prepared = this.#counter.prepare(x, y, {});
    const channelsLast = layout === 'channels-last';
    const { shape } = prepared;
    const sizes = spatialSizes(shape, decision !== 'labels', channelsLast);
    const ofBatch = options.spacing;
    const spacing = ofBatch === undefined ? this.#options.spacing : checkSpacing(ofBatch);
    const { samples } = prepared.native;
    if (decision === 'labels') this.#expectNoClassAxis(shape, sizes);
    // A volume without a batch axis reads as a batch of images.
    const alone =
      decision === 'labels' && shape.length === 3
        ? `a volume alone has shape ${showShape([1, ...shape])}`
        : undefined;
    if (typeof options.sample === 'string' && samples > 1) {
      throw rangeError(
        `${samples} names, one for each sample of shape ${showShape(shape)},`,
        'sample',
        options.sample,
        alone,
      );
    }
    const numbers = samples * scoredCount(this.#options) * this.#numbersPerRow;
    const distances = spacingOf(sizes, spacing, alone && spacing?.length === 3 ? `: ${alone}` : '');
    const [width, least] = [this.#measurement.boundaryWidth, Math.min(...distances)];
    if (width > 0 && width < least) {
      throw rangeError(
        `${least} or more, so that boundaries have voxels,`,
        'boundaryDistance',
        width,
        'it is in the unit of spacing',
      );
    }
    const surfaces = {
      sizes,
      spacing: distances,
      ...this.#measurement,
      regions: memberLists(regions),
      rows: makeTensorData('float64', numbers, true) as Float64Array,
    };
    const names = checkSampleNames(options.sample, samples) ?? Array<string>(samples).fill('');
    return { prepared, surfaces, names };
  }

  #expectNoClassAxis(shape: readonly number[], sizes: readonly number[]): void {
    const [first, ...image] = sizes;
    const isSurface = this.#measurement.connectivity === 0;
    if (!isSurface || image.length < 2 || first !== 1) return;
    throw new RangeError(
      `Expected shape ${showShape([shape[0], ...image])} for predictions, as decision is 'labels', but received ${showShape(shape)}: every voxel of a volume of one slice is surface`,
    );
  }
}

/** Calls the addon: the one place of lib/ that knows the order of the values after those of a count. */
export function callSurfaces<Method extends 'measureSurfaces' | 'measureSurfacesAsync'>(
  addon: Pick<Binding, Method>,
  method: Method,
  count: NativeCount,
  of: NativeSurfaces,
): ReturnType<Binding[Method]> {
  const more = [
    of.sizes,
    of.spacing,
    of.elements,
    of.fraction,
    of.tolerances,
    of.boundaryWidth,
    of.connectivity,
    of.regions,
    of.rows,
  ];
  const all = {
    count: (...values: unknown[]) => addon[method](...(values as never[]), ...(more as never[])),
  };
  return callCount(all, 'count', count) as ReturnType<Binding[Method]>;
}
