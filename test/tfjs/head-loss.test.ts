// headLoss of warpdice/tfjs against a 1x1 convolution of TensorFlow.js and tfLoss of its result.
import { describe, expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss } from '../../lib/index.js';
import { headLoss, tfLoss } from '../../lib/tfjs.js';
import { Random } from '../support/random.js';
import * as tf from '../support/tensorflow.js';

tf.env().set('IS_TEST', true); // no advice to install tfjs-node
const random = new Random(5);
const normal = (shape: number[]) =>
  tf.tensor(
    Float32Array.from(
      random.array(
        shape.reduce((a, b) => a * b, 1),
        () => random.normal(),
      ),
    ),
    shape,
  );
const [N, H, W, K, C] = [2, 5, 7, 6, 4];
const features = normal([N, H, W, K]);
const kernel = normal([1, 1, K, C]);
const bias = normal([C]);
const labels = tf.tensor(
  Int32Array.from({ length: N * H * W }, () => random.integer(C)),
  [N, H, W],
  'int32',
);

const near = (a: tf.Tensor, b: tf.Tensor) => {
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [a.dataSync(), b.dataSync()];
  const most = Math.max(...y.map(Math.abs));
  x.forEach((value, i) => {
    if (!(Math.abs(value - (y[i] as number)) <= 2e-5 * most))
      throw new Error(`${i}: ${value} for ${y[i]}`);
  });
};

test('several labels that are ignored', () => {
  const marked = labels.dataSync().map((c, i) => (i % 4 ? c : i % 8 ? -1 : 255));
  const yTrue = tf.tensor(marked, [N, H, W], 'int32');
  const ignoreIndex = [255, -1];
  const head = headLoss(tf as never, DiceCELoss, { ignoreIndex });
  const plain = tfLoss(tf as never, DiceCELoss, { ignoreIndex });
  const logits = tf.add(tf.conv2d(features as tf.Tensor4D, kernel as tf.Tensor4D, 1, 'same'), bias);
  const given = head(yTrue as never, features as never, kernel as never, bias as never);
  near(given as never, plain(yTrue as never, logits as never) as never);
});

describe.each([
  ['softmax', 'int32'],
  ['sigmoid', 'one-hot'],
] as const)('%s, labels of %s', (activation, kind) => {
  const ours = headLoss(tf as never, DiceCELoss, { activation });
  const wanted = tfLoss(tf as never, DiceCELoss, { activation });
  const yTrue = kind === 'int32' ? labels : tf.oneHot(labels as tf.Tensor1D, C);
  const head = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
    ours(yTrue as never, x as never, w as never, b as never) as never as tf.Scalar;
  const composed = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
    wanted(
      yTrue as never,
      tf.add(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'), b) as never,
    ) as never as tf.Scalar;

  test('the value and the gradients of a convolution and its loss', () => {
    const got = tf.valueAndGrads(head)([features, kernel, bias]);
    const expected = tf.valueAndGrads(composed)([features, kernel, bias]);
    near(got.value, expected.value);
    for (const [i, grad] of got.grads.entries()) near(grad, expected.grads[i] as tf.Tensor);
  });
});

test('reduction none, and no bias', () => {
  const options = { activation: 'softmax', reduction: 'none' } as const;
  const ours = headLoss(tf as never, DiceLoss, options);
  const wanted = tfLoss(tf as never, DiceLoss, options);
  const head = (w: tf.Tensor) =>
    tf.sum(ours(labels as never, features as never, w as never) as never) as tf.Scalar;
  const composed = (w: tf.Tensor) =>
    tf.sum(
      wanted(
        labels as never,
        tf.conv2d(features as tf.Tensor4D, w as tf.Tensor4D, 1, 'same') as never,
      ) as never,
    ) as tf.Scalar;
  near(tf.grad(head)(kernel), tf.grad(composed)(kernel));
});

test('wrong arguments', () => {
  const loss = headLoss(tf as never, DiceLoss, { activation: 'softmax' }) as never as (
    ...args: unknown[]
  ) => unknown;
  expect(() => loss(labels, features, normal([3, 3, K, C]), bias)).toThrow(
    'Expected [K, C], or [1, 1, K, C] of a 1x1 convolution, for the shape of kernel but received [3, 3, 6, 4]',
  );
  expect(() => loss(labels, features, normal([C, K]), bias)).toThrow(
    /columns .* for weight but received shape \[6, 4\]/,
  );
  expect(() => loss(labels, features, kernel, normal([K]))).toThrow('for bias but received [6]');
  expect(() => loss(labels, features, null)).toThrow(
    'Expected a tensor of TensorFlow.js for kernel but received null',
  );
  const none = headLoss(tf as never, DiceLoss) as never as (...args: unknown[]) => unknown;
  expect(() => none(labels, features, kernel)).toThrow(
    "linearLogits cannot be combined with activation 'none'",
  );
});
