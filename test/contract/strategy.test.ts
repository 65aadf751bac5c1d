// What the addon says of how it did a call. Which call is done how is a table in test/native/strategy_test.cc.
import { describe, expect, test } from '@jest/globals';
import { DiceLoss } from '../../lib/index.js';
import { native } from '../../lib/native/load.js';

function call(samples: number, voxels: number) {
  const shape = [samples, 3, voxels];
  const predictions = { data: new Float32Array(samples * 3 * voxels), shape };
  const target = { data: new Uint8Array(samples * voxels), shape: [samples, voxels] };
  return { predictions, target };
}

const loss = new DiceLoss({ activation: 'softmax' });

describe('lastStrategy', () => {
  test('a small call takes its samples at once and computes probabilities once', () => {
    const { predictions, target } = call(2, 100);
    loss.valueAndGrad(predictions, target);
    expect(native.lastStrategy()).toEqual({
      fusesSteps: true,
      reusesProbabilities: true,
      streams: false,
      samplesAtOnce: 2,
    });
  });

  test('a value has no second pass', () => {
    const { predictions, target } = call(2, 100);
    loss.value(predictions, target);
    expect(native.lastStrategy()).toEqual({
      fusesSteps: false,
      reusesProbabilities: false,
      streams: false,
      samplesAtOnce: 2,
    });
  });

  test('a call beyond the cache takes a few samples at a time', () => {
    const { predictions, target } = call(5, 2 ** 18); // 30 MiB with the gradient
    loss.valueAndGrad(predictions, target);
    const strategy = native.lastStrategy();
    const narrow = ['baseline', 'neon'].includes(native.simdTarget());
    expect(strategy).toEqual({
      fusesSteps: true,
      reusesProbabilities: narrow,
      streams: !narrow,
      samplesAtOnce: 2,
    });
  });
});
