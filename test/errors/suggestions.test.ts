// What is said about a key that is no option.
import { describe, expect, test } from '@jest/globals';
import { lossOptionNames } from '../../lib/common/loss-option-names.js';
import { editDistance, foreignNames, suggest } from '../../lib/common/suggest.js';
import {
  CrossEntropyLoss,
  DeepSupervision,
  DiceLoss,
  FocalLoss,
  GeneralizedDiceLoss,
  GeneralizedWassersteinDiceLoss,
  SegmentationMetrics,
  Tensor,
  TverskyLoss,
} from '../../lib/index.js';
import { type Any, loss, x, y } from '../support/errors.js';

test.each<[string, string, number]>([
  ['', '', 0],
  ['', 'abc', 3],
  ['gamma', 'gamma', 0],
  ['gama', 'gamma', 1],
  ['gamma', 'gama', 1],
  ['gamna', 'gamma', 1],
  ['gamam', 'gamma', 1],
  ['layuot', 'layout', 1],
  ['kitten', 'sitting', 3],
  ['ca', 'abc', 3],
  ['a', 'abcde', Number.POSITIVE_INFINITY],
])('from %p to %p it is %d letters', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

/** Every option of a loss. */
const ofLoss = lossOptionNames;
const ofCall = ['weight', 'gradScale', 'gradDtype', 'accumulate', 'upstream', 'out'];

test.each<[string, readonly string[], string[]]>([
  // Another spelling
  ['smooth_numerator', ofLoss, ['smoothNumerator']],
  ['IGNOREINDEX', ofLoss, ['ignoreIndex']],
  // A typo
  ['activations', ofLoss, ['activation']],
  ['actvation', ofLoss, ['activation']],
  ['denomintaor', ofLoss, ['denominator']],
  ['smoothNumeratr', ofLoss, ['smoothNumerator']],
  ['layuot', ofLoss, ['layout']],
  // A part
  ['smoothing', ofLoss, []],
  ['entropy', ofLoss, ['crossEntropy']],
  ['ignore', ofLoss, ['ignoreIndex']],
  ['gradient', ['value', 'perClass', 'parts', 'grad'], ['grad']],
  ['output', ofCall, ['out']],
  // Names of other libraries
  ['smooth', ofLoss, ['smoothNumerator', 'smoothDenominator']],
  ['smooth_nr', ofLoss, ['smoothNumerator']],
  ['smooth_dr', ofLoss, ['smoothDenominator']],
  ['eps', ofLoss, ['smoothDenominator']],
  ['epsilon', ofLoss, ['smoothDenominator']],
  ['sigmoid', ofLoss, ['activation']],
  ['softmax', ofLoss, ['activation']],
  ['from_logits', ofLoss, ['activation']],
  ['mode', ofLoss, ['activation']],
  ['include_background', ofLoss, ['background']],
  ['includeBackground', ofLoss, ['background']],
  ['squared_pred', ofLoss, ['denominator']],
  ['ignore_index', ofLoss, ['ignoreIndex']],
  ['class_weights', ofLoss, ['classWeights']],
  ['weight', ofLoss, ['classWeights']],
  ['weights', ofLoss, ['classWeights']],
  ['weights', ofCall, ['weight']],
  ['per_image', ofLoss, ['batch']],
  ['channels_last', ofLoss, ['layout']],
  ['data_format', ofLoss, ['layout']],
  ['lambda_ce', ofLoss, ['crossEntropy']],
  ['loss_scale', ofCall, ['gradScale']],
  ['num_classes', ['classes', 'decision'], ['classes']],
  // Nothing like it
  ['foo', ofLoss, []],
  ['x', ofLoss, []],
  ['', ofLoss, []],
  ['constructor', ofLoss, []],
  ['__proto__', ofLoss, []],
])('%p stands for an option', (key, known, expected) => {
  expect(suggest(key, known)).toEqual(expected);
});

test('the table suggests options that exist', () => {
  const ofClasses = ['distances', 'weighting', 'labelSmoothing', 'positiveWeight'];
  const ofOthers = ['smooth', 'spacing', 'log', 'iterations', 'decision', 'value'];
  const all = [...ofLoss, ...ofCall, ...ofClasses, ...ofOthers];
  for (const names of Object.values(foreignNames)) {
    if (typeof names !== 'string') for (const name of names) expect(all).toContain(name);
  }
  for (const key of Object.keys(foreignNames)) expect(key).toMatch(/^[a-z0-9]+$/);
});

test('losses without an overlap loss have none of its options', () => {
  const shared = [
    'activation',
    'reduction',
    'classWeights',
    'ignoreIndex',
    'layout',
    'allReduce',
    'reproducible',
  ];
  const unknown = (Class: typeof CrossEntropyLoss | typeof FocalLoss) =>
    ofLoss.filter((key) => {
      try {
        new Class({ [key]: undefined } as Any);
        return false;
      } catch (error) {
        return (error as Error).message.startsWith(`Unknown option '${key}': `);
      }
    });
  const others = ofLoss.filter((key) => !shared.includes(key));
  expect(unknown(CrossEntropyLoss)).toEqual(others);
  expect(unknown(FocalLoss)).toEqual(others.filter((key) => key !== 'gamma'));
});

describe('where options are taken', () => {
  const distances = [
    [0, 1],
    [1, 0],
  ];
  const softmax = { activation: 'softmax' };
  test.each<[string, () => unknown, string]>([
    [
      'of a loss',
      () => new DiceLoss({ smooth: 1 } as Any),
      "Unknown option 'smooth': did you mean smoothNumerator or smoothDenominator?",
    ],
    [
      'of a loss, nothing near',
      () => new DiceLoss({ foo: 1 } as Any),
      "Unknown option 'foo': the options are activation, denominator, overlap, smoothNumerator, smoothDenominator, transform, gamma, absent, reduction, batch, background, classWeights, ignoreIndex, layout, crossEntropy, focal, overlapWeight, allReduce",
    ],
    [
      'of another loss',
      () => new DiceLoss({ alpha: 1 } as Any),
      "Unknown option 'alpha': TverskyLoss has it, and focal: { alpha }; to weigh the classes use classWeights",
    ],
    [
      'of another loss',
      () => new TverskyLoss({ weighting: 'simple' } as Any),
      "Unknown option 'weighting': GeneralizedDiceLoss and GeneralizedWassersteinDiceLoss have it",
    ],
    [
      'of most losses',
      () => new GeneralizedWassersteinDiceLoss({ distances, background: false } as Any),
      "Unknown option 'background': the options are activation, smoothNumerator,",
    ],
    [
      'without need',
      () => new GeneralizedDiceLoss({ to_onehot_y: true } as Any),
      "Unknown option 'to_onehot_y': a target without the class axis is class indices, and needs no option",
    ],
    [
      'without need',
      () => new DiceLoss({ classes: 3 } as Any),
      "Unknown option 'classes': the classes are counted from the shape of the predictions",
    ],
    [
      'of the cross-entropy',
      () => new DiceLoss({ ...softmax, crossEntropy: { smooth: 0.1 } } as Any),
      "Unknown key 'smooth' of crossEntropy: did you mean labelSmoothing?",
    ],
    [
      'of the focal loss',
      () => new DiceLoss({ ...softmax, focal: { gama: 2 } } as Any),
      "Unknown key 'gama' of focal: did you mean gamma?",
    ],
    [
      'of the cross-entropy alone',
      () => new CrossEntropyLoss({ label_smoothing: 0.1 } as Any),
      "Unknown option 'label_smoothing': did you mean labelSmoothing?",
    ],
    [
      'of the cross-entropy alone',
      () => new CrossEntropyLoss({ weight: [1, 2] } as Any),
      "Unknown option 'weight': did you mean classWeights?",
    ],
    [
      'of Dice, given to the focal loss',
      () => new FocalLoss({ denominator: 'linear' } as Any),
      "Unknown option 'denominator': the options are activation, gamma, alpha, classWeights, ignoreIndex, reduction, layout, allReduce",
    ],
    [
      'of the cross-entropy, given to Dice',
      () => new DiceLoss({ labelSmoothing: 0.1 } as Any),
      "Unknown option 'labelSmoothing': did you mean crossEntropy?",
    ],
    [
      'of a call',
      () => loss.valueAndGrad(x, y, { weights: 1 } as Any),
      "Unknown option 'weights': did you mean weight?",
    ],
    [
      'of the loss, given to a call',
      () => loss.value(x, y, softmax as Any),
      "Unknown option 'activation': it belongs to the loss, new DiceLoss({ activation })",
    ],
    [
      'of out',
      () => loss.valueAndGrad(x, y, { out: { gradient: x } } as Any),
      "Unknown key 'gradient' of out: did you mean grad?",
    ],
    [
      'of out, for fewer results',
      () => loss.value(x, y, { out: { grad: x } } as Any),
      "Unknown key 'grad' of out: the keys are value, perClass, parts",
    ],
    [
      'of metrics',
      () => new SegmentationMetrics({ num_classes: 3 } as Any),
      "Unknown option 'num_classes': did you mean classes?",
    ],
    [
      'of tensors',
      () => Tensor.empty([1], 'float32', { exportible: true } as Any),
      "Unknown option 'exportible': did you mean exportable?",
    ],
    [
      'of a tensor as an argument',
      () => loss.value({ ...x, stride: [1] } as Any, y),
      "Unknown key 'stride' of predictions: the keys are data, shape, dtype",
    ],
    [
      'of deep supervision',
      () => new DeepSupervision(loss, [1]).value([x], y, { wieght: 1 } as Any),
      "Unknown option 'wieght': did you mean weight?",
    ],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });
});
