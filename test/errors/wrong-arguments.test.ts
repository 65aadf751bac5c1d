// Every wrong argument: which error, what it says, that nothing was written, and that the next call works. Options of a loss,
// and tensors; test/errors/wrong-call-options.test.ts has the options of calls.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss, JaccardLoss } from '../../lib/index.js';
import { type Any, inOneForm, like, refuse, shape, x, y } from '../support/errors.js';
import { full, tensor } from '../support/tensors.js';

describe('options of a loss', () => {
  const cases: [string, Any, Any, RegExp][] = [
    ['an unknown key', { smooth: 1 }, TypeError, /'smooth'/],
    ['a key with a typo', { activations: 'softmax' }, TypeError, /'activations'/],
    ['no object', 'softmax', TypeError, /options.*'softmax'/],
    ['null', null, TypeError, /options.*null/],
    ['an array', ['softmax'], TypeError, /options/],
    [
      'activation',
      { activation: 'relu' },
      RangeError,
      /'none', 'sigmoid', 'softmax'.*activation.*'relu'/,
    ],
    ['activation of another type', { activation: true }, TypeError, /activation.*true/],
    ['activation null', { activation: null }, TypeError, /activation.*null/],
    [
      'denominator',
      { denominator: 'cubed' },
      RangeError,
      /'squared', 'linear'.*denominator.*'cubed'/,
    ],
    [
      'reduction',
      { reduction: 'average' },
      RangeError,
      /'none', 'mean', 'sum'.*reduction.*'average'/,
    ],
    ['layout', { layout: 'NCHW' }, RangeError, /'channels-first', 'channels-last'.*layout.*'NCHW'/],
    ['batch', { batch: 1 }, TypeError, /true or false.*batch.*1/],
    ['background', { background: 'no' }, TypeError, /true or false.*background.*'no'/],
    ['smoothNumerator', { smoothNumerator: -1 }, RangeError, /smoothNumerator.*-1/],
    [
      'smoothNumerator of another type',
      { smoothNumerator: '1' },
      TypeError,
      /smoothNumerator.*'1'/,
    ],
    ['smoothDenominator', { smoothDenominator: NaN }, RangeError, /smoothDenominator.*NaN/],
    [
      'smoothDenominator',
      { smoothDenominator: Infinity },
      RangeError,
      /smoothDenominator.*Infinity/,
    ],
    ['ignoreIndex', { ignoreIndex: 1.5 }, RangeError, /integer.*ignoreIndex.*1\.5/],
    ['ignoreIndex of another type', { ignoreIndex: '255' }, TypeError, /ignoreIndex.*'255'/],
    ['ignoreIndex', { ignoreIndex: NaN }, RangeError, /ignoreIndex.*NaN/],
    ['classWeights', { classWeights: [1, -1, 1] }, RangeError, /classWeights\[1\].*-1/],
    ['classWeights', { classWeights: [1, NaN, 1] }, RangeError, /classWeights\[1\].*NaN/],
    ['classWeights of strings', { classWeights: ['1'] }, TypeError, /classWeights\[0\].*'1'/],
    [
      'classWeights with a hole',
      { classWeights: [1, undefined, 1] },
      TypeError,
      /classWeights\[1\]/,
    ],
    ['classWeights of another type', { classWeights: 2 }, TypeError, /classWeights.*2/],
    ['no classWeights', { classWeights: [] }, RangeError, /classWeights/],
  ];
  test.each(cases)('%s', (_, options, type, message) => {
    for (const make of [() => new DiceLoss(options), () => new JaccardLoss(options)]) {
      expect(make).toThrow(type);
      expect(make).toThrow(message);
      expect(make).toThrow(inOneForm);
    }
  });

  test('undefined is the default', () => {
    const options = { activation: undefined, batch: undefined, classWeights: undefined } as Any;
    expect(
      new DiceLoss(options).value(full([2], 0.5), full([2], 1, 'uint8')).value.itemSync(),
    ).toBe(new DiceLoss().value(full([2], 0.5), full([2], 1, 'uint8')).value.itemSync());
  });
});

describe('predictions', () => {
  const cases: [string, Any, Any, RegExp][] = [
    ['missing', undefined, TypeError, /predictions.*undefined/],
    ['null', null, TypeError, /predictions.*null/],
    ['a number', 3, TypeError, /predictions.*3/],
    ['a typed array alone', x.data, TypeError, /predictions/],
    ['no shape', { data: x.data }, TypeError, /predictions\.shape.*undefined/],
    ['no data', { shape }, TypeError, /predictions\.data.*undefined/],
    [
      'an unknown key',
      { ...x, strides: [1] },
      TypeError,
      /^Unknown key 'strides' of predictions: the keys are data, shape, dtype$/,
    ],
    [
      'a shape that does not fit',
      { ...x, shape: [2, 3, 4, 4] },
      RangeError,
      /96 elements.*predictions.*\[2, 3, 4, 4\].*120/,
    ],
    ['a shape of strings', { ...x, shape: ['2', 60] }, TypeError, /predictions\.shape/],
    [
      'a size of 0',
      { data: new Float32Array(0), shape: [2, 3, 0, 5] },
      RangeError,
      /predictions\.shape.*\[2, 3, 0, 5\]/,
    ],
    [
      'no samples',
      { data: new Float32Array(0), shape: [0, 3, 4, 5] },
      RangeError,
      /predictions\.shape/,
    ],
    ['rank 0', tensor([1], []), RangeError, /rank 1 or more.*predictions/],
    ['labels', tensor(new Float64Array(120), shape, 'int32'), TypeError, /predictions.*int32/],
    ['uint8', tensor(new Float64Array(120), shape, 'uint8'), TypeError, /predictions.*uint8/],
    [
      'Uint16Array without dtype',
      { data: new Uint16Array(120), shape },
      TypeError,
      /float16.*bfloat16.*predictions/,
    ],
    ['an unknown dtype', { ...x, dtype: 'float' }, RangeError, /predictions\.dtype.*'float'/],
    [
      'another dtype than the data',
      { ...x, dtype: 'float64' },
      TypeError,
      /float32.*predictions.*'float64'/,
    ],
    ['Int8Array', { data: new Int8Array(120), shape }, TypeError, /predictions\.data.*Int8Array/],
    [
      'Uint32Array',
      { data: new Uint32Array(120), shape },
      TypeError,
      /predictions\.data.*Uint32Array/,
    ],
    [
      'BigUint64Array',
      { data: new BigUint64Array(120), shape },
      TypeError,
      /predictions\.data.*BigUint64Array/,
    ],
    ['an array of numbers', { data: [...x.data], shape }, TypeError, /predictions\.data/],
    ['an ArrayBuffer', { data: x.data.buffer, shape }, TypeError, /predictions\.data.*ArrayBuffer/],
  ];
  test.each(cases)('%s', (_, predictions, type, message) =>
    refuse(predictions, y, {}, type, message),
  );
});

describe('target', () => {
  const cases: [string, Any, Any, RegExp][] = [
    ['missing', undefined, TypeError, /target.*undefined/],
    [
      'another number of voxels',
      like('uint8', [2, 4, 4]),
      RangeError,
      /\[2, 3, 4, 5\].*\[2, 4, 5\].*target.*\[2, 4, 4\]/,
    ],
    ['another number of samples', like('uint8', [1, 4, 5]), RangeError, /target.*\[1, 4, 5\]/],
    ['another rank', like('uint8', [2, 20]), RangeError, /target.*\[2, 20\]/],
    ['voxels in another order', like('uint8', [2, 5, 4]), RangeError, /target.*\[2, 5, 4\]/],
    [
      'another number of classes',
      like('float32', [2, 2, 4, 5]),
      RangeError,
      /target.*\[2, 2, 4, 5\]/,
    ],
    ['the other layout', like('float32', [2, 4, 5, 3]), RangeError, /target.*\[2, 4, 5, 3\]/],
    [
      'a class axis of 1',
      like('uint8', [2, 1, 4, 5]),
      RangeError,
      /\[2, 1, 4, 5\].*drop.*\[2, 4, 5\]/,
    ],
    [
      'labels in a float dtype',
      like('float32', [2, 4, 5]),
      TypeError,
      /uint8, int16, uint16, int32 or int64.*target.*float32/,
    ],
    [
      'a dense target in int32',
      tensor(new Float64Array(120), shape, 'int32'),
      TypeError,
      /target.*int32/,
    ],
    [
      'a dense target in int64',
      tensor(new Float64Array(120), shape, 'int64'),
      TypeError,
      /target.*int64/,
    ],
    [
      'data of another length',
      { data: new Uint8Array(39), shape: [2, 4, 5] },
      RangeError,
      /40 elements.*target.*39/,
    ],
  ];
  test.each(cases)('%s', (_, target, type, message) => refuse(x, target, {}, type, message));

  test('channels last: a class axis of 1', () =>
    refuse(
      like('float32', [2, 4, 5, 3]),
      like('uint8', [2, 4, 5, 1]),
      { out: { grad: undefined } },
      RangeError,
      /\[2, 4, 5, 1\].*drop.*\[2, 4, 5\]/,
      new DiceLoss({ layout: 'channels-last' }),
    ));

  test('ignoreIndex with a dense target', () =>
    refuse(
      x,
      like('float32', shape),
      {},
      TypeError,
      /^ignoreIndex needs class indices as target.*dense, of shape \[2, 3, 4, 5\]$/,
      new DiceLoss({ ignoreIndex: 255 }),
    ));

  test('rank 1 with another length', () =>
    refuse(
      full([6], 0.5),
      full([5], 1, 'uint8'),
      { out: { grad: undefined, perClass: undefined } },
      RangeError,
      /\[6\].*target.*\[5\]/,
      new DiceLoss(),
    ));
});

describe('classes', () => {
  const one = full([2, 1, 4], 0.5);
  const mask = full([2, 4], 1, 'uint8');
  const noOut = { out: { grad: undefined, perClass: undefined } };

  test('softmax of one class', () =>
    refuse(one, mask, noOut, RangeError, /2 or more classes.*softmax.*received 1.*sigmoid/));
  test('no background with one class', () =>
    refuse(
      one,
      mask,
      noOut,
      RangeError,
      /2 or more classes.*background.*received 1/,
      new DiceLoss({ background: false }),
    ));
  test('class weights of another number', () =>
    refuse(
      x,
      y,
      {},
      RangeError,
      /3 numbers.*classWeights.*\[1, 2\]/,
      new DiceLoss({ classWeights: [1, 2] }),
    ));
});

describe('weight', () => {
  const cases: [string, Any, Any, RegExp][] = [
    ['null', null, TypeError, /weight.*null/],
    ['a number', 2, TypeError, /weight.*2/],
    [
      'another shape',
      like('float32', [2, 20]),
      RangeError,
      /\[2, 4, 5\] or \[2, 3, 4, 5\] for weight, with .*, but received \[2, 20\]/,
    ],
    [
      'the shape of the predictions in the other layout',
      like('float32', [2, 4, 5, 3]),
      RangeError,
      /\[2, 4, 5\] or \[2, 3, 4, 5\] for weight.*\[2, 4, 5, 3\]/,
    ],
    ['int32', tensor(new Float64Array(40), [2, 4, 5], 'int32'), TypeError, /weight.*int32/],
    ['int64', tensor(new Float64Array(40), [2, 4, 5], 'int64'), TypeError, /weight.*int64/],
  ];
  test.each(cases)('%s', (_, weight, type, message) => refuse(x, y, { weight }, type, message));
});
