// Both sides of the seam know the same names: the values of a call, in order, and the code of every word.
import { expect, test } from '@jest/globals';
import type { NativeCall, NativeCount, NativePrediction, NativeResampling } from '../../binding.js';
import { blankCall, callLoss } from '../../lib/calls/native-call.js';
import { callResample } from '../../lib/calls/resample.js';
import { callPredict } from '../../lib/head/predict.js';
import { callCount } from '../../lib/metrics/native-count.js';
import { codes } from '../../lib/native/codes.js';
import { native } from '../../lib/native/load.js';
import { plainOptions } from '../support/native.js';

const { arguments: names, codes: nativeCodes } = native.contract;

/** A record whose values are their own names. */
const named = <Fields>(list: readonly string[]) =>
  Object.fromEntries(list.map((name) => [name, name])) as Fields;

test('a call passes its values in the order of the addon', () => {
  const passed: unknown[][] = [];
  const take = (...values: unknown[]) => passed.push(values);
  callLoss({ run: take }, 'run', named<NativeCall>(names.call));
  callCount({ count: take }, 'count', named<NativeCount>(names.count));
  callResample({ resampleNearest: take }, named<NativeResampling>(names.resampling));
  callPredict({ predict: take }, 'predict', named<NativePrediction>(names.prediction));
  expect(passed).toEqual([names.call, names.count, names.resampling, names.prediction]);
});

test('a blank call has every value, and no other', () => {
  expect(Object.keys(blankCall(0))).toEqual(names.call);
});

test('a call of fewer values is refused', () => {
  const loss = new native.Loss(plainOptions);
  const refusal = 'Expected the arguments of binding.d.ts';
  expect(() => loss.run(...names.call.slice(1).map(() => 1))).toThrow(refusal);
  const counts = new native.Counts(0, 2, false);
  expect(() => counts.count(...names.count.slice(1).map(() => 1))).toThrow(refusal);
  expect(() => native.predictLinear(...names.prediction.slice(1).map(() => 1))).toThrow(refusal);
  expect(() => native.resampleNearest(...names.resampling.slice(1).map(() => 1))).toThrow(refusal);
});

test('counts of another kind are not added', () => {
  const counts = new native.Counts(0, 2, false);
  const others = [
    new native.Counts(1, 2, false),
    new native.Counts(0, 3, false),
    new native.Counts(0, 2, true),
    new native.Counts(0, 2, false, [[1]]),
  ];
  for (const other of others) {
    expect(() => counts.merge(other)).toThrow('Expected Counts of the same kind for other');
  }
  counts.merge(counts);
});

test.each<[string, unknown[], string]>([
  ['regions of a threshold', [1, 2, false, [[1]]], 'no regions, or no thresholds'],
  ['thresholds of argmax', [0, 2, false, undefined, [1]], 'no regions, or no thresholds'],
  ['no list', [0, 2, false, 1], 'an array of fitting length for regions'],
  ['no lists', [0, 2, false, [1]], 'an array of fitting length for regions'],
  ['more classes than there are', [0, 2, false, [[0, 1, 1]]], 'fitting length for regions'],
  ['class 2 of 2', [0, 2, false, [[2]]], 'classes for regions'],
  ['class -1', [0, 2, false, [[-1]]], 'classes for regions'],
  ['a hole', [0, 2, false, [Array(1)]], 'classes for regions'],
  ['thresholds', [1, 2, false, undefined, 1], 'an array of fitting length for thresholds'],
])('counts of no sense are refused: %s', (_, values, message) => {
  const { Counts } = native as unknown as { Counts: new (...values: unknown[]) => unknown };
  expect(() => new Counts(...values)).toThrow(message);
});

test('names are as many as samples', () => {
  const counts = new native.Counts(0, 1, true);
  const [cells, rows] = [new Float64Array(4), new Float64Array(8)];
  expect(() => counts.set(2, cells, rows, ['a'])).toThrow('Expected a name for each sample');
  expect(() => counts.set(2, cells, rows, [1, 2] as never)).toThrow('Expected strings for names');
  counts.set(2, cells, rows, ['', 'b']);
  expect(counts.names()).toEqual(['', 'b']);
});

test.each(Object.keys(codes))('%s has the same codes on both sides', (table) => {
  expect(nativeCodes[table]).toEqual(codes[table as keyof typeof codes]);
});

test('the addon has no table that lib/ does not know', () => {
  expect(Object.keys(nativeCodes).sort()).toEqual(Object.keys(codes).sort());
});
