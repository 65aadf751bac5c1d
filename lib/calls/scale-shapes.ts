// Checks that predictions at several scales, their target and their weight fit together. Each scale is then checked as a call.
import { cut, rangeError, sameShape, showShape } from '../common/check.js';
import type { Shaped } from '../head/linear-logits.js';
import type { Tensor } from '../tensors/tensor.js';
import { defaultNames } from './argument-names.js';
import { layoutAdvice } from './layout-advice.js';

type Shape = readonly number[];

interface ScaleRules {
  channelsLast: boolean;
  /** One of the predictions has the target's size. */
  fullSize: boolean;
  /** The ratio of the predictions' size to the target's is the same on every axis. */
  sameRatio: boolean;
}

/** @throws RangeError for shapes of scales that cannot belong together */
export function checkScales(
  predictions: readonly Shaped[],
  target: Tensor,
  weight: Tensor | undefined,
  rules: ScaleRules,
): void {
  const { channelsLast } = rules;
  const shapes = predictions.map(({ shape }) => shape);
  const [first] = shapes as [Shape];
  shapes.forEach((shape, i) => {
    if (shape.length < 3)
      throw rangeError('rank 3 or more', `the shape of predictions[${i}]`, shape);
    if (sameShape(fixedOf(shape, channelsLast), fixedOf(first, channelsLast))) return;
    const advice = layoutAdvice(first, target.shape, channelsLast);
    const expected = `shape ${anySize(first, channelsLast)}, as predictions[0] have ${showShape(first)},`;
    throw rangeError(expected, `predictions[${i}]`, shape, advice);
  });
  const full = sizeOfTarget(first, target, channelsLast);
  const sizes = shapes.map((shape) => sizeOf(shape, channelsLast));
  checkSizes(sizes, full, rules, layoutAdvice(first, target.shape, channelsLast));
  if (weight !== undefined) checkWeight(weight, target, first, full, channelsLast);
}

/** The spatial size of the target, which is dense or class indices. */
function sizeOfTarget(first: Shape, { shape }: Tensor, channelsLast: boolean): Shape {
  const dense = shape.length === first.length;
  const fits = dense
    ? sameShape(fixedOf(shape, channelsLast), fixedOf(first, channelsLast))
    : shape.length === first.length - 1 && shape[0] === first[0];
  if (fits) return dense ? sizeOf(shape, channelsLast) : shape.slice(1);
  const labels = cut(`[${[first[0], ...first.slice(2).map(() => 'any')].join(', ')}]`);
  const expected = `shape ${anySize(first, channelsLast)} (dense) or ${labels} (class indices)`;
  const axis = channelsLast ? shape.length - 1 : 1;
  const advice =
    dense && shape[0] === first[0] && shape[axis] === 1
      ? defaultNames.dropAxis(
          axis,
          shape.filter((_, i) => i !== axis),
        )
      : undefined;
  const name = `target, with predictions[0] of shape ${showShape(first)},`;
  throw rangeError(expected, name, shape, advice);
}

function checkSizes(
  sizes: readonly Shape[],
  full: Shape,
  { fullSize, sameRatio }: ScaleRules,
  advice: string | undefined,
): void {
  sizes.forEach((size, i) => {
    const name = `the size of predictions[${i}]`;
    if (size.some((length, axis) => length > (full[axis] as number))) {
      throw rangeError(`at most ${showShape(full)}, the target's size,`, name, size, advice);
    }
    if (sameRatio && !hasOneRatio(size, full)) {
      const unequal = 'set sameRatio: false if the network scales its axes differently';
      const expected = `the target's size, ${showShape(full)}, scaled by one factor on every axis,`;
      throw rangeError(expected, name, size, advice ?? unequal);
    }
  });
  if (!fullSize || sizes.some((size) => sameShape(size, full))) return;
  const coarse = "set fullSize: false if the network's largest output is smaller than the target";
  const received = sizes.slice(0, 4).map(showShape).join(', ');
  throw new RangeError(
    `Expected the target's size, ${showShape(full)}, for the size of one of predictions but received ${received}: ${advice ?? coarse}`,
  );
}

/** Whether some factor gives this size within less than one voxel on every axis: halves may be rounded up or down. */
function hasOneRatio(size: Shape, full: Shape): boolean {
  return size.every((length, a) =>
    size.every(
      (other, b) => (length - 1) * (full[b] as number) < (other + 1) * (full[a] as number),
    ),
  );
}

function checkWeight(
  { shape }: Tensor,
  target: Tensor,
  first: Shape,
  full: Shape,
  channelsLast: boolean,
): void {
  const samples = first[0] as number;
  const classes = first[channelsLast ? first.length - 1 : 1] as number;
  const wanted = [samples, ...full];
  const ofClasses = channelsLast ? [...wanted, classes] : [samples, classes, ...full];
  if (sameShape(shape, wanted) || sameShape(shape, ofClasses)) return;
  const name = `weight, with a target of shape ${showShape(target.shape)},`;
  const either = classes > 1 ? ` or ${showShape(ofClasses)}` : '';
  throw rangeError(`shape ${showShape(wanted)}${either}`, name, shape);
}

/** The spatial axes. */
const sizeOf = (shape: Shape, channelsLast: boolean): Shape =>
  channelsLast ? shape.slice(1, -1) : shape.slice(2);

/** Rank, samples and classes. */
const fixedOf = (shape: Shape, channelsLast: boolean): number[] => [
  shape.length,
  shape[0] as number,
  shape[channelsLast ? shape.length - 1 : 1] as number,
];

function anySize(shape: Shape, channelsLast: boolean): string {
  const kept = channelsLast ? shape.length - 1 : 1;
  return cut(`[${shape.map((size, i) => (i === 0 || i === kept ? size : 'any')).join(', ')}]`);
}
