// A mean's divisor is known before the first gradient, by counting labels, or after all statistics: the same bits.
import { expect, test } from '@jest/globals';
import type { NativeLossOptions } from '../../binding.js';
import { blankArguments } from '../../lib/calls/outputs.js';
import { native } from '../../lib/native/load.js';
import { plainOptions } from '../support/native.js';

const N = 3;
const S = 300;
const cases: [string, Partial<NativeLossOptions>][] = [
  ['cross-entropy', { crossEntropyFactor: 1 }],
  ['cross-entropy, ignoring 255', { crossEntropyFactor: 1, ignoreIndex: 255 }],
  ['cross-entropy, ignoring class 1', { crossEntropyFactor: 1, ignoreIndex: 1 }],
  ['cross-entropy, ignoring -1', { crossEntropyFactor: 1, ignoreIndex: -1 }],
  [
    'sigmoid, smoothed',
    { crossEntropyFactor: 1, labelSmoothing: 0.1, activation: 1, ignoreIndex: 0 },
  ],
  ['focal', { focalFactor: 1, ignoreIndex: 1 }],
  ['without absent classes', { absent: 1, ignoreIndex: 1 }],
  ['generalized without absent classes', { kind: 3, absent: 2, ignoreIndex: 1 }],
];

test.each(cases)('%s', (_, given) => {
  for (const [C, bytes] of [
    [1, 1],
    [4, 1],
    [4, 4],
    [4, 8],
    [40, 4],
  ] as const) {
    const classWeights = Float64Array.from({ length: C }, (_, c) => 1 + (c % 3) / 4);
    const loss = new native.Loss({
      ...plainOptions,
      activation: C === 1 ? 1 : 2,
      smoothNumerator: 0.1,
      smoothDenominator: 0.1,
      classWeights,
      ...given,
    });
    const ignored =
      given.ignoreIndex === undefined || (bytes === 1 && given.ignoreIndex < 0)
        ? 0
        : given.ignoreIndex;
    // Sample 2 has class 0 and what is ignored alone.
    const label = (i: number) => (i % 7 === 3 ? ignored : i < 2 * S ? (i * i) % Math.max(C, 2) : 0);
    const labels = Array.from({ length: N * S }, (_, i) => label(i));
    const target =
      bytes === 1
        ? Uint8Array.from(labels)
        : bytes === 4
          ? Int32Array.from(labels)
          : BigInt64Array.from(labels, BigInt);
    const args = blankArguments(7);
    [args[1], args[2], args[3]] = [N, C, S];
    args[4] = Float32Array.from({ length: N * C * S }, (_, i) => 3 * Math.sin(i * 0.7));
    [args[6], args[7], args[8]] = [target, bytes === 1 ? 4 : bytes === 4 ? 5 : 6, true];
    args[14] = new Float64Array(1);
    const counted = new Float32Array(N * C * S);
    args[16] = counted;
    loss.run(...args);
    const statistics = new Float64Array(N * C * 8);
    const first: typeof args = [...args];
    first[0] = 1;
    first[11] = statistics;
    loss.run(...first);
    const later = new Float32Array(N * C * S);
    const last: typeof args = [...args];
    last[0] = 4;
    last[11] = statistics;
    last[16] = later;
    loss.run(...last);
    expect(counted).toEqual(later);
    if (C > 1) expect(counted.some((g) => g !== 0)).toBe(true);
  }
});
