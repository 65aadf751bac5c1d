import { expect, test } from '@jest/globals';
import { PartOfCases, readEvery } from './part-of-cases.js';

test('WARPDICE_TEST_EVERY is an integer from 1', () => {
  expect(readEvery(undefined)).toBeUndefined();
  expect(readEvery('1')).toBe(1);
  expect(readEvery('10')).toBe(10);
  for (const text of ['abc', '0', '-1', '1.5', '', 'NaN', 'Infinity']) {
    expect(() => readEvery(text)).toThrow(
      `Expected an integer from 1 for WARPDICE_TEST_EVERY but received '${text}'`,
    );
  }
});

test('every nth case, and what was left out', () => {
  const part = new PartOfCases(3);
  expect(part.summary()).toBeUndefined();
  expect(Array.from({ length: 7 }, () => part.next())).toEqual([
    true,
    false,
    false,
    true,
    false,
    false,
    true,
  ]);
  expect(part.summary()).toBe('every 3th case, 3 of 7');
});

test('all cases', () => {
  const part = new PartOfCases(1);
  expect([part.next(), part.next()]).toEqual([true, true]);
  expect(part.summary()).toBeUndefined();
});

test('a suite of which no case was run fails', () => {
  const part = new PartOfCases(Number.NaN);
  part.next();
  expect(() => part.summary()).toThrow('No case was run: every NaNth case, 0 of 1');
});
