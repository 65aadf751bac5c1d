// The masks of test/peers/surfaces.py, made by the same generator.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ComponentScoreName, SurfaceScoreName } from '../../lib/index.js';
import { type Typed, tensor } from './tensors.js';

type Scores = Partial<Record<SurfaceScoreName, number>>;

/** components: MONAI's Dice per component, and what loops with SciPy find for both connectivities. */
export interface SolvedClass {
  scipy: Scores;
  monai: Scores;
  'surface-distance': Scores;
  components: {
    monai: number;
    corners: Record<ComponentScoreName, number>;
    faces: Record<ComponentScoreName, number>;
  } | null;
}

export interface SurfaceCase {
  seed: number;
  kind: 'noise' | 'ellipses' | 'brain';
  shape: number[];
  spacing: number[];
  percentile: number;
  tolerance: number;
  boundaryDistance: number;
  /** Of classes 1 and 2, what each library says; null where a mask is empty. */
  classes: (SolvedClass | null)[];
}

/** Integers below a limit: a linear congruential generator. */
function numbersFrom(seed: number): (limit: number) => number {
  let state = Math.imul(seed, 2654435761) >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state * limit) / 2 ** 32);
  };
}

/** A map of the classes 0, 1 and 2: noise, or ellipses that may reach over the border. */
export function makeMap(shape: readonly number[], kind: string, seed: number): Uint8Array {
  const below = numbersFrom(seed);
  const labels = new Uint8Array(shape.reduce((a, b) => a * b));
  if (kind === 'noise') {
    const share = 1 + below(8);
    return labels.map(() => (below(16) < share ? 1 + below(2) : 0));
  }
  for (const label of [1, 2, 1, 2].slice(0, 2 + below(3))) {
    const ellipse = shape.map((size) => ({
      size,
      middle: below(size),
      radius: 1 + below(1 + Math.floor(size / 2)),
    }));
    labels.forEach((_, i) => {
      let rest = i;
      const parts = ellipse.toReversed().map(({ size, middle, radius }) => {
        const part = ((rest % size) - middle) / radius;
        rest = Math.floor(rest / size);
        return part * part;
      });
      if (parts.reduceRight((sum, part) => sum + part, 0) <= 1) labels[i] = label;
    });
  }
  return labels;
}

/** The tissue map of examples/data, and the same moved by a plane, two rows and three voxels. */
function makeBrain([, rows, columns]: readonly number[]): [Uint8Array, Uint8Array] {
  const file = path.join(__dirname, '../../examples/data/brain-tissue.nii.gz');
  const header = 352;
  const truth = Uint8Array.from(gunzipSync(readFileSync(file)).subarray(header));
  const step = ((rows as number) + 2) * (columns as number) + 3;
  const moved = new Uint8Array(truth.length);
  moved.set(truth.subarray(0, -step), step);
  return [moved, truth];
}

/** The prediction and the target of a case, as label maps of one sample. */
export function mapsOf({ kind, shape, seed }: Omit<SurfaceCase, 'classes'>): [Typed, Typed] {
  const maps =
    kind === 'brain'
      ? makeBrain(shape)
      : [makeMap(shape, kind, seed * 2), makeMap(shape, kind, seed * 2 + 1)];
  return maps.map((map) => tensor(map, [1, ...shape], 'uint8')) as [Typed, Typed];
}
