// Targets with several labels to ignore, and the same with one label in their place.
import { Random } from './random.js';
import { type DType, sizeOf, type Typed, tensor } from './tensors.js';

export interface Marks {
  dtype: DType;
  ignoreIndex: readonly number[];
  /** The one that stands for all in the other target; a label that the dtype can hold. */
  one: number;
}

/** Labels below the number of classes among them, negative ones, some twice, and some that the dtype cannot hold. */
export const marks: readonly Marks[] = [
  { dtype: 'uint8', ignoreIndex: [254, 255], one: 254 },
  { dtype: 'uint8', ignoreIndex: [-1, 300, 7, 2 ** 40, 1, 255, 255], one: 255 },
  { dtype: 'int16', ignoreIndex: [-1, 40_000, 300, -32_768, -1], one: 300 },
  { dtype: 'uint16', ignoreIndex: [65_535, -1, 255], one: 255 },
  { dtype: 'int32', ignoreIndex: [-7, 0, 2 ** 31 - 1, -(2 ** 31), 2 ** 31], one: -7 },
  { dtype: 'int64', ignoreIndex: [2 ** 53 - 1, -(2 ** 53) + 1, 255], one: 255 },
  { dtype: 'int32', ignoreIndex: Array.from({ length: 16 }, (_, i) => 100 + i), one: 115 },
];

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  uint8: [0, 255],
  int16: [-32_768, 32_767],
  uint16: [0, 65_535],
  int32: [-(2 ** 31), 2 ** 31 - 1],
};

const fits = (dtype: DType, label: number): boolean => {
  const [least, most] = ranges[dtype] ?? [-Infinity, Infinity];
  return label >= least && label <= most;
};

/** Labels of classes, every third a label to ignore; and with one for all of these. values: other than whole labels. */
export function makeTargets(
  { dtype, ignoreIndex, one }: Marks,
  shape: readonly number[],
  classes: number,
): { several: Typed; single: Typed } {
  const random = new Random(sizeOf(shape));
  const held = ignoreIndex.filter((label) => fits(dtype, label));
  const labels = random.array(sizeOf(shape), () =>
    random.integer(3) === 0
      ? (held[random.integer(held.length)] as number)
      : random.integer(Math.max(classes, 2)),
  );
  const singles = labels.map((label) => (ignoreIndex.includes(label) ? one : label));
  return { several: tensor(labels, shape, dtype), single: tensor(singles, shape, dtype) };
}
