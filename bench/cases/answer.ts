// The answer in plain float64, by the reference of the tests, and the comparison with it. Nothing that is wrong is timed.
import type { Tensor } from 'warpdice';
import { type ReferenceOptions, reference } from '../../test/reference/reference.js';
import { decodeHalf, type Half, ulp } from '../../test/support/half.js';
import { type Group, isHalf } from './cases.js';
import { type LossName, losses } from './losses.js';
import { type Problem, sizesOf, tileOf } from './problem.js';

/** Every sample repeats one tile of voxels (problem.ts): it has the tile's value, and its gradient over their number. */
export interface Answer {
  readonly value: number;
  /** [C], where the loss has a value for each class. */
  readonly perClass?: Float64Array;
  /** Of a tile, [C, tile]. */
  readonly gradient: Float64Array;
  readonly largestGradient: number;
}

export function solve(
  { activation }: Pick<Group, 'activation'>,
  shape: readonly number[],
  name: LossName,
): Answer {
  const kind: { reference: (typeof losses)[LossName]['reference']; options?: ReferenceOptions } =
    losses[name];
  const { N, C, S } = sizesOf(shape);
  const { size, sixteenths, labels } = tileOf(C, S);
  const tiles = S / size;
  // The sums that the default of 1e-7 is added to grow with the tiles; those of generalized Dice, with weights 1/V^2, shrink.
  const smoothDenominator = kind.reference === 'generalized' ? 1e-7 * tiles : 1e-7 / tiles;
  const { value, perClass, gradient } = reference({
    loss: kind.reference,
    N: 1,
    C,
    S: size,
    predictions: Float64Array.from(sixteenths, (x) => x / 16),
    labels,
    gradScale: 1 / (N * tiles),
    options: { ...kind.options, activation, smoothDenominator },
  });
  return {
    value: value[0],
    ...(kind.reference !== 'generalized' && { perClass }),
    gradient,
    largestGradient: gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0),
  };
}

export interface Outputs {
  readonly value?: Tensor;
  readonly perClass?: Tensor;
  readonly grad?: Tensor;
}

/** Why the outputs are wrong, or undefined: value within 1e-6, gradient within 1e-5 of the largest plus rounding. */
export function faultOf(
  problem: Problem,
  answer: Answer,
  outputs: Outputs,
  gradScale: number,
): string | undefined {
  const near = (x: number, right: number) => Math.abs(x - right) <= 1e-6 * Math.max(right, 0.1);
  if (outputs.value) {
    const value = outputs.value.itemSync();
    if (!near(value, answer.value)) return `value ${value} instead of ${answer.value}`;
  }
  if (outputs.perClass && answer.perClass) {
    for (let i = 0; i < outputs.perClass.size; i++) {
      const is = Number(outputs.perClass.data[i]);
      const right = answer.perClass[i % answer.perClass.length];
      if (!near(is, right)) return `perClass[${i}] ${is} instead of ${right}`;
    }
  }
  return outputs.grad && gradientFault(problem, answer, outputs.grad, gradScale);
}

function gradientFault(
  { N, C, S, case: { dtype, layout } }: Problem,
  answer: Answer,
  grad: Tensor,
  gradScale: number,
): string | undefined {
  const data = grad.data as Float32Array | Float64Array | Uint16Array;
  const half = isHalf(dtype) ? dtype : undefined;
  const decode = half && tableOf(half);
  const allowed = 1e-5 * answer.largestGradient * gradScale;
  const tile = answer.gradient.length / C;
  const [classStride, voxelStride] = layout === 'channels-last' ? [1, C] : [S, 1];
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const at = n * C * S + c * classStride;
      for (let s = 0; s < S; s++) {
        const stored = data[at + s * voxelStride];
        const is = decode ? decode[stored] : stored;
        const right = answer.gradient[c * tile + ((s + n) % tile)] * gradScale;
        // Written so that NaN is a fault.
        if (!(Math.abs(is - right) <= allowed + (half ? ulp(right, half) / 2 : 0))) {
          return `gradient ${is} instead of ${right} at sample ${n}, class ${c}, voxel ${s}`;
        }
      }
    }
  }
  return undefined;
}

/** The number that each pattern of 16 bits stands for. */
const tableOf = (half: Half) =>
  Float64Array.from({ length: 65536 }, (_, bits) => decodeHalf(bits, half));
