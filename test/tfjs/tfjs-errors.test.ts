// What the TensorFlow.js losses say to wrong arguments; the next call works.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { DiceLoss, JaccardLoss, Loss, WarpDiceError } from '../../lib/index.js';
import { tfLoss } from '../../lib/tfjs.js';
import * as tf from '../support/tensorflow.js';

beforeAll(async () => {
  tf.env().set('IS_TEST', true); // no advice to install tfjs-node
  await tf.setBackend('cpu');
});

/** What `call` throws. */
function thrown(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

describe('making a loss', () => {
  // biome-ignore lint/suspicious/noExplicitAny: wrong arguments on purpose
  const make = tfLoss as any;
  test.each<[string, unknown[], string]>([
    ['no tf', [undefined, DiceLoss], 'Expected TensorFlow.js'],
    ['no TensorFlow.js', [{ tensor() {} }, DiceLoss], 'for tf but received { tensor }'],
    ['arguments swapped', [DiceLoss, tf], 'for tf but received the function DiceLoss'],
    ['no class', [tf], 'for LossClass but received undefined'],
    [
      'an instance',
      [tf, new DiceLoss()],
      'Expected a class of losses, such as DiceLoss, for LossClass but received an instance of DiceLoss: pass the class, and its options as the third argument',
    ],
    ['another class', [tf, Map], 'for LossClass but received the function Map'],
    [
      'options of a wrong kind',
      [tf, DiceLoss, 'softmax'],
      "an object for options but received 'soft",
    ],
    ['options null', [tf, DiceLoss, null], 'an object for options but received null'],
    [
      'an unknown option',
      [tf, DiceLoss, { axis: 1 }],
      "Unknown option 'axis': did you mean layout?",
    ],
  ])('%s', (_, args, message) => {
    const error = thrown(() => make(...args));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(message);
  });

  test.each<[string, object, string]>([
    ['activation', { activation: 'relu' }, "for activation but received 'relu'"],
    ['layout', { layout: 'NHWC' }, "for layout but received 'NHWC'"],
  ])('a wrong %s', (_, options, message) => {
    const error = thrown(() => make(tf, JaccardLoss, options));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain(message);
  });

  test('layout: undefined is the default', () => {
    tf.tidy(() => {
      const loss = make(tf, DiceLoss, { activation: 'softmax', layout: undefined });
      const labels = tf.zeros([2, 5], 'int32');
      expect(loss(labels, tf.zeros([2, 5, 3])).shape).toEqual([]);
      expect(() => loss(labels, tf.zeros([2, 3, 5]))).toThrow('for yTrue');
    });
  });

  test('a class of the caller', () => {
    class Mine extends DiceLoss {}
    expect(Mine.prototype).toBeInstanceOf(Loss);
    expect(tfLoss(tf, Mine)).toBeInstanceOf(Function);
  });
});

describe('calling it', () => {
  const options = { activation: 'softmax' } as const;
  const image = () => tf.zeros([2, 4, 4, 3]);
  type Inputs = () => [yTrue: unknown, yPred: unknown];

  test.each<[string, Inputs, typeof TypeError | typeof RangeError, string]>([
    [
      'yTrue an array',
      () => [[0, 1], image()],
      TypeError,
      'Expected a tensor of TensorFlow.js for yTrue but received [0, 1]',
    ],
    [
      'yPred missing',
      () => [image(), undefined],
      TypeError,
      'Expected a tensor of TensorFlow.js for yPred but received undefined',
    ],
    [
      'yPred null',
      () => [image(), null],
      TypeError,
      'Expected a tensor of TensorFlow.js for yPred but received null',
    ],
    [
      'yPred int32',
      () => [image(), tf.cast(image(), 'int32')],
      TypeError,
      'Expected dtype float32 for yPred but received int32',
    ],
    [
      'yTrue of strings',
      () => [tf.fill([2, 4, 4], 'a', 'string'), image()],
      TypeError,
      'Expected dtype float32 or int32 or bool for yTrue but received string',
    ],
    [
      'class indices as float32',
      () => [tf.zeros([2, 4, 4]), image()],
      TypeError,
      'Expected dtype int32 or bool for yTrue, which is class indices (shape [2, 4, 4]), but received float32: use yTrue.round().toInt()',
    ],
    [
      'class indices with an axis too many',
      () => [tf.zeros([2, 4, 4, 1], 'int32'), image()],
      RangeError,
      'Expected shape [2, 4, 4, 3] (dense) or [2, 4, 4] (class indices) for yTrue, with yPred of shape [2, 4, 4, 3], but received [2, 4, 4, 1]: use yTrue.squeeze([3])',
    ],
    [
      'another size',
      () => [tf.zeros([2, 4, 5], 'int32'), image()],
      RangeError,
      'Expected shape [2, 4, 4, 3] (dense) or [2, 4, 4] (class indices) for yTrue, with yPred of shape [2, 4, 4, 3], but received [2, 4, 5]',
    ],
    [
      'rank 1 against rank 2',
      () => [tf.zeros([5, 1]), tf.zeros([5])],
      RangeError,
      "Expected 2 or more classes for activation 'softmax' but received 1, in yPred of shape [5] (channels-last): use 'sigmoid'",
    ],
    [
      'scalars',
      () => [tf.scalar(1), tf.scalar(1)],
      RangeError,
      'Expected rank 1 or more for the shape of yPred but received []',
    ],
    [
      'no voxels',
      () => [tf.zeros([0, 4, 4, 3]), tf.zeros([0, 4, 4, 3])],
      RangeError,
      'Expected integers from 1 for yPred.shape but received [0, 4, 4, 3]',
    ],
    [
      'softmax of one class',
      () => [tf.zeros([2, 4, 1]), tf.zeros([2, 4, 1])],
      RangeError,
      "Expected 2 or more classes for activation 'softmax' but received 1, in yPred of shape [2, 4, 1] (channels-last): use 'sigmoid'",
    ],
  ])('%s', (_, inputs, kind, message) => {
    tf.tidy(() => {
      // biome-ignore lint/suspicious/noExplicitAny: wrong arguments on purpose
      const loss = tfLoss(tf, DiceLoss, options) as any;
      const [yTrue, yPred] = inputs();
      const error = thrown(() => loss(yTrue, yPred));
      expect(error).toBeInstanceOf(kind);
      expect(error.message).toBe(message);
      expect(loss(image(), image()).shape).toEqual([]);
    });
  });

  test('a target of another shape beside predictions of rank 1', () => {
    tf.tidy(() => {
      expect(() => tfLoss(tf, DiceLoss)(tf.zeros([5, 1]), tf.zeros([5]))).toThrow(
        'Expected shape [5] for yTrue, with yPred of shape [5], but received [5, 1]',
      );
    });
  });

  test('a dense target where ignoreIndex is set', () => {
    tf.tidy(() => {
      const loss = tfLoss(tf, DiceLoss, { ...options, ignoreIndex: 255 });
      expect(() => loss(image(), image())).toThrow(
        'ignoreIndex needs class indices as yTrue, without the class axis',
      );
    });
  });

  test('labels out of range: how many, the first and where', () => {
    tf.tidy(() => {
      const loss = tfLoss(tf, DiceLoss, options);
      const labels = tf.tensor2d([0, 1, 2, 3, -1, 2], [2, 3], 'int32');
      const yPred = tf.zeros([2, 3, 3]);
      const error = thrown(() => tf.grads(loss)([labels, yPred]));
      expect(error).toBeInstanceOf(WarpDiceError);
      expect(error).toMatchObject({ code: 'ERR_LABEL_RANGE', count: 2, index: 3, value: 3 });
      expect(error.message).toBe(
        'Expected class indices from 0 to 2 for yTrue but received 2 other values, the first 3 at index 3',
      );
      const fine = tf.clipByValue(labels, 0, 2);
      expect(tf.grads(loss)([fine, yPred])).toHaveLength(2);
    });
  });

  test('a dense int32 target of other values than 0 and 1', () => {
    tf.tidy(() => {
      const loss = tfLoss(tf, DiceLoss, options);
      const target = tf.tensor2d([0, 1, 256, -1], [2, 2], 'int32');
      const error = thrown(() => loss(target, tf.zeros([2, 2])));
      expect(error).toMatchObject({ code: 'ERR_LABEL_RANGE', count: 2, index: 2, value: 256 });
      expect(error.message).toBe(
        'Expected 0 or 1 for yTrue, which is dense (shape [2, 2]) and int32, but received 2 other values, the first 256 at index 2',
      );
    });
  });

  test.each(['yTrue', 'yPred'])('%s disposed', (name) => {
    const [yTrue, yPred] = [image(), image()];
    (name === 'yTrue' ? yTrue : yPred).dispose();
    const error = thrown(() => tfLoss(tf, DiceLoss)(yTrue, yPred));
    expect(error).toMatchObject({ code: 'ERR_DISPOSED' });
    expect(error.message).toBe(`Expected a live tensor for ${name} but received a disposed one`);
    tf.dispose([yTrue, yPred]);
  });

  test('NaN is not hidden', () => {
    tf.tidy(() => {
      const loss = tfLoss(tf, DiceLoss);
      const yPred = tf.tensor1d([0.5, Number.NaN]);
      expect(loss(tf.tensor1d([1, 0]), yPred).dataSync()[0]).toBeNaN();
    });
  });

  test('fit refuses class indices itself, before the loss is called', async () => {
    const model = tf.sequential({
      layers: [tf.layers.dense({ units: 3, inputShape: [4, 2] })],
    });
    const loss = tfLoss(tf, DiceLoss, options);
    model.compile({ optimizer: 'sgd', loss });
    const [x, labels] = [tf.zeros([2, 4, 2]), tf.zeros([2, 4], 'int32')];
    await expect(model.fit(x, labels)).rejects.toThrow(/dimension/);
    expect((await model.fit(x, tf.oneHot(labels, 3))).epoch).toEqual([0]);
  });
});
