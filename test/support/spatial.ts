// Problems for losses that know where voxels lie, and the comparison of their gradients with finite differences.
import { ignoredLabels, type SpatialOptions, type SpatialProblem } from '../reference/spatial.js';
import { Random } from './random.js';
import { sizeOf, type Typed, tensor } from './tensors.js';

/** Two samples; class 1 is absent in the first, and there is a block of each class in the second. */
export function makeSpatial(
  seed: number,
  C: number,
  size: readonly number[],
  options: SpatialOptions = {},
): SpatialProblem {
  const { activation } = options;
  const marks = ignoredLabels(options);
  const random = new Random(seed);
  const [N, S] = [2, sizeOf(size)];
  const x = random.array(N * C * S, () =>
    activation === 'none' ? random.uniform() : 2 * random.normal(),
  );
  const labels = random.array(N * S, () => random.integer(4));
  labels.forEach((label, i) => {
    const block = i >= S && i < 1.5 * S ? 1 : label === 3 ? 1 : 0;
    const c = C === 1 ? block : i < S ? (label === 1 ? 0 : label % C) : (block + label) % C;
    const ignored = marks.length > 0 && random.integer(6) === 0;
    labels[i] = ignored ? (marks[i % marks.length] as number) : c;
  });
  return { N, C, size, x, labels };
}

export function spatialInputs(
  { N, C, size, x, labels }: SpatialProblem,
  dtype: 'float32' | 'float64' = 'float64',
): [Typed, Typed] {
  return [tensor(x, [N, C, ...size], dtype), tensor(labels, [N, ...size], 'uint8')];
}

/** The bytes of an array, as text: one comparison for all of them. */
export const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('latin1');

/** The largest difference between a gradient and the slopes of `value`, at every `stride`th logit. */
export function errorOfGradient(
  problem: SpatialProblem,
  gradient: ArrayLike<number>,
  value: (problem: SpatialProblem) => number,
  stride: number,
): number {
  const step = 1e-6;
  let largest = 0;
  for (let i = 0; i < problem.x.length; i += stride) {
    const at = (shift: number) => {
      const x = Float64Array.from(problem.x);
      x[i] = (x[i] as number) + shift;
      return value({ ...problem, x });
    };
    const slope = (at(step) - at(-step)) / (2 * step);
    largest = Math.max(largest, Math.abs((gradient[i] as number) - slope));
  }
  return largest;
}
