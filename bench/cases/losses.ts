// The losses that are measured: how the library makes them, and their formulas in float64 for answer.ts. All take the library's
// defaults, reduction mean. From the sums of a sample, I = sum p t, P = sum p^k, T = sum t^k, each formula gives the value and
// dL/dI, dL/dP per class; then dL/dp = dI t + dP k p^(k-1).
import {
  DiceCELoss,
  DiceLoss,
  GeneralizedDiceLoss,
  JaccardLoss,
  type Loss,
  TverskyLoss,
} from 'warpdice';

interface Options {
  readonly activation: 'sigmoid' | 'softmax';
  readonly layout: 'channels-first' | 'channels-last';
}

/** Of one sample, each [C]. */
export interface SampleSums {
  readonly I: Float64Array;
  readonly P: Float64Array;
  readonly T: Float64Array;
}

export interface SampleResult {
  /** Of the sample: the value of the loss is their mean. */
  readonly value: number;
  /** [C], where the loss has a value for each class. */
  readonly perClass?: Float64Array;
  /** Of `value`, each [C]. */
  readonly dI: Float64Array;
  readonly dP: Float64Array;
}

export interface LossKind {
  make(options: Options): Loss;
  /** k */
  readonly power: 1 | 2;
  /** Adds the mean over all voxels of -log p of the label. */
  readonly crossEntropy?: boolean;
  ofSample(sums: SampleSums): SampleResult;
}

const smoothDenominator = 1e-7;

/** A loss with a value for each class, of which the sample's is the mean; `of` gives value, dL/dI and dL/dP of a class. */
function perClass(of: (I: number, P: number, T: number) => [number, number, number]) {
  return ({ I, P, T }: SampleSums): SampleResult => {
    const C = I.length;
    const results = Array.from(I, (_, c) => of(I[c], P[c], T[c]));
    const column = (i: 0 | 1 | 2, scale: number) => Float64Array.from(results, (r) => r[i] * scale);
    return {
      value: column(0, 1 / C).reduce((sum, x) => sum + x, 0),
      perClass: column(0, 1),
      dI: column(1, 1 / C),
      dP: column(2, 1 / C),
    };
  };
}

const dice = perClass((I, P, T) => {
  const D = P + T + smoothDenominator;
  return [1 - (2 * I) / D, -2 / D, (2 * I) / (D * D)];
});

const jaccard = perClass((I, P, T) => {
  const U = P + T - I + smoothDenominator;
  return [1 - I / U, -1 / U - I / (U * U), I / (U * U)];
});

/** alpha = beta = 1/2. */
const tversky = perClass((I, P, T) => {
  const B = I + (P - I) / 2 + (T - I) / 2 + smoothDenominator;
  return [1 - I / B, -1 / B, I / 2 / (B * B)];
});

/** w_c = 1 / T_c^2; every class is there, with voxels of its own. */
function generalizedDice({ I, P, T }: SampleSums): SampleResult {
  const w = T.map((voxels) => 1 / voxels ** 2);
  let A = 0;
  let B = smoothDenominator;
  for (const [c, weight] of w.entries()) {
    A += 2 * weight * I[c];
    B += weight * (P[c] + T[c]);
  }
  return { value: 1 - A / B, dI: w.map((x) => (-2 * x) / B), dP: w.map((x) => (A * x) / (B * B)) };
}

export const losses = {
  Dice: { make: (options: Options) => new DiceLoss(options), power: 2, ofSample: dice },
  /** Not a case of its own: beside peers with linear denominators. */
  'Dice, linear': {
    make: (options: Options) => new DiceLoss({ ...options, denominator: 'linear' }),
    power: 1,
    ofSample: dice,
  },
  Jaccard: { make: (options: Options) => new JaccardLoss(options), power: 2, ofSample: jaccard },
  Tversky: { make: (options: Options) => new TverskyLoss(options), power: 1, ofSample: tversky },
  'generalized Dice': {
    make: (options: Options) => new GeneralizedDiceLoss(options),
    power: 1,
    ofSample: generalizedDice,
  },
  'Dice and cross-entropy': {
    make: (options: Options) => new DiceCELoss(options),
    power: 2,
    crossEntropy: true,
    ofSample: dice,
  },
} as const satisfies Record<string, LossKind>;

export type LossName = keyof typeof losses;
