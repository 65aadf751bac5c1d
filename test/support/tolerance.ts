// How far from the reference a result may be.
import type { Solution } from '../reference/reference.js';
import { expectClose } from './compare.js';
import { ulp } from './half.js';
import { type DType, type FloatDType, numbers } from './tensors.js';

// Looked up once: under Jest a global costs 100 ns.
const { abs, max } = Math;
const { POSITIVE_INFINITY: infinity } = Number;

/** How far from the reference a value may be; `weight` is the largest class weight in it. */
export const valueTolerance =
  (dtype: FloatDType, weight = 1) =>
  (value: number): number =>
    (dtype === 'float64' ? 1e-12 : 1e-6) * max(abs(value), 0.1 * weight);

/** How far from the reference a gradient of `dtype` may be when it is stored as `stored`. */
export function gradTolerance(
  dtype: FloatDType,
  gradient: Float64Array,
  stored: DType = dtype,
): (expected: number) => number {
  const largest = gradient.reduce((a, b) => (abs(b) < infinity ? max(a, abs(b)) : a), 0);
  const absolute = (dtype === 'float64' ? 1e-12 : 1e-5) * largest;
  if (stored !== 'float16' && stored !== 'bfloat16') return () => absolute;
  return (expected) => absolute + ulp(expected, stored) / 2;
}

interface Outcome {
  value: { data: ArrayLike<number | bigint> };
  perClass: { data: ArrayLike<number | bigint> };
  parts?: { data: ArrayLike<number | bigint> };
  grad?: { data: ArrayLike<number | bigint>; dtype: DType };
}

/** Compares what the library returned with the reference. least: of the size of a value, in tenths. */
export function expectSolution(
  outcome: Outcome,
  solution: Solution,
  dtype: FloatDType,
  classWeights: ArrayLike<number> = [1],
  least = 1,
): void {
  const { value, perClass, grad } = outcome;
  const weight = least * Array.from(classWeights).reduce((a, b) => max(a, b));
  expectClose('value', numbers(value), solution.value, valueTolerance(dtype, weight));
  expectClose('perClass', numbers(perClass), solution.perClass, valueTolerance(dtype, least));
  if (outcome.parts) {
    expectClose('parts', numbers(outcome.parts), solution.parts, valueTolerance(dtype, weight));
  }
  if (!grad) return;
  const tolerance = gradTolerance(dtype, solution.gradient, grad.dtype);
  expectClose('grad', numbers(grad), solution.gradient, tolerance);
}
