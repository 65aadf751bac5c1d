// The options of a cross-entropy and of a focal loss, for the addon.
import type { NativeLossOptions } from '../../binding.js';
import {
  checkKeys,
  checkNonNegative,
  checkNumbers,
  checkPositive,
  checkShare,
  needs,
  rangeError,
  typeError,
} from '../common/check.js';
import type { CrossEntropyOptions, FocalOptions } from './options.js';

type Activation = 'none' | 'sigmoid' | 'softmax';

export function crossEntropyOf(
  options: CrossEntropyOptions | undefined,
  activation: Activation,
): Partial<NativeLossOptions> {
  if (options === undefined) return {};
  const name = (key: string) => `crossEntropy.${key}`;
  checkKeys(options, 'crossEntropy', [
    'weight',
    'labelSmoothing',
    'classWeights',
    'positiveWeight',
  ]);
  return {
    crossEntropyFactor: checkPositive(options.weight, name('weight'), 1),
    labelSmoothing: checkSmoothing(options.labelSmoothing, name('labelSmoothing')),
    entropyWeights: checkClassWeights(options.classWeights, name('classWeights')),
    positiveWeight: checkPositiveWeight(options.positiveWeight, name('positiveWeight'), activation),
  };
}

export function focalOf(
  options: FocalOptions | undefined,
  activation: Activation,
): Partial<NativeLossOptions> {
  if (options === undefined) return {};
  checkKeys(options, 'focal', ['weight', 'gamma', 'alpha']);
  return {
    focalFactor: checkPositive(options.weight, 'focal.weight', 1),
    focalGamma: checkFocalGamma(options.gamma, 'focal.gamma'),
    focalAlpha: checkFocalAlpha(options.alpha, 'focal.alpha', activation),
  };
}

export const checkSmoothing = (value: unknown, name: string): number => checkShare(value, name, 0);

export const checkFocalGamma = (value: unknown, name: string): number =>
  checkNonNegative(value, name, 2);

export function checkClassWeights(value: unknown, name: string): Float64Array | undefined {
  if (value === undefined) return undefined;
  const weights = checkNumbers(value, name);
  if (weights.length === 0) throw rangeError('one weight per class', name, value);
  return weights;
}

/** One number, or one per class. */
export function checkPositiveWeight(
  value: unknown,
  name: string,
  activation: Activation,
): Float64Array | undefined {
  if (value === undefined) return undefined;
  if (activation === 'softmax') throw needs(name, "activation 'sigmoid'");
  return typeof value === 'number'
    ? Float64Array.of(checkNonNegative(value, name, 1))
    : checkClassWeights(value, name);
}

/** With sigmoid one number, or one per class, from 0 to 1. With softmax one per class. */
export function checkFocalAlpha(
  value: unknown,
  name: string,
  activation: Activation,
): Float64Array | undefined {
  if (value === undefined) return undefined;
  if (activation === 'softmax') {
    if (typeof value !== 'number') {
      const alphas = checkNumbers(value, name);
      if (alphas.length < 2)
        throw rangeError('one number for each of 2 or more classes', name, value);
      return alphas;
    }
    const expected = "an array of numbers, one per class, as activation is 'softmax',";
    const advice = `other libraries take ${value} as [1 - ${value}, ${value}, ...]`;
    throw typeError(expected, name, value, advice);
  }
  const alphas =
    typeof value === 'number'
      ? Float64Array.of(checkNonNegative(value, name, 0))
      : checkClassWeights(value, name);
  if (alphas?.some((alpha) => alpha > 1)) {
    throw rangeError("numbers from 0 to 1, as activation is 'sigmoid',", name, value);
  }
  return alphas;
}
