// The soft skeleton and clDice, from their definitions: slow and obvious, in float64.
import type { ClassVoxels } from './spatial.js';

export interface ClDiceOptions {
  iterations?: number;
  alpha?: number;
  smoothNumerator?: number;
  smoothDenominator?: number;
  smoothHarmonic?: number;
}

/** Of each voxel those whose steps to it `is` takes, itself included. */
function neighbours(voxels: ClassVoxels, is: (steps: number[]) => boolean): number[][] {
  return voxels.map(({ at }) =>
    voxels.flatMap((other, i) => {
      const steps = other.at.map((k, axis) => Math.abs(k - (at[axis] as number)));
      return is(steps) ? [i] : [];
    }),
  );
}

export function softSkeleton(voxels: ClassVoxels, values: number[], iterations: number): number[] {
  const cross = neighbours(voxels, (steps) => steps.reduce((a, b) => a + b, 0) <= 1);
  const block = neighbours(voxels, (steps) => Math.max(...steps) <= 1);
  const pool = (image: number[], over: number[][], of: (...all: number[]) => number) =>
    over.map((near) => of(...near.map((i) => image[i] as number)));
  const erode = (image: number[]) => pool(image, cross, Math.min);
  const open = (image: number[]) => pool(erode(image), block, Math.max);
  const relu = (x: number) => Math.max(0, x);
  let image = values;
  let opened = open(image);
  let skeleton = image.map((e, i) => relu(e - (opened[i] as number)));
  for (let k = 0; k < iterations; k++) {
    image = erode(image);
    opened = open(image);
    const deltas = image.map((e, i) => relu(e - (opened[i] as number)));
    skeleton = skeleton.map((s, i) => s + relu((deltas[i] as number) - s * (deltas[i] as number)));
  }
  return skeleton;
}

export const clDiceOf =
  ({
    iterations = 3,
    alpha = 1,
    smoothNumerator: n = 1,
    smoothDenominator: d = 1,
    smoothHarmonic: h = 0,
  }: ClDiceOptions) =>
  (samples: ClassVoxels[]): number => {
    const all = samples.flatMap((voxels) => {
      const [p, t] = [voxels.map((v) => v.p), voxels.map((v) => Number(v.t))];
      const [ofP, ofT] = [p, t].map((values) => softSkeleton(voxels, values, iterations));
      return voxels.map(
        (_, i) =>
          ({ p: p[i], t: t[i], sp: ofP?.[i], st: ofT?.[i] }) as Record<
            'p' | 't' | 'sp' | 'st',
            number
          >,
      );
    });
    const sum = (of: (voxel: (typeof all)[number]) => number) =>
      all.reduce((total, voxel) => total + of(voxel), 0);
    const ratio = (a: number, b: number) => (b === 0 ? 0 : a / b);
    const precision = ratio(sum(({ sp, t }) => sp * t) + n, sum(({ sp }) => sp) + d);
    const sensitivity = ratio(sum(({ st, p }) => st * p) + n, sum(({ st }) => st) + d);
    const clDice = 1 - ratio(2 * precision * sensitivity, precision + sensitivity + h);
    const dice = 1 - ratio(2 * sum(({ p, t }) => p * t) + n, sum(({ p, t }) => p + t) + d);
    return (1 - alpha) * dice + alpha * clDice;
  };
