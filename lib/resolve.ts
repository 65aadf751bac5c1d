// From the options of a loss to those of the addon: every value is checked, defaults and codes take their places.
import type { NativeLossOptions } from '../binding.js';
import {
  checkFlag,
  checkKeys,
  checkNonNegative,
  checkOneOf,
  checkPositive,
  rangeError,
  show,
  typeError,
} from './check.js';
import type {
  CrossEntropyOptions,
  GeneralizedDiceOptions,
  LossOptions,
  TverskyOptions,
} from './options.js';
import type { Absent } from './scores.js';

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
  /** Policies for absent classes, if not all. */
  absent?: readonly Absent[];
}

/** Every option of every class; `keys` says which a class has. */
type Options = LossOptions & TverskyOptions & Pick<GeneralizedDiceOptions, 'weighting'>;

const commonKeys: readonly (keyof LossOptions)[] = [
  'activation',
  'denominator',
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
  'overlapWeight',
  'allReduce',
];

// Where the addon takes a code: in that order.
const activations = ['none', 'sigmoid', 'softmax'] as const;
const reductions = ['none', 'mean', 'sum'] as const;
const denominators = ['squared', 'linear'] as const;
const layouts = ['channels-first', 'channels-last'] as const;
const transforms = ['none', 'log', 'log-cosh'] as const;
const weightings = ['square', 'simple', 'uniform'] as const;
const absentPolicies: readonly Absent[] = ['formula', 'skip', 'perfect', 'worst'];

/** The options as the addon takes them; throws for anything that is not one. */
export function resolveOptions(given: object, definition: Definition): NativeLossOptions {
  const { kind, more = [], less = [], defaults = {} } = definition;
  const known = commonKeys.filter((key) => !less.includes(key));
  checkKeys(given, 'options', [...known, ...more]);
  const options = given as Options;
  const activation = checkOneOf(
    options.activation,
    'activation',
    activations,
    defaults.activation ?? 'none',
  );
  const resolved: NativeLossOptions = {
    kind,
    activation: activations.indexOf(activation),
    reduction: reductions.indexOf(checkOneOf(options.reduction, 'reduction', reductions, 'mean')),
    squared:
      checkOneOf(
        options.denominator,
        'denominator',
        denominators,
        defaults.denominator ?? 'squared',
      ) === 'squared',
    pooled: checkFlag(options.batch, 'batch', false),
    background: checkFlag(options.background, 'background', true),
    channelsLast:
      checkOneOf(options.layout, 'layout', layouts, 'channels-first') === 'channels-last',
    smoothNumerator: checkNonNegative(options.smoothNumerator, 'smoothNumerator', 0),
    smoothDenominator: checkNonNegative(options.smoothDenominator, 'smoothDenominator', 1e-7),
    ignoreIndex: checkIgnoreIndex(options.ignoreIndex),
    classWeights: checkClassWeights(options.classWeights),
    alpha: checkNonNegative(options.alpha, 'alpha', 0.5),
    beta: checkNonNegative(options.beta, 'beta', 0.5),
    weighting: weightings.indexOf(checkOneOf(options.weighting, 'weighting', weightings, 'square')),
    ...transformOf(options, definition),
    ...crossEntropyOf(
      options.crossEntropy === undefined ? defaults.crossEntropy : options.crossEntropy,
    ),
  };
  if (isCompound(resolved)) {
    if (activation === 'none') {
      throw rangeError("'sigmoid' or 'softmax', as crossEntropy is set,", 'activation', activation);
    }
    resolved.overlapFactor = checkNonNegative(options.overlapWeight, 'overlapWeight', 1);
  } else if (options.overlapWeight !== undefined) {
    throw new TypeError(
      `Expected no overlapWeight without crossEntropy but received ${show(options.overlapWeight)}`,
    );
  }
  return resolved;
}

/** Whether the value has parts beside the overlap. */
export function isCompound({ crossEntropyFactor = 0 }: NativeLossOptions): boolean {
  return crossEntropyFactor !== 0;
}

/** Whether reduction `'none'` gives a number per sample instead of one per sample and class. */
export function isPerGroup(options: NativeLossOptions): boolean {
  return options.kind >= 3 || isCompound(options);
}

function transformOf(
  options: Options,
  { absent: policies = absentPolicies }: Definition,
): Pick<NativeLossOptions, 'transform' | 'gamma' | 'absent'> {
  const transform = checkOneOf(options.transform, 'transform', transforms, 'none');
  const gamma = checkPositive(options.gamma, 'gamma', 1);
  if (transform === 'log-cosh' && options.gamma !== undefined) {
    throw new TypeError(
      `Expected no gamma for transform 'log-cosh' but received ${show(options.gamma)}`,
    );
  }
  const skips = transform === 'log' && policies === absentPolicies;
  const absent = checkOneOf(options.absent, 'absent', policies, skips ? 'skip' : 'formula');
  const power = transform === 'none' && gamma !== 1;
  return {
    transform: power ? 1 : ([0, 2, 3][transforms.indexOf(transform)] as number),
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

function checkIgnoreIndex(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number') throw typeError('an integer', 'ignoreIndex', value);
  if (!Number.isSafeInteger(value)) throw rangeError('an integer', 'ignoreIndex', value);
  return value;
}

function checkClassWeights(value: unknown): Float64Array | undefined {
  if (value === undefined) return undefined;
  const isArray =
    Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  if (!isArray) throw typeError('an array of numbers', 'classWeights', value);
  const weights = Array.from(value as ArrayLike<unknown>, (weight, c) => {
    const name = `classWeights[${c}]`;
    if (weight === undefined) throw typeError('a number', name, weight);
    return checkNonNegative(weight, name, 0);
  });
  if (weights.length === 0) throw rangeError('one weight per class', 'classWeights', value);
  return Float64Array.from(weights);
}
