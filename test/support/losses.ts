// All losses of the library, by the names that tests use.
import {
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  GeneralizedWassersteinDiceLoss,
  JaccardLoss,
  type Loss,
  MatthewsLoss,
  TverskyLoss,
  UnifiedFocalLoss,
} from '../../lib/index.js';
import type { ReferenceOptions } from '../reference/reference.js';
import type { LossName } from '../reference/reference-value.js';

interface Entry {
  Class: new (options: never) => Loss;
  /** What the reference calls it, and the options that the class itself sets. */
  loss: LossName;
  defaults?: ReferenceOptions;
  /** What it does not take: activations and options, which makeLoss leaves out. */
  without?: readonly string[];
  /** Options worth a row of the matrices. */
  variants: readonly ReferenceOptions[];
}

/** Not symmetric, so that rows and columns cannot be exchanged. */
const distances = [
  [0, 1, 0.75],
  [1, 0, 0.5],
  [0.9, 0.25, 0],
];
const transforms: ReferenceOptions[] = [
  { gamma: 4 / 3 },
  { transform: 'log' },
  { transform: 'log', gamma: 0.3, absent: 'formula' },
  { transform: 'log-cosh' },
];
const compounds: ReferenceOptions[] = [
  { focal: { weight: 0.7, gamma: 0.5 }, crossEntropy: {} },
  { crossEntropy: {} },
  { crossEntropy: { weight: 0.5, labelSmoothing: 0.2 }, overlapWeight: 2 },
];

export const losses = {
  dice: {
    Class: DiceLoss,
    loss: 'dice',
    variants: [
      {},
      ...transforms,
      ...compounds,
      { absent: 'skip' },
      { absent: 'perfect' },
      { absent: 'worst', crossEntropy: { weight: 2 } },
      { overlap: 'minimum' },
      { overlap: 'minimum', transform: 'log', crossEntropy: {} },
    ],
  },
  jaccard: {
    Class: JaccardLoss,
    loss: 'jaccard',
    variants: [{}, { overlap: 'minimum' }, ...transforms, ...compounds],
  },
  tversky: {
    Class: TverskyLoss,
    loss: 'tversky',
    variants: [
      {},
      { alpha: 0.3, beta: 0.7 },
      { alpha: 0.3, beta: 0.7, gamma: 4 / 3 },
      { alpha: 0.8, beta: 0.4, denominator: 'squared', gamma: 0.5 },
      { alpha: 0.3, beta: 0.7, absent: 'skip', crossEntropy: {} },
    ],
  },
  generalized: {
    Class: GeneralizedDiceLoss,
    loss: 'generalized',
    variants: [
      {},
      { weighting: 'simple' },
      { weighting: 'uniform', denominator: 'squared' },
      { absent: 'skip', transform: 'log' },
      { crossEntropy: { labelSmoothing: 0.1 } },
      { overlap: 'minimum', focal: {} },
    ],
  },
  diceCE: {
    Class: DiceCELoss,
    loss: 'dice',
    defaults: { activation: 'softmax', crossEntropy: {} },
    variants: [{}, { crossEntropy: { weight: 3, labelSmoothing: 0.9 }, overlapWeight: 0 }],
  },
  diceFocal: {
    Class: DiceFocalLoss,
    loss: 'dice',
    defaults: { activation: 'softmax', focal: {} },
    variants: [{}, { focal: { weight: 3, gamma: 0 } }, { focal: { gamma: 5 }, overlap: 'minimum' }],
  },
  wasserstein: {
    Class: GeneralizedWassersteinDiceLoss,
    loss: 'wasserstein',
    without: ['sigmoid', 'background'],
    variants: [
      { distances },
      { distances, backgroundIndex: 2, transform: 'log-cosh' },
      { distances, measuredFrom: 'largest' },
      { distances, backgroundIndex: 1, weighting: 'GDL', classWeights: [2, 1, 0.5] },
      { distances, crossEntropy: {}, focal: {} },
    ],
  },
  matthews: {
    Class: MatthewsLoss,
    loss: 'matthews',
    without: ['denominator', 'smoothNumerator', 'smoothDenominator'],
    variants: [
      {},
      { smooth: 0.25, absent: 'skip', crossEntropy: {} },
      { average: 'micro', gamma: 4 / 3 },
      { average: 'micro', smooth: 1e-5, overlap: 'minimum' },
      { average: 'multiclass' },
      { average: 'multiclass', smooth: 0.5, focal: {} },
    ],
  },
  unified: {
    Class: UnifiedFocalLoss,
    loss: 'unified',
    defaults: { activation: 'softmax' },
    without: ['none', 'sigmoid', 'background', 'denominator'],
    variants: [
      {},
      { lambda: 0.3, delta: 0.7, gamma: 0.75 },
      { asymmetric: false, delta: 0.7, gamma: 0.2, absent: 'skip' },
      { lambda: 1, gamma: 0, overlap: 'minimum' },
      { lambda: 0, asymmetric: false },
    ],
  },
} as const satisfies Record<string, Entry>;

/** Options of the parts that need one activation, or mean something else under another; for three classes. */
export const termFactors = {
  sigmoid: [
    { crossEntropy: { positiveWeight: 3 } },
    { crossEntropy: { positiveWeight: [0.5, 2, 0], labelSmoothing: 0.3, classWeights: [1, 2, 3] } },
    { focal: { alpha: 0.25 } },
    { focal: { alpha: [0.25, 0.5, 1], gamma: 0.5 }, crossEntropy: { positiveWeight: 2 } },
  ],
  softmax: [
    { focal: { alpha: [0.25, 0.75, 2] } },
    { focal: { alpha: [1, 0, 3], gamma: 1 }, crossEntropy: { classWeights: [3, 0, 1] } },
  ],
} as const;

export type LossKey = keyof typeof losses;

/** The losses by name. */
export const lossKeys = Object.keys(losses) as LossKey[];

export const entryOf = (key: LossKey): Entry => losses[key];

/** A row of the matrices: a loss and some of its options. */
export interface Cell {
  key: LossKey;
  variant: ReferenceOptions;
}

export const cells: Cell[] = lossKeys.flatMap((key) =>
  entryOf(key).variants.map((variant) => ({ key, variant })),
);

/** Whether there is a cross-entropy or a focal loss beside the overlap. */
export function isCompound({ key, variant }: Cell): boolean {
  const { crossEntropy, focal } = { ...entryOf(key).defaults, ...variant };
  return crossEntropy !== undefined || focal !== undefined;
}

/** The activations that it takes: a likelihood needs logits. */
export function activationsOf(cell: Cell) {
  const { without = [] } = entryOf(cell.key);
  return (['none', 'sigmoid', 'softmax'] as const).filter(
    (activation) => !(activation === 'none' && isCompound(cell)) && !without.includes(activation),
  );
}

export function makeLoss(key: LossKey, options: ReferenceOptions): Loss {
  const { Class, without = [] } = entryOf(key);
  const taken = Object.entries(options).filter(([name]) => !without.includes(name));
  return new Class(Object.fromEntries(taken) as never);
}
