// The losses that are measured: how the library makes them, and what the reference of the tests calls them. All have the library's
// defaults.
import {
  DiceCELoss,
  DiceLoss,
  GeneralizedDiceLoss,
  JaccardLoss,
  type Loss,
  TverskyLoss,
} from 'warpdice';
import type { ReferenceOptions } from '../../test/reference/reference.js';
import type { LossName as ReferenceName } from '../../test/reference/reference-value.js';

interface Options {
  readonly activation: 'sigmoid' | 'softmax';
  readonly layout: 'channels-first' | 'channels-last';
}

interface LossKind {
  make(options: Options): Loss;
  readonly reference: ReferenceName;
  readonly options?: ReferenceOptions;
}

export const losses = {
  Dice: { make: (options: Options) => new DiceLoss(options), reference: 'dice' },
  /** The linear ones are no cases of their own: they stand beside peers that compute the same. */
  'Dice, linear': {
    make: (options: Options) => new DiceLoss({ ...options, denominator: 'linear' }),
    reference: 'dice',
    options: { denominator: 'linear' },
  },
  'Dice, linear, batch': {
    make: (options: Options) => new DiceLoss({ ...options, denominator: 'linear', batch: true }),
    reference: 'dice',
    options: { denominator: 'linear', batch: true },
  },
  Jaccard: { make: (options: Options) => new JaccardLoss(options), reference: 'jaccard' },
  Tversky: { make: (options: Options) => new TverskyLoss(options), reference: 'tversky' },
  'generalized Dice': {
    make: (options: Options) => new GeneralizedDiceLoss(options),
    reference: 'generalized',
  },
  'Dice and cross-entropy': {
    make: (options: Options) => new DiceCELoss(options),
    reference: 'dice',
    options: { crossEntropy: {} },
  },
  'Dice and cross-entropy, linear': {
    make: (options: Options) => new DiceCELoss({ ...options, denominator: 'linear' }),
    reference: 'dice',
    options: { crossEntropy: {}, denominator: 'linear' },
  },
} as const satisfies Record<string, LossKind>;

export type LossName = keyof typeof losses;
