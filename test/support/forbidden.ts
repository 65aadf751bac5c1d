// Cases whose class 1 has weight 0 and is forbidden (a logit of -Infinity) at every third voxel, also where it is the target:
// its cross-entropy and focal loss are infinite, and must not be seen.

import { type Case, makeCase, type Spec } from './cases.js';
import type { Cell } from './losses.js';
import { type FloatDType, numbers } from './tensors.js';

export const forbiddenCells: Cell[] = [
  { key: 'diceCE', variant: {} },
  { key: 'diceCE', variant: { crossEntropy: { labelSmoothing: 0.25 }, overlapWeight: 0 } },
  { key: 'diceCE', variant: { crossEntropy: { labelSmoothing: 1 } } },
  { key: 'diceFocal', variant: {} },
  { key: 'diceFocal', variant: { focal: { gamma: 0 } } },
  { key: 'jaccard', variant: { crossEntropy: {}, focal: { gamma: 1.5 } } },
  { key: 'tversky', variant: { crossEntropy: {}, transform: 'log' } },
  { key: 'generalized', variant: { crossEntropy: {} } },
];

const reductions = ['mean', 'sum', 'none'] as const;
const dtypes: FloatDType[] = ['float32', 'float64', 'float16'];

/** Layouts, reductions, dtypes and the rest take turns, by a number. */
export function forbiddenCase(
  { key, variant }: Cell,
  activation: 'sigmoid' | 'softmax',
  target: 'labels' | 'dense',
  i: number,
): Case {
  const [N, C, S] = [2, 3, 37];
  const layout = i % 4 < 2 ? 'channels-first' : 'channels-last';
  const dtype = dtypes[i % 3] as FloatDType;
  const spec: Spec = {
    loss: key,
    N,
    C,
    spatial: [S],
    dtype,
    target,
    gradDtype: dtype === 'float64' ? 'float64' : 'float32',
    ...(i % 5 === 0 && { weight: 'float32' }),
    options: {
      ...variant,
      activation,
      layout,
      reduction: reductions[i % 3] as 'mean',
      batch: i % 7 < 3,
      classWeights: [0.5, 0, 2],
    },
  };
  const made = makeCase(spec);
  const bits = { float16: 0xfc00, float32: -Infinity, float64: -Infinity, bfloat16: 0xff80 }[dtype];
  for (let n = 0; n < N; n++) {
    for (let s = 0; s < S; s += 3) {
      const at = layout === 'channels-first' ? (n * C + 1) * S + s : (n * S + s) * C + 1;
      made.predictions.data[at] = bits;
    }
  }
  return { ...made, problem: { ...made.problem, predictions: numbers(made.predictions) } };
}
