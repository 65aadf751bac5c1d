// Computes scores from the numbers of a sample and class that native/cpu/surface/components.h names.
import type { ResolvedComponents } from './component-options.js';
import type { Measured } from './sample-metrics.js';
import { scoreOfAbsent } from './surface-scores.js';

/** The scores of {@link ComponentMetrics}. T and P: components of target and prediction. */
export type ComponentScoreName =
  /**
   * The mean over the T of the Dice of the voxels that are nearer to T than to any other component of the target, as MONAI's
   * `per_component`.
   */
  | 'regionDice'
  /** The sum over the T of the Dice of T and all P that match it, divided by the number of T and of P that match none. */
  | 'lesionDice'
  /** The share of the T that a P matches. */
  | 'lesionRecall'
  /** The share of the P that match a T. */
  | 'lesionPrecision'
  /** 2TP / (2TP + FP + FN): TP the T that a P matches, FN the others, FP the P that match none. */
  | 'lesionF1';

interface Row {
  targets: number;
  predictions: number;
  found: number;
  right: number;
  regionDice: number;
  matchDice: number;
}

const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b);

const formulas: Record<ComponentScoreName, (row: Row) => number> = {
  regionDice: ({ regionDice, targets }) => ratio(regionDice, targets),
  lesionDice: ({ matchDice, targets, predictions, right }) =>
    ratio(matchDice, targets + predictions - right),
  lesionRecall: ({ found, targets }) => ratio(found, targets),
  lesionPrecision: ({ right, predictions }) => ratio(right, predictions),
  lesionF1: ({ found, targets, predictions, right }) =>
    ratio(2 * found, found + targets + predictions - right),
};

/** What {@link ComponentMetrics} measure. */
export const measuredComponents: Measured<ComponentScoreName, ResolvedComponents> = {
  numbersPerRow: 8,
  names: Object.keys(formulas) as ComponentScoreName[],
  neededBy: {},
  score: (name, numbers, { absent }) => {
    const [inTarget, inPrediction, targets, predictions, found, right, regionDice, matchDice] =
      numbers as unknown as [number, number, number, number, number, number, number, number];
    if (inTarget === 0) return scoreOfAbsent(absent, inPrediction > 0, 1, 0);
    return formulas[name]({ targets, predictions, found, right, regionDice, matchDice });
  },
  native: ({ connectivity }) => ({
    elements: false,
    fraction: 0,
    tolerances: undefined,
    boundaryWidth: 0,
    connectivity: connectivity === 'corners' ? 2 : 1,
  }),
};
