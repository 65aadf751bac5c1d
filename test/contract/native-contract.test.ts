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
  callPredict({ predictLinear: take }, named<NativePrediction>(names.prediction));
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
  ];
  for (const other of others) {
    expect(() => counts.merge(other)).toThrow(
      'Expected Counts of the same decision, classes and bySample for other',
    );
  }
  counts.merge(counts);
});

test.each(Object.keys(codes))('%s has the same codes on both sides', (table) => {
  expect(nativeCodes[table]).toEqual(codes[table as keyof typeof codes]);
});

test('the addon has no table that lib/ does not know', () => {
  expect(Object.keys(nativeCodes).sort()).toEqual(Object.keys(codes).sort());
});
