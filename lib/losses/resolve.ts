// Turns the options of a loss into those of the addon: checks every value, fills in defaults, replaces names by codes.
import type { NativeLossOptions } from '../../binding.js';
import { isCompound, type ResolvedOptions } from '../calls/shapes.js';
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
import { lossOptionNames } from '../common/loss-option-names.js';
import {
  type Absent,
  absentPolicies,
  checkIgnoreIndex,
  checkLayout,
  nativeIgnoreIndex,
} from '../common/shared-options.js';
import {
  AbsentPolicy,
  Activation,
  LossKind,
  namesOf,
  Overlap,
  Reduction,
  Transform,
  Weighting,
} from '../native/codes.js';
import { makeArray } from '../tensors/allocate.js';
import type { GeneralizedWassersteinDiceOptions, LossOptions, TverskyOptions } from './options.js';
import { checkClassWeights, crossEntropyOf, focalOf } from './resolve-likelihood.js';

/** What distinguishes one loss class from the others. */
export interface Definition {
  kind: (typeof LossKind)[keyof typeof LossKind];
  /** Options that only this class has. */
  adds?: readonly string[];
  /** Common options that this class does not have. */
  removes?: readonly string[];
  /** Defaults of this class that differ from the common ones. */
  defaults?: LossOptions;
  /** The activations and policies for absent classes that this class has. Default: all. */
  activations?: readonly (keyof typeof Activation)[];
  absent?: readonly Absent[];
}

/** Every option of every class. */
type Options = LossOptions &
  TverskyOptions & { weighting?: unknown } & Partial<
    Pick<GeneralizedWassersteinDiceOptions, 'distances' | 'backgroundIndex' | 'measuredFrom'>
  >;

const activations = namesOf(Activation);
const reductions = namesOf(Reduction);
const weightings = ['square', 'simple', 'uniform'] as const;
const wassersteinWeightings = ['default', 'GDL'] as const;
const overlaps = ['product', 'minimum'] as const;
const denominators = ['squared', 'linear'] as const;
const transforms = ['none', 'log', 'log-cosh'] as const;

/** The options for the addon. Throws for unknown options and wrong values. */
export function resolveOptions(given: object, definition: Definition): ResolvedOptions {
  const { kind, adds = [], removes = [], defaults = {} } = definition;
  const known = lossOptionNames.filter((key) => !removes.includes(key));
  checkKeys(given, 'options', [...known, ...adds]);
  const options = given as Options;
  const activation = checkOneOf(
    options.activation,
    'activation',
    definition.activations ?? activations,
    defaults.activation ?? 'none',
  );
  const resolved: NativeLossOptions = {
    kind,
    activation: Activation[activation],
    reduction: Reduction[checkOneOf(options.reduction, 'reduction', reductions, 'mean')],
    pooled: checkFlag(options.batch, 'batch', false),
    reproducible: checkFlag(options.reproducible, 'reproducible', false),
    background: checkFlag(options.background, 'background', true),
    channelsLast: checkLayout(options.layout) === 'channels-last',
    smoothNumerator: checkNonNegative(options.smoothNumerator, 'smoothNumerator', 0),
    smoothDenominator: checkNonNegative(options.smoothDenominator, 'smoothDenominator', 1e-7),
    ignoreIndex: nativeIgnoreIndex(checkIgnoreIndex(options.ignoreIndex)),
    classWeights: checkClassWeights(options.classWeights, 'classWeights'),
    alpha: checkNonNegative(options.alpha, 'alpha', 0.5),
    beta: checkNonNegative(options.beta, 'beta', 0.5),
    ...overlapOf(options, definition),
    ...transformOf(options, definition),
    ...crossEntropyOf(
      options.crossEntropy === undefined ? defaults.crossEntropy : options.crossEntropy,
      activation,
    ),
    ...focalOf(options.focal === undefined ? defaults.focal : options.focal, activation),
  };
  const hasParts = isCompound(resolved);
  if (hasParts) {
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
  return { ...resolved, hasParts };
}

function overlapOf(
  options: Options,
  { kind, defaults = {} }: Definition,
): Pick<NativeLossOptions, 'squared' | 'overlap' | 'weighting'> & Partial<WassersteinOptions> {
  if (kind === LossKind.wasserstein) {
    return { squared: false, overlap: Overlap.wasserstein, ...wassersteinOf(options) };
  }
  const weighting = checkOneOf(options.weighting, 'weighting', weightings, 'square');
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
  return {
    squared: denominator === 'squared',
    overlap: Overlap[overlap],
    weighting: Weighting[weighting],
  };
}

type WassersteinOptions = Required<
  Pick<NativeLossOptions, 'distances' | 'backgroundIndex' | 'largestDistance' | 'weighting'>
>;

function wassersteinOf(options: Options): WassersteinOptions {
  const weighting = checkOneOf(options.weighting, 'weighting', wassersteinWeightings, 'default');
  const [least, most] = ['background', 'largest'] as const;
  const from = checkOneOf(
    options.measuredFrom,
    'measuredFrom',
    [least, most],
    weighting === 'GDL' ? most : least,
  );
  if (weighting === 'GDL' && from === least) {
    throw cannotCombine("measuredFrom 'background'", "weighting 'GDL'", "use 'largest'");
  }
  const found = distancesOf(options);
  return {
    ...found,
    largestDistance: from === most ? found.distances.reduce((a, b) => Math.max(a, b)) : 0,
    weighting: weighting === 'GDL' ? Weighting.plusOne : Weighting.square,
  };
}

function distancesOf({
  distances,
  backgroundIndex,
}: Options): Required<Pick<NativeLossOptions, 'distances' | 'backgroundIndex'>> {
  if (!Array.isArray(distances)) throw typeError('an array of rows', 'distances', distances);
  const classes = distances.length;
  if (classes < 2) throw rangeError('a row for each of 2 or more classes', 'distances', distances);
  let matrix: Float64Array | undefined;
  for (const [c, row] of (distances as readonly unknown[]).entries()) {
    const numbers = checkNumbers(row, `distances[${c}]`);
    if (numbers.length !== classes) {
      throw rangeError(`${classes} numbers, one per class,`, `distances[${c}]`, row);
    }
    if (numbers[c] !== 0) throw rangeError('0', `distances[${c}][${c}]`, numbers[c]);
    matrix ??= makeArray('float64', classes * classes) as Float64Array;
    matrix.set(numbers, c * classes);
  }
  const index = backgroundIndex === undefined ? 0 : backgroundIndex;
  return {
    distances: matrix as Float64Array,
    backgroundIndex: checkInteger(index, 'backgroundIndex', 0, classes - 1),
  };
}

function transformOf(
  options: Options,
  { absent: policies = absentPolicies, adds = [] }: Definition,
): Pick<NativeLossOptions, 'transform' | 'gamma' | 'absent'> {
  const transform = checkOneOf(options.transform, 'transform', transforms, 'none');
  // A class that adds gamma gives it a meaning of its own.
  const gamma = adds.includes('gamma') ? 1 : checkPositive(options.gamma, 'gamma', 1);
  if (transform === 'log-cosh' && options.gamma !== undefined) {
    throw cannotCombine('gamma', "transform 'log-cosh'");
  }
  const skips = transform === 'log' && policies === absentPolicies;
  if (isOfMetrics(options.absent)) {
    throw rangeError(
      `one of ${policies.map((policy) => `'${policy}'`).join(', ')}`,
      'absent',
      options.absent,
      'it is for metrics, which know whether a class is predicted',
    );
  }
  const absent = checkOneOf(options.absent, 'absent', policies, skips ? 'skip' : 'formula');
  const power = transform === 'none' && gamma !== 1;
  return {
    transform: power ? Transform.power : Transform[transform],
    gamma,
    absent: AbsentPolicy[absent],
  };
}

const isOfMetrics = (absent: unknown): boolean => absent === 'agree' || absent === 'skip-agreed';
