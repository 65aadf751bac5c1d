// The mistakes that people make first: each message says what to do.
import { expect, test } from '@jest/globals';
import { DiceCELoss, DiceLoss, SegmentationMetrics, Tensor } from '../../lib/index.js';
import type { Any } from '../support/errors.js';
import { full } from '../support/tensors.js';

const plain = new DiceLoss();
const x = full([2], 0.5);
const y = full([2], 1, 'uint8');
const image = full([1, 3, 4], 0);

test.each<[string, () => unknown, string]>([
  [
    'a typed array alone',
    () => plain.value(Float32Array.of(0.1, 0.2) as Any, y),
    'Expected a Tensor or { data, shape } for predictions but received a Float32Array of 2: add its shape, as in { data, shape: [samples, classes, height, width] }',
  ],
  [
    'an empty typed array alone',
    () => plain.value(x, new Uint8Array(0) as Any),
    'Expected a Tensor or { data, shape } for target but received a Uint8Array of 0: add its shape',
  ],
  [
    'a plain array',
    () => plain.value([0.1, 0.2] as Any, y),
    'Expected a Tensor or { data, shape } for predictions but received [0.1, 0.2]: put the numbers into a typed array, Float32Array.from(numbers), and add its shape',
  ],
  [
    'data that is a plain array',
    () => plain.value({ data: [0.1, 0.2], shape: [2] } as Any, y),
    'for predictions.data but received [0.1, 0.2]: use Float32Array.from(data)',
  ],
  [
    'a mask of booleans',
    () => plain.value(x, { data: [true, false], shape: [2] } as Any),
    'for target.data but received [true, false]: use Uint8Array.from(data)',
  ],
  [
    'an ArrayBuffer',
    () => plain.value({ data: new ArrayBuffer(8), shape: [2] } as Any, y),
    'for predictions.data but received an instance of ArrayBuffer: use a view of it, new Float32Array(data)',
  ],
  [
    'no shape',
    () => plain.value({ data: Float32Array.of(0.1, 0.2) } as Any, y),
    'Expected an array of sizes for predictions.shape but received undefined',
  ],
  [
    'a number as the shape',
    () => plain.value({ data: Float32Array.of(0.1, 0.2), shape: 2 } as Any, y),
    'Expected an array of sizes for predictions.shape but received 2: write [2]',
  ],
  [
    'a promise of a tensor',
    () => plain.value(Promise.resolve(x) as Any, y),
    'Expected a Tensor or { data, shape } for predictions but received a promise: await it',
  ],
  [
    'a promise of options',
    () => plain.value(x, y, Promise.resolve({}) as Any),
    'Expected an object for options but received a promise: await it',
  ],
  [
    'a tensor of TensorFlow.js',
    () => plain.value({ dataSync() {}, shape: [2], dtype: 'float32' } as Any, y),
    'use tfLoss of warpdice/tfjs, or pass { data: tensor.dataSync(), shape: tensor.shape }',
  ],
  [
    'options instead of the target',
    () => plain.value(x, { activation: 'softmax' } as Any),
    'Expected a Tensor or { data, shape } for target but received { activation }: the target comes second, the options of a call third',
  ],
  [
    'a tensor instead of options',
    () => plain.value(x, y, Tensor.from(Float32Array.of(1, 1), [2]) as Any),
    'Expected an object for options but received Tensor float32 [2] on cpu',
  ],
  [
    'an array instead of out',
    () => plain.valueAndGrad(x, y, { out: new Float32Array(2) } as Any),
    'Expected { value, perClass, parts, grad } for out but received a Float32Array of 2: write { grad: { data, shape } }',
  ],
  [
    'a tensor instead of out',
    () => plain.valueAndGrad(x, y, { out: full([2], 0) } as Any),
    'Expected { value, perClass, parts, grad } for out but received { data, shape, dtype }: write { grad: tensor }',
  ],
  [
    'an array instead of out.grad',
    () => plain.valueAndGrad(x, y, { out: { grad: new Float32Array(2) } } as Any),
    'Expected a Tensor or { data, shape } for out.grad but received a Float32Array of 2: add its shape',
  ],
  [
    'new Tensor',
    () => new (Tensor as Any)(Float32Array.of(1, 2), [2]),
    'Expected a call of Tensor.from(data, shape) for a Tensor but received new Tensor(...)',
  ],
  [
    'the activation instead of options',
    () => new DiceLoss('softmax' as Any),
    "Expected an object for options but received 'softmax': write { activation: 'softmax' }",
  ],
  [
    'the layout instead of options',
    () => new DiceCELoss('channels-last' as Any),
    "Expected an object for options but received 'channels-last': write { layout: 'channels-last' }",
  ],
  [
    'a number instead of options',
    () => new SegmentationMetrics(3 as Any),
    'Expected an object for options but received 3',
  ],
  [
    'labels as Int8Array',
    () => plain.value(x, { data: Int8Array.of(1, 0), shape: [2] } as Any),
    'for target.data but received an Int8Array of 2: use Int32Array.from(data)',
  ],
  [
    'a half-precision target without its dtype',
    () => plain.value(x, { data: Uint16Array.of(0x3c00, 0), shape: [2] }),
    'Expected 0 or 1 for target but received 1 other value, the first 15360 at index 0',
  ],
  [
    'one-hot labels as int32',
    () => plain.value(image, full([1, 3, 4], 1, 'int32')),
    'Expected dtype uint8 or a float dtype for target, which is dense (shape [1, 3, 4]), but received int32: use Uint8Array.from(data), or pass class indices without the class axis',
  ],
  [
    'class indices as floats',
    () => plain.value(image, full([1, 4], 1)),
    'Expected dtype uint8, int16, uint16, int32 or int64 for target, which is class indices (shape [1, 4]), but received float32: these are floats, round them: Int32Array.from(data, Math.round)',
  ],
  [
    'class indices with an axis of 1',
    () => plain.value(image, full([1, 1, 4], 1, 'uint8')),
    'Expected shape [1, 3, 4] (dense) or [1, 4] (class indices) for target, with predictions of shape [1, 3, 4], but received [1, 1, 4]: drop its class axis, { data: target.data, shape: [1, 4] }',
  ],
  [
    'channels-last predictions under channels-first',
    () => plain.value(full([1, 4, 4, 3], 0.5), full([1, 4, 4], 1, 'uint8')),
    "Expected shape [1, 4, 4, 3] (dense) or [1, 4, 3] (class indices) for target, with predictions of shape [1, 4, 4, 3], but received [1, 4, 4]: set layout: 'channels-last' if axis 3 of the predictions holds the classes",
  ],
  [
    'a one-hot target with its classes on the last axis',
    () => plain.value(full([1, 3, 4, 5], 0.5), full([1, 4, 5, 3], 1, 'uint8')),
    'but received [1, 4, 5, 3]: move the classes of the target to axis 1, where the predictions have them, or pass class indices',
  ],
  [
    'a one-hot target with its classes on the second axis',
    () =>
      new DiceLoss({ layout: 'channels-last' }).value(
        full([2, 4, 5, 3], 0.5),
        full([2, 3, 4, 5], 1),
      ),
    'but received [2, 3, 4, 5]: move the classes of the target to axis 3, where the predictions have them, or pass class indices',
  ],
  [
    'softmax of one class',
    () =>
      new DiceLoss({ activation: 'softmax' }).value(full([2, 1, 4], 0), full([2, 4], 1, 'uint8')),
    "Expected 2 or more classes for activation 'softmax' but received 1, in predictions of shape [2, 1, 4] (channels-first): use 'sigmoid'",
  ],
  [
    'an image as a mask',
    () => plain.value(x, full([2], 255, 'uint8')),
    'Expected 0 or 1 for target but received 2 other values, the first 255 at index 0: divide a mask of 0 and 255 by 255',
  ],
  [
    'voxels without a class',
    () => plain.value(image, full([1, 4], 255, 'uint8')),
    'Expected class indices from 0 to 2 for target but received 4 other values, the first 255 at index 0: to leave voxels of 255 out, set ignoreIndex: 255',
  ],
  [
    'the other layout',
    () =>
      new DiceLoss({ classWeights: [1, 2, 3] }).value(full([1, 4, 3], 0), full([1, 4], 1, 'uint8')),
    'Expected 4 numbers, one per class, for classWeights but received [1, 2, 3]: the classes are counted in predictions of shape [1, 4, 3] (channels-first)',
  ],
])('%s', (_, call, message) => {
  expect(call).toThrow(message);
  expect(plain.value(x, y).value.itemSync()).toBeCloseTo(0.2, 6); // 1 - 2/(.5 + 2)
});
