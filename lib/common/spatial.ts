// Where voxels lie: the spatial axes of a shape, and the spacing along them.
import { checkPositive, rangeError, showShape, typeError } from './check.js';

/** Squared distances are computed: of these neither overflows, nor is it rounded to 0. */
const [leastSpacing, mostSpacing] = [1e-100, 1e100];

/** Two or three numbers above 0. */
export function checkSpacing(value: unknown): readonly number[] {
  if (!Array.isArray(value)) {
    const advice = typeof value === 'number' ? 'give one for each spatial axis' : undefined;
    throw typeError('an array of numbers', 'spacing', value, advice);
  }
  if (value.length !== 2 && value.length !== 3) {
    throw rangeError('2 or 3 numbers, one per spatial axis,', 'spacing', value);
  }
  return Object.freeze(Array.from(value, (number, axis) => checkOne(number, `spacing[${axis}]`)));
}

function checkOne(value: unknown, name: string): number {
  const spacing = checkPositive(value ?? null, name, 1);
  if (spacing >= leastSpacing && spacing <= mostSpacing) return spacing;
  throw rangeError(`a number from ${leastSpacing} to ${mostSpacing}`, name, spacing);
}

/** The two or three spatial lengths of predictions. hasClasses: whether the shape has a class axis. */
export function spatialSizes(
  shape: readonly number[],
  hasClasses: boolean,
  channelsLast: boolean,
): number[] {
  const last = hasClasses && channelsLast;
  const sizes = shape.slice(hasClasses && !last ? 2 : 1, last ? -1 : undefined);
  if (sizes.length === 2 || sizes.length === 3) return sizes;
  throw new RangeError(
    `Expected 2 or 3 spatial axes for predictions but received ${sizes.length} in shape ${showShape(shape)}`,
  );
}

/** The spacing for an image of these lengths; ones where there is none. advice: for another number of axes. */
export function spacingOf(
  sizes: readonly number[],
  spacing: readonly number[] | undefined,
  advice = '',
): number[] {
  if (spacing === undefined) return sizes.map(() => 1);
  if (spacing.length === sizes.length) return [...spacing];
  throw new RangeError(
    `Expected ${sizes.length} numbers, one per spatial axis, for spacing but received ${showShape(spacing)}${advice}`,
  );
}
