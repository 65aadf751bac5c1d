// Advice for an unknown option: guesses which option was meant.
import { lossOptionNames } from './loss-option-names.js';

const fromShapes = 'the classes are counted from the shape of the predictions';

/**
 * Names that other libraries use, in lower case and without underscores. Each has its options here, of which the allowed ones
 * are suggested, or a sentence when there is no such option.
 */
export const foreignNames: Readonly<Record<string, readonly string[] | string>> = {
  smooth: ['smooth', 'smoothNumerator', 'smoothDenominator'],
  smoothnr: ['smoothNumerator'],
  smoothdr: ['smoothDenominator'],
  eps: ['smoothDenominator', 'smooth'],
  epsilon: ['smoothDenominator', 'smooth'],
  sigmoid: ['activation'],
  softmax: ['activation'],
  logits: ['activation'],
  fromlogits: ['activation'],
  mode: ['activation', 'decision'],
  includebackground: ['background'],
  ignorebackground: ['background'],
  squaredpred: ['denominator'],
  squared: ['denominator'],
  jaccard: 'use JaccardLoss',
  alpha: 'TverskyLoss has it, and focal: { alpha }; to weigh the classes use classWeights',
  beta: 'TverskyLoss has it',
  average: 'MatthewsLoss has it',
  k: 'TopKCrossEntropyLoss has it',
  lambda: 'UnifiedFocalLoss has it',
  delta: 'UnifiedFocalLoss has it',
  weighting: 'GeneralizedDiceLoss and GeneralizedWassersteinDiceLoss have it',
  weightingmode: ['weighting'],
  distances: 'GeneralizedWassersteinDiceLoss has it',
  distmatrix: ['distances'],
  backgroundindex: 'GeneralizedWassersteinDiceLoss has it',
  weight: ['weight', 'classWeights'],
  weights: ['weight', 'classWeights'],
  classweight: ['classWeights'],
  sampleweight: ['weight'],
  sampleclassweight: 'calls of the losses of sums take it, as value(predictions, target, options)',
  mask: ['weight'],
  ignorelabel: ['ignoreIndex'],
  labelsmoothing: ['labelSmoothing', 'crossEntropy'],
  lambdadice: ['overlapWeight'],
  lambdace: ['crossEntropy'],
  lambdafocal: ['focal'],
  weightdice: ['overlapWeight'],
  weightce: ['crossEntropy'],
  focalgamma: ['focal'],
  focalalpha: ['focal'],
  posweight: ['positiveWeight', 'crossEntropy'],
  positiveweight: ['positiveWeight', 'crossEntropy'],
  iter: ['iterations'],
  numiter: ['iterations'],
  iterations: 'SoftClDiceLoss has it',
  sampling: ['spacing'],
  resolution: ['spacing'],
  voxelspacing: ['spacing'],
  spacing: 'each of BoundaryLoss, HausdorffLoss and SurfaceMetrics has it',
  logloss: ['log'],
  perimage: ['batch'],
  batchdice: ['batch'],
  sizeaverage: ['reduction'],
  channelslast: ['layout'],
  dataformat: ['layout'],
  axis: ['layout'],
  toonehoty: 'a target without the class axis is class indices, and needs no option',
  numclasses: fromShapes,
  classes: fromShapes,
  lossscale: ['gradScale'],
  gradoutput: ['upstream'],
  loss: ['value'],
};

/** The key of each value, for calls like `new DiceLoss('softmax')`. */
const keysOfValues: Readonly<Record<string, string>> = {
  none: 'activation',
  sigmoid: 'activation',
  softmax: 'activation',
  mean: 'reduction',
  sum: 'reduction',
  squared: 'denominator',
  linear: 'denominator',
  'channels-first': 'layout',
  'channels-last': 'layout',
  argmax: 'decision',
  threshold: 'decision',
  labels: 'decision',
  float16: 'dtype',
  bfloat16: 'dtype',
};

/** The object that the caller meant when they passed only one of its values, as text; undefined when unknown. */
export function objectFor(value: unknown, known: readonly string[]): string | undefined {
  const key = typeof value === 'string' && ownOf(keysOfValues, value);
  return key && known.includes(key) ? `{ ${key}: '${value}' }` : undefined;
}

/** No option has a longer name, nor has one of another library. */
const longestGuessed = 40;

/** The text after "Unknown option 'key'": a question, a sentence, or the list of all options. */
export function adviceFor(key: string, known: readonly string[], kind: string): string {
  if (kind === 'option' && (lossOptionNames as readonly string[]).includes(key)) {
    const ofCall = known.includes('weight');
    return ofCall ? `it belongs to the loss, new DiceLoss({ ${key} })` : list(kind, known);
  }
  if (key.length > longestGuessed) return list(kind, known);
  const names = suggest(key, known);
  if (names.length > 0) return `did you mean ${names.join(' or ')}?`;
  const foreign = ownOf(foreignNames, plain(key));
  if (typeof foreign === 'string' && kind === 'option') return foreign;
  return list(kind, known);
}

const list = (kind: string, known: readonly string[]): string =>
  `the ${kind}s are ${known.join(', ')}`;

/** The known names that a wrong one may mean, the likeliest first; at most three. */
export function suggest(key: string, known: readonly string[]): string[] {
  const wrong = plain(key);
  const same = known.filter((name) => plain(name) === wrong);
  if (same.length > 0) return same;
  const foreign = ownOf(foreignNames, wrong);
  if (foreign !== undefined && typeof foreign !== 'string') {
    const there = foreign.filter((name) => known.includes(name));
    if (there.length > 0) return there;
  }
  const distances = known.map((name) => editDistance(wrong, plain(name)));
  const least = Math.min(...distances);
  if (wrong.length > 2 && least <= Math.ceil(wrong.length / 5)) {
    return known.filter((_, i) => distances[i] === least).slice(0, 3);
  }
  return known.filter((name) => contains(plain(name), wrong)).slice(0, 3);
}

/** Whether one name is a part of the other. Parts of one or two letters do not count. */
const contains = (a: string, b: string): boolean =>
  Math.min(a.length, b.length) > 2 && (a.includes(b) || b.includes(a));

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

const ownOf = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

/** The number of letters to add, remove, replace or exchange with their neighbour. */
export function editDistance(a: string, b: string): number {
  // A large difference is no typo, and the table below would be large.
  if (Math.abs(a.length - b.length) > 3) return Number.POSITIVE_INFINITY;
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const above = rows[i - 1] as number[];
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (above[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replaced, (above[j] as number) + 1, (row[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, ((rows[i - 2] as number[])[j - 2] as number) + 1);
      }
      row.push(best);
    }
    rows.push(row);
  }
  return (rows[a.length] as number[])[b.length] as number;
}
