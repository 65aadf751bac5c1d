// Sigmoid cross-entropy over many voxels: the logarithms of neighbouring steps share one, in blocks of several such groups, for
// every number of voxels that a block, a group or a step ends with.
import { describe, test } from '@jest/globals';
import { check } from '../support/check.js';
import { everyNth } from '../support/in-this-run.js';
import type { FloatDType } from '../support/tensors.js';

const sizes = [255, 257, 511, 513, 1023, 1025, 1153, 2047, 2049, 4160, 5003];
const some = everyNth(5);

describe.each(['float32', 'float64', 'float16'] as FloatDType[])('%s', (dtype) => {
  test.each(['labels', 'dense'] as const)('%s', (target) => {
    for (const [i, S] of sizes.entries())
      for (const labelSmoothing of [0, 0.25])
        if (some())
          check({
            loss: 'diceCE',
            N: 1,
            C: 2,
            spatial: [S],
            dtype,
            target,
            ...(dtype === 'float16' && { gradDtype: 'float32' as const }),
            ...(i % 3 === 2 && { weight: 'float32' as const }),
            options: {
              activation: 'sigmoid',
              layout: i % 2 ? 'channels-last' : 'channels-first',
              crossEntropy: { labelSmoothing },
            },
          });
  });
});
