// Every combination of options against the reference.
import { describe, expect, test } from '@jest/globals';
import { check } from '../support/check.js';
import { inThisRun } from '../support/in-this-run.js';

const axes = {
  loss: ['dice', 'jaccard'],
  activation: ['none', 'sigmoid', 'softmax'],
  denominator: ['squared', 'linear'],
  reduction: ['none', 'mean', 'sum'],
  batch: [false, true],
  background: [true, false],
  layout: ['channels-first', 'channels-last'],
  smooth: [undefined, { smoothNumerator: 0.5, smoothDenominator: 2 }],
  classWeights: [undefined, [0.5, 0, 3]],
  target: ['labels', 'ignored', 'dense'],
  weight: [undefined, 'float32'],
} as const;

describe.each(['float64', 'float32'] as const)('%s', (dtype) => {
  describe.each(axes.loss)('%s', (loss) => {
    test.each(axes.activation)('%s', (activation) => {
      let seed = 0;
      for (const denominator of axes.denominator)
        for (const reduction of axes.reduction)
          for (const batch of axes.batch)
            for (const background of axes.background)
              for (const layout of axes.layout)
                for (const smooth of axes.smooth)
                  for (const classWeights of axes.classWeights)
                    for (const target of axes.target)
                      for (const weight of axes.weight) {
                        seed++;
                        if (!inThisRun()) continue;
                        check({
                          loss,
                          dtype,
                          spatial: [11],
                          target: target === 'dense' ? 'dense' : 'labels',
                          ...(weight ? { weight } : {}),
                          ignored: 0.3,
                          seed,
                          options: {
                            activation,
                            denominator,
                            reduction,
                            batch,
                            background,
                            layout,
                            ...smooth,
                            ...(classWeights ? { classWeights } : {}),
                            ...(target === 'ignored' ? { ignoreIndex: 250 } : {}),
                          },
                        });
                      }
      expect(seed).toBe(2 * 3 * 2 * 2 * 2 * 2 * 2 * 3 * 2);
    });
  });
});

test('classWeights may be a Float64Array', () => {
  check({ options: { classWeights: Float64Array.of(1, 2, 0.25) } });
});

test('ignoreIndex may be a class', () => {
  check({ options: { activation: 'softmax', ignoreIndex: 1 } });
  check({ options: { activation: 'softmax', ignoreIndex: 0 } });
});

test('ignoreIndex may be negative when the labels are', () => {
  for (const targetDtype of ['int32', 'int64'] as const) {
    check({ targetDtype, ignored: 0.5, options: { ignoreIndex: -100 } });
  }
});
