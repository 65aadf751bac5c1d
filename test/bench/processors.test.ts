// The processors that a measurement is kept on, and the numbers of threads that are tried.
import { expect, test } from '@jest/globals';
import { choose, parseList, threadCounts } from '../../bench/measure/processors.js';

test('lists of processors', () => {
  expect(parseList('0-2,8\n')).toEqual([0, 1, 2, 8]);
  expect(parseList('5')).toEqual([5]);
  expect(parseList('')).toEqual([]);
});

test.each([
  ['neighbours share a core', (cpu: number) => [cpu - (cpu % 2), cpu - (cpu % 2) + 1], [0, 2]],
  ['the second half shares with the first', (cpu: number) => [cpu % 4, (cpu % 4) + 4], [0, 1]],
  ['a core each', (cpu: number) => [cpu], [0, 1]],
])('two threads on eight processors, %s', (_, siblings, processors) => {
  expect(choose([0, 1, 2, 3, 4, 5, 6, 7], siblings, 2)).toEqual(processors);
});

test('only allowed ones, and only where it makes a difference', () => {
  const pairs = (cpu: number) => [cpu - (cpu % 2), cpu - (cpu % 2) + 1];
  expect(choose([1, 2, 3, 5], pairs, 2)).toEqual([1, 2]);
  expect(choose([0, 1], pairs, 2)).toBeUndefined();
  expect(choose([0, 1, 2], (cpu) => [cpu], 4)).toBeUndefined();
  expect(choose([0, 1, 2, 3], pairs, 3)).toBeUndefined();
});

test.each([
  [1, [1]],
  [2, [1, 2]],
  [6, [1, 2, 4, 6]],
  [8, [1, 2, 4, 8]],
])('numbers of threads on %d processors', (processors, counts) => {
  expect(threadCounts(processors)).toEqual(counts);
});
