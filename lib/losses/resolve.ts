// From the options of a loss to those of the addon: every value is checked, defaults and codes take their places.
import type { NativeLossOptions } from '../../binding.js';
import {
  cannotCombine,
  checkFlag,
  checkInteger,
  checkKeys,
  checkNonNegative,
  checkNumbers,
  checkOneOf,
  checkPositive,
  needs,
  rangeError,
  typeError,
} from '../common/check.js';
import { type Absent, absentPolicies } from '../metrics/scores.js';
import type {
  CrossEntropyOptions,
  FocalOptions,
  GeneralizedDiceOptions,
  GeneralizedWassersteinDiceOptions,
  LossOptions,
  TverskyOptions,
} from './options.js';

/** The kind whose overlap is made of distances between classes. */
const WASSERSTEIN = 4;

/** What makes a class of losses. */
export interface Definition {
  /** As in binding.d.ts. */
  kind: number;
  /** Options that only this class has. */
  more?: readonly string[];
  /** Options that it has not. */
  less?: readonly string[];
  /** Where its defaults are not the common ones. */
  defaults?: LossOptions;
  /** Activations and policies for absent classes, if not all. */
  activations?: readonly Activation[];
  absent?: readonly Absent[];
}

/** Every option of every class; `keys` says which a class has. */
type Options = LossOptions &
  TverskyOptions &
  Pick<GeneralizedDiceOptions, 'weighting'> &
  Partial<Pick<GeneralizedWassersteinDiceOptions, 'distances' | 'backgroundIndex'>>;

const commonKeys: readonly (keyof LossOptions)[] = [
  'activation',
  'denominator',
  'overlap',
  'smoothNumerator',
  'smoothDenominator',
  'transform',
  'gamma',
  'absent',
  'reduction',
  'batch',
  'background',
  'classWeights',
  'ignoreIndex',
  'layout',
  'crossEntropy',
  'focal',
  'overlapWeight',
  'allReduce',
];

// Where the addon takes a code: in that order.
const activations = ['none', 'sigmoid', 'softmax'] as const;
type Activation = (typeof activations)[number];
const overlaps = ['product', 'minimum'] as const;
const reductions = ['none', 'mean', 'sum'] as const;
const denominators = ['squared', 'linear'] as const;
const weightings = ['square', 'simple', 'uniform'] as const;

const transforms = ['none', 'log', 'log-cosh'] as const;
const transformCodes = { none: 0, log: 2, 'log-cosh': 3 } as const; // 1 is the power

/** The options as the addon takes them; throws for anything that is not one. */
export function resolveOptions(given: object, definition: Definition): NativeLossOptions {
  const { kind, more = [], less = [], defaults = {} } = definition;
  const known = commonKeys.filter((key) => !less.includes(key));
  checkKeys(given, 'options', [...known, ...more]);
  const options = given as Options;
  const activation = checkOneOf(
    options.activation,
    'activation',
    definition.activations ?? activations,
    defaults.activation ?? 'none',
  );
  const resolved: NativeLossOptions = {
    kind,
    activation: activations.indexOf(activation),
    reduction: reductions.indexOf(checkOneOf(options.reduction, 'reduction', reductions, 'mean')),
    pooled: checkFlag(options.batch, 'batch', false),
    background: checkFlag(options.background, 'background', true),
    channelsLast: checkLayout(options.layout) === 'channels-last',
    smoothNumerator: checkNonNegative(options.smoothNumerator, 'smoothNumerator', 0),
    smoothDenominator: checkNonNegative(options.smoothDenominator, 'smoothDenominator', 1e-7),
    ignoreIndex: checkIgnoreIndex(options.ignoreIndex),
    classWeights: checkClassWeights(options.classWeights),
    alpha: checkNonNegative(options.alpha, 'alpha', 0.5),
    beta: checkNonNegative(options.beta, 'beta', 0.5),
    weighting: weightings.indexOf(checkOneOf(options.weighting, 'weighting', weightings, 'square')),
    ...overlapOf(options, definition),
    ...transformOf(options, definition),
    ...crossEntropyOf(
      options.crossEntropy === undefined ? defaults.crossEntropy : options.crossEntropy,
    ),
    ...focalOf(options.focal === undefined ? defaults.focal : options.focal),
  };
  if (isCompound(resolved)) {
    if (activation === 'none') {
      const part = resolved.crossEntropyFactor ? 'crossEntropy' : 'focal';
      const { activations: allowed = activations } = definition;
      const others = allowed.filter((name) => name !== 'none').map((name) => `'${name}'`);
      throw cannotCombine(part, "activation 'none'", `pass logits and use ${others.join(' or ')}`);
    }
    resolved.overlapFactor = checkNonNegative(options.overlapWeight, 'overlapWeight', 1);
  } else if (options.overlapWeight !== undefined) {
    throw needs('overlapWeight', 'crossEntropy or focal');
  }
  return resolved;
}

/** Whether the value has parts beside the overlap. */
export function isCompound(options: NativeLossOptions): boolean {
  const { crossEntropyFactor = 0, focalFactor = 0 } = options;
  return crossEntropyFactor !== 0 || focalFactor !== 0;
}

/** Whether reduction `'none'` gives a number per sample instead of one per sample and class. */
export function isPerGroup(options: NativeLossOptions): boolean {
  return options.kind >= 3 || isCompound(options);
}

function overlapOf(
  options: Options,
  { kind, defaults = {} }: Definition,
): Pick<NativeLossOptions, 'squared' | 'overlap' | 'distances' | 'backgroundIndex'> {
  if (kind === WASSERSTEIN) return { squared: false, overlap: 2, ...distancesOf(options) };
  const overlap = checkOneOf(options.overlap, 'overlap', overlaps, 'product');
  const minimum = overlap === 'minimum';
  const denominator = checkOneOf(
    options.denominator,
    'denominator',
    denominators,
    defaults.denominator ?? (minimum ? 'linear' : 'squared'),
  );
  if (minimum && denominator !== 'linear') {
    throw cannotCombine("denominator 'squared'", "overlap 'minimum'", "use 'linear'");
  }
  return { squared: denominator === 'squared', overlap: overlaps.indexOf(overlap) };
}

function distancesOf({
  distances,
  backgroundIndex,
}: Options): Required<Pick<NativeLossOptions, 'distances' | 'backgroundIndex'>> {
  if (!Array.isArray(distances)) throw typeError('an array of rows', 'distances', distances);
  const classes = distances.length;
  if (classes < 2) throw rangeError('a row for each of 2 or more classes', 'distances', distances);
  const rows = Array.from(distances as readonly unknown[], (row, c) => {
    const numbers = checkNumbers(row, `distances[${c}]`);
    if (numbers.length !== classes) {
      throw rangeError(`${classes} numbers, one per class,`, `distances[${c}]`, row);
    }
    if (numbers[c] !== 0) throw rangeError('0', `distances[${c}][${c}]`, numbers[c]);
    return numbers;
  });
  const matrix = new Float64Array(classes * classes);
  rows.forEach((row, c) => {
    matrix.set(row, c * classes);
  });
  const index = backgroundIndex === undefined ? 0 : backgroundIndex;
  return {
    distances: matrix,
    backgroundIndex: checkInteger(index, 'backgroundIndex', 0, classes - 1),
  };
}

function transformOf(
  options: Options,
  { absent: policies = absentPolicies }: Definition,
): Pick<NativeLossOptions, 'transform' | 'gamma' | 'absent'> {
  const transform = checkOneOf(options.transform, 'transform', transforms, 'none');
  const gamma = checkPositive(options.gamma, 'gamma', 1);
  if (transform === 'log-cosh' && options.gamma !== undefined) {
    throw cannotCombine('gamma', "transform 'log-cosh'");
  }
  const skips = transform === 'log' && policies === absentPolicies;
  const absent = checkOneOf(options.absent, 'absent', policies, skips ? 'skip' : 'formula');
  const power = transform === 'none' && gamma !== 1;
  return {
    transform: power ? 1 : transformCodes[transform],
    gamma,
    absent: absentPolicies.indexOf(absent),
  };
}

function crossEntropyOf(
  options: CrossEntropyOptions | undefined,
): Pick<NativeLossOptions, 'crossEntropyFactor' | 'labelSmoothing'> {
  if (options === undefined) return {};
  checkKeys(options, 'crossEntropy', ['weight', 'labelSmoothing']);
  const labelSmoothing = checkNonNegative(options.labelSmoothing, 'crossEntropy.labelSmoothing', 0);
  if (labelSmoothing > 1) {
    throw rangeError('a number from 0 to 1', 'crossEntropy.labelSmoothing', labelSmoothing);
  }
  return {
    crossEntropyFactor: checkPositive(options.weight, 'crossEntropy.weight', 1),
    labelSmoothing,
  };
}

function focalOf(
  options: FocalOptions | undefined,
): Pick<NativeLossOptions, 'focalFactor' | 'focalGamma'> {
  if (options === undefined) return {};
  checkKeys(options, 'focal', ['weight', 'gamma']);
  return {
    focalFactor: checkPositive(options.weight, 'focal.weight', 1),
    focalGamma: checkNonNegative(options.gamma, 'focal.gamma', 2),
  };
}

const layouts = ['channels-first', 'channels-last'] as const;

export const checkLayout = (value: unknown) =>
  checkOneOf(value, 'layout', layouts, 'channels-first');

export function checkIgnoreIndex(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw typeError('an integer', 'ignoreIndex', value);
  if (!Number.isSafeInteger(value)) throw rangeError('an integer', 'ignoreIndex', value);
  return value;
}

function checkClassWeights(value: unknown): Float64Array | undefined {
  if (value === undefined) return undefined;
  const weights = checkNumbers(value, 'classWeights');
  if (weights.length === 0) throw rangeError('one weight per class', 'classWeights', value);
  return weights;
}
