// Options of the family that are wrong, or make no sense together.
import { expect, test } from '@jest/globals';
import {
  CrossEntropyLoss,
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  FocalLoss,
  GeneralizedDiceLoss,
  GeneralizedWassersteinDiceLoss,
  JaccardLoss,
  type Loss,
  MatthewsLoss,
  TverskyLoss,
  UnifiedFocalLoss,
} from '../../lib/index.js';
import { inOneForm } from '../support/errors.js';
import { full, tensor } from '../support/tensors.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the point
type Any = any;

const Wasserstein = GeneralizedWassersteinDiceLoss;
const softmax = { activation: 'softmax' } as const;
const sigmoid = { activation: 'sigmoid' } as const;
const two = [
  [0, 1],
  [1, 0],
];
const cases: [new (options: Any) => object, Any, typeof TypeError | typeof RangeError, string][] = [
  [TverskyLoss, { alpha: -1 }, RangeError, 'a finite number >= 0 for alpha but received -1'],
  [TverskyLoss, { beta: NaN }, RangeError, 'a finite number >= 0 for beta but received NaN'],
  [TverskyLoss, { beta: '1' }, TypeError, "a number for beta but received '1'"],
  [MatthewsLoss, { smooth: -1 }, RangeError, 'a finite number >= 0 for smooth but received -1'],
  [
    MatthewsLoss,
    { average: 'weighted' },
    RangeError,
    "one of 'macro', 'micro', 'multiclass' for average but received 'weighted'",
  ],
  [
    MatthewsLoss,
    { average: 'micro', absent: 'worst' },
    RangeError,
    "one of 'formula', 'skip' for absent but received 'worst'",
  ],
  [UnifiedFocalLoss, { lambda: 2 }, RangeError, 'a number from 0 to 1 for lambda but received 2'],
  [UnifiedFocalLoss, { delta: 1.5 }, RangeError, 'a number from 0 to 1 for delta but received 1.5'],
  [
    UnifiedFocalLoss,
    { gamma: 1 },
    RangeError,
    'a number from 0 to below 1 for gamma but received 1',
  ],
  [UnifiedFocalLoss, { gamma: -1 }, RangeError, 'a finite number >= 0 for gamma but received -1'],
  [UnifiedFocalLoss, { asymmetric: 1 }, TypeError, 'true or false for asymmetric but received 1'],
  [
    UnifiedFocalLoss,
    { activation: 'sigmoid' },
    RangeError,
    "one of 'softmax' for activation but received 'sigmoid'",
  ],
  [DiceLoss, { gamma: 0 }, RangeError, 'a finite number > 0 for gamma but received 0'],
  [
    DiceLoss,
    { gamma: Infinity },
    RangeError,
    'a finite number > 0 for gamma but received Infinity',
  ],
  [DiceLoss, { gamma: null }, TypeError, 'a number for gamma but received null'],
  [
    DiceLoss,
    { transform: 'exp' },
    RangeError,
    "one of 'none', 'log', 'log-cosh' for transform but received 'exp'",
  ],
  [
    DiceLoss,
    { transform: 'log-cosh', gamma: 2 },
    TypeError,
    "gamma cannot be combined with transform 'log-cosh'",
  ],
  [
    JaccardLoss,
    { absent: 'zero' },
    RangeError,
    "one of 'formula', 'skip', 'perfect', 'worst' for absent but received 'zero'",
  ],
  [
    GeneralizedDiceLoss,
    { absent: 'worst' },
    RangeError,
    "one of 'formula', 'skip' for absent but received 'worst'",
  ],
  [
    GeneralizedDiceLoss,
    { weighting: 'linear' },
    RangeError,
    "one of 'square', 'simple', 'uniform' for weighting but received 'linear'",
  ],
  [
    DiceLoss,
    { ...softmax, crossEntropy: 1 },
    TypeError,
    'Expected { weight, labelSmoothing, classWeights, positiveWeight } for crossEntropy',
  ],
  [
    DiceLoss,
    { ...softmax, crossEntropy: null },
    TypeError,
    'Expected { weight, labelSmoothing, classWeights, positiveWeight } for crossEntropy',
  ],
  [
    DiceLoss,
    { ...softmax, crossEntropy: { gamma: 2 } },
    TypeError,
    "Unknown key 'gamma' of crossEntropy: the keys are weight, labelSmoothing, classWeights, positiveWeight",
  ],
  [
    DiceLoss,
    { ...softmax, crossEntropy: { weight: 0 } },
    RangeError,
    'a finite number > 0 for crossEntropy.weight but received 0',
  ],
  [
    DiceLoss,
    { ...softmax, crossEntropy: { labelSmoothing: 1.5 } },
    RangeError,
    'a number from 0 to 1 for crossEntropy.labelSmoothing but received 1.5',
  ],
  [
    DiceLoss,
    { crossEntropy: {} },
    TypeError,
    "crossEntropy cannot be combined with activation 'none': pass logits and use 'sigmoid' or 'softmax'",
  ],
  [
    DiceCELoss,
    { activation: 'none' },
    TypeError,
    "crossEntropy cannot be combined with activation 'none': pass logits and use 'sigmoid' or 'softmax'",
  ],
  [DiceLoss, { overlapWeight: 2 }, TypeError, 'overlapWeight needs crossEntropy or focal'],
  [
    DiceLoss,
    { overlap: 'min' },
    RangeError,
    "one of 'product', 'minimum' for overlap but received 'min'",
  ],
  [
    DiceLoss,
    { overlap: 'minimum', denominator: 'squared' },
    TypeError,
    "denominator 'squared' cannot be combined with overlap 'minimum': use 'linear'",
  ],
  [
    DiceLoss,
    { focal: {} },
    TypeError,
    "focal cannot be combined with activation 'none': pass logits and use 'sigmoid' or 'softmax'",
  ],
  [
    DiceFocalLoss,
    { focal: { gamma: -1 } },
    RangeError,
    'a finite number >= 0 for focal.gamma but received -1',
  ],
  [
    DiceFocalLoss,
    { focal: { weight: 0 } },
    RangeError,
    'a finite number > 0 for focal.weight but received 0',
  ],
  [
    CrossEntropyLoss,
    { labelSmoothing: 1.5 },
    RangeError,
    'a number from 0 to 1 for labelSmoothing but received 1.5',
  ],
  [
    CrossEntropyLoss,
    { activation: 'none' },
    RangeError,
    "one of 'softmax', 'sigmoid' for activation but received 'none'",
  ],
  [
    CrossEntropyLoss,
    'softmax',
    TypeError,
    "for options but received 'softmax': write { activation: 'softmax' }",
  ],
  [CrossEntropyLoss, null, TypeError, 'for options but received null'],
  [FocalLoss, { gamma: -1 }, RangeError, 'a finite number >= 0 for gamma but received -1'],
  [FocalLoss, { gamma: '2' }, TypeError, "a number for gamma but received '2'"],
  [FocalLoss, { allReduce: 1 }, TypeError, 'for allReduce but received 1'],
  [
    DiceFocalLoss,
    { focal: 2 },
    TypeError,
    'Expected { weight, gamma, alpha } for focal but received 2',
  ],
  [
    DiceFocalLoss,
    { focal: { alpha: 0.25 } },
    TypeError,
    "Expected an array of numbers, one per class, as activation is 'softmax', for focal.alpha but received 0.25: other libraries take 0.25 as [1 - 0.25, 0.25, ...]",
  ],
  [
    DiceFocalLoss,
    { ...sigmoid, focal: { alpha: 1.5 } },
    RangeError,
    "Expected numbers from 0 to 1, as activation is 'sigmoid', for focal.alpha but received 1.5",
  ],
  [
    DiceFocalLoss,
    { ...sigmoid, focal: { alpha: [0.5, -1] } },
    RangeError,
    'a finite number >= 0 for focal.alpha[1] but received -1',
  ],
  [
    DiceFocalLoss,
    { focal: { alpha: [1] } },
    RangeError,
    'Expected one number for each of 2 or more classes for focal.alpha but received [1]',
  ],
  [
    DiceFocalLoss,
    { focal: { alpha: 'balanced' } },
    TypeError,
    "Expected an array of numbers for focal.alpha but received 'balanced'",
  ],
  [
    FocalLoss,
    { alpha: 0.25 },
    TypeError,
    "one per class, as activation is 'softmax', for alpha but received 0.25",
  ],
  [FocalLoss, { ...sigmoid, alpha: -1 }, RangeError, '>= 0 for alpha but received -1'],
  [
    DiceCELoss,
    { crossEntropy: { positiveWeight: 2 } },
    TypeError,
    "crossEntropy.positiveWeight needs activation 'sigmoid'",
  ],
  [
    DiceCELoss,
    { ...sigmoid, crossEntropy: { positiveWeight: -2 } },
    RangeError,
    'a finite number >= 0 for crossEntropy.positiveWeight but received -2',
  ],
  [
    DiceCELoss,
    { crossEntropy: { classWeights: [] } },
    RangeError,
    'Expected one weight per class for crossEntropy.classWeights but received []',
  ],
  [CrossEntropyLoss, { positiveWeight: 2 }, TypeError, "positiveWeight needs activation 'sigmoid'"],
  [
    Wasserstein,
    { distances: two, weighting: 'square' },
    RangeError,
    "one of 'default', 'GDL' for weighting but received 'square'",
  ],
  [
    Wasserstein,
    { distances: two, measuredFrom: 'nearest' },
    RangeError,
    "one of 'background', 'largest' for measuredFrom but received 'nearest'",
  ],
  [
    Wasserstein,
    { distances: two, measuredFrom: 'background', weighting: 'GDL' },
    TypeError,
    "measuredFrom 'background' cannot be combined with weighting 'GDL': use 'largest'",
  ],
  [Wasserstein, undefined, TypeError, 'an array of rows for distances but received undefined'],
  [Wasserstein, null, TypeError, 'an object for options but received null'],
  [
    Wasserstein,
    { distances: [[0]] },
    RangeError,
    'a row for each of 2 or more classes for distances but received [[...]]',
  ],
  [
    Wasserstein,
    { distances: [[0, 1], [1]] },
    RangeError,
    '2 numbers, one per class, for distances[1] but received [1]',
  ],
  [
    Wasserstein,
    { distances: [[0, 1], 1] },
    TypeError,
    'an array of numbers for distances[1] but received 1',
  ],
  [
    Wasserstein,
    {
      distances: [
        [0, -1],
        [1, 0],
      ],
    },
    RangeError,
    'a finite number >= 0 for distances[0][1] but received -1',
  ],
  [
    Wasserstein,
    {
      distances: [
        [0, 1],
        [1, 0.5],
      ],
    },
    RangeError,
    '0 for distances[1][1] but received 0.5',
  ],
  [
    Wasserstein,
    {
      distances: [
        [0, 1],
        [1, 0],
      ],
      backgroundIndex: 2,
    },
    RangeError,
    'an integer from 0 to 1 for backgroundIndex but received 2',
  ],
  [
    Wasserstein,
    {
      distances: [
        [0, 1],
        [1, 0],
      ],
      activation: 'sigmoid',
    },
    RangeError,
    "one of 'none', 'softmax' for activation but received 'sigmoid'",
  ],
  [DiceCELoss, { overlapWeight: -2 }, RangeError, 'a finite number >= 0 for overlapWeight'],
];

test.each(cases)('%p %j', (Loss, options, type, message) => {
  const make = () => new Loss(options);
  expect(make).toThrow(type);
  expect(make).toThrow(message);
  expect(make).toThrow(inOneForm);
});

test.each([
  [DiceLoss, ['alpha', 'beta', 'weighting']],
  [JaccardLoss, ['alpha', 'weighting']],
  [TverskyLoss, ['weighting']],
  [UnifiedFocalLoss, ['denominator', 'transform', 'background', 'crossEntropy', 'focal', 'alpha']],
  [MatthewsLoss, ['denominator', 'smoothNumerator', 'smoothDenominator', 'alpha']],
  [GeneralizedDiceLoss, ['alpha', 'beta', 'distances']],
  [Wasserstein, ['background', 'denominator', 'overlap', 'absent', 'alpha']],
] as [new (options: Any) => object, string[]][])('%p has no option of another', (Loss, keys) => {
  for (const key of keys) {
    const make = () => new Loss({ [key]: 1 });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(`Unknown option '${key}': `);
  }
});

test('numbers per class of another number of classes', () => {
  const z = tensor([0, 0, 0, 0, 0, 0], [1, 3, 2]);
  const y = tensor([0, 1], [1, 2], 'uint8');
  const where = 'the classes are counted in predictions of shape [1, 3, 2] (channels-first)';
  const cases: [Loss, string, string][] = [
    [
      new DiceCELoss({ crossEntropy: { classWeights: [1, 2] } }),
      'crossEntropy.classWeights',
      '[1, 2]',
    ],
    [new DiceFocalLoss({ focal: { alpha: [0.25, 1] } }), 'focal.alpha', '[0.25, 1]'],
    [
      new DiceCELoss({ ...sigmoid, crossEntropy: { positiveWeight: [1, 2] } }),
      'crossEntropy.positiveWeight',
      '[1, 2]',
    ],
    [new FocalLoss({ ...sigmoid, alpha: [0, 1] }), 'alpha', '[0, 1]'],
    [new CrossEntropyLoss({ ...sigmoid, positiveWeight: [0, 1] }), 'positiveWeight', '[0, 1]'],
  ];
  for (const [loss, name, received] of cases) {
    const message = `Expected 3 numbers, one per class, for ${name} but received ${received}: ${where}`;
    expect(() => loss.value(z, y)).toThrow(new RangeError(message));
  }
});

test('distances of another number of classes', () => {
  const three = new Wasserstein({
    distances: [
      [0, 1, 1],
      [1, 0, 1],
      [1, 1, 0],
    ],
  });
  const two = new Wasserstein({
    distances: [
      [0, 1],
      [1, 0],
    ],
  });
  const [x, y] = [full([2, 2, 5], 0.5), full([2, 5], 1, 'uint8')];
  expect(() => three.value(x, y)).toThrow(
    'Expected 2 rows, one per class, for distances but received 3: the classes are counted in predictions of shape [2, 2, 5] (channels-first)',
  );
  expect(() => three.fromStatistics(two.statistics(x, y))).toThrow(/^Expected statistics of \(/);
});
