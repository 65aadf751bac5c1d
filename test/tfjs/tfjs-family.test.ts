// Every loss of the family as a TensorFlow.js loss, against the reference.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { CrossEntropyLoss, FocalLoss } from '../../lib/index.js';
import { type LossClass, tfLoss } from '../../lib/tfjs.js';
import { reference } from '../reference/reference.js';
import { valueShape } from '../reference/reference-value.js';
import { makeCase } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { cells, entryOf } from '../support/losses.js';
import * as tf from '../support/tensorflow.js';
import { numbers } from '../support/tensors.js';
import { gradTolerance, valueTolerance } from '../support/tolerance.js';

beforeAll(async () => {
  tf.env().set('IS_TEST', true); // no advice to install tfjs-node
  await tf.setBackend('cpu');
});

describe.each(cells)('$key $variant', ({ key, variant }) => {
  const { Class, loss, defaults } = entryOf(key);

  test.each(['mean', 'none'] as const)('%s', (reduction) => {
    tf.tidy(() => {
      const given = { activation: 'softmax', ...variant, reduction } as const;
      const c = makeCase({ loss: key, options: { ...given, layout: 'channels-last' } });
      const { problem, predictions, target } = c;
      const z = tf.tensor(predictions.data as Float32Array, [...predictions.shape]);
      const labels = tf.tensor(Int32Array.from(numbers(target)), [...target.shape], 'int32');
      const ours = tfLoss(tf, Class as LossClass<object>, given as { reduction: 'none' });
      // The sum of a loss that is not reduced has upstream ones.
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => tf.sum(ours(labels, x)))(z);
      const { upstream: _, ...rest } = problem;
      const expected = reference(rest);
      const total = expected.value.reduce((a, b) => a + b, 0);
      expectClose('value', value.dataSync(), [total], valueTolerance('float32', 6));
      const tolerance = gradTolerance('float32', expected.gradient);
      expectClose('grad', grad.dataSync(), expected.gradient, tolerance);
      const options = { ...defaults, ...given };
      const shape = valueShape(loss, options, problem.N, problem.C);
      expect(ours(labels, z).shape).toEqual(shape);
    });
  });
});

test('losses without an overlap loss', () => {
  tf.tidy(() => {
    const z = tf.tensor([0, 0, 0, Math.log(3)], [1, 2, 2]); // p = (1/2, 1/2), (1/4, 3/4)
    const labels = tf.tensor([0, 1], [1, 2], 'int32');
    const smoothed = tfLoss(tf, CrossEntropyLoss, { labelSmoothing: 0.2 });
    const sum = Math.log(2) + 0.1 * Math.log(4) + 0.9 * Math.log(4 / 3);
    expect(smoothed(labels, z).dataSync()[0]).toBeCloseTo(sum / 2, 6);
    const focal = tfLoss(tf, FocalLoss, { gamma: 0 });
    expect(focal(labels, z).dataSync()[0]).toBeCloseTo((Math.log(2) + Math.log(4 / 3)) / 4, 6);
  });
});

test('wrong options are those of the class', () => {
  const { Class } = entryOf('wasserstein');
  expect(() => tfLoss(tf, Class as LossClass<object>)).toThrow(
    'Expected an array of rows for distances but received undefined',
  );
});
