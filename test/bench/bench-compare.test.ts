// --compare: a call is slower only when noise cannot explain it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { compare, readSaved, verdictOf } from '../../bench/compare.js';
import { around, caseOf, savedOf } from './bench-results.js';

test.each([
  ['twice the time', around(1), around(2), 1, 'slower'],
  ['half the time', around(2), around(1), 1, 'faster'],
  ['the same', around(1), around(1), 1, 'same'],
  ['less than a tenth', around(1), around(1.09), 1, 'same'],
  ['quartiles that overlap', { ...around(1), q3: 1.5 }, around(1.4), 1, 'same'],
  ['a minimum that did not move', around(1), { ...around(2), min: 0.95 }, 1, 'same'],
  ['no more than the copy', around(1), around(2), 2, 'same'],
  ['more than the copy', around(1), around(2), 1.5, 'slower'],
  ['a copy that got faster explains nothing', around(1), around(2), 0.5, 'slower'],
  [
    'and makes nothing slower',
    { ...around(1), q3: 1.01, min: 0.5 },
    { ...around(1.05), q1: 1.02 },
    0.5,
    'same',
  ],
  ['faster, but no more than the copy', around(2), around(1), 0.5, 'same'],
] as const)('%s', (_, before, now, copyRatio, verdict) => {
  expect(verdictOf(before, now, copyRatio)).toBe(verdict);
});

test('our calls are compared, by SIMD target, shape, case and name; limits are not', () => {
  const { changes, missing, differs } = compare(savedOf([caseOf(2)]), savedOf([caseOf(4)]));
  expect(changes).toHaveLength(1);
  expect(changes[0]).toMatchObject({
    what: 'avx512 [4,4,512,512] softmax float32, labels, valueAndGrad',
    ratio: 2,
    copyRatio: 1,
    verdict: 'slower',
  });
  expect([missing, differs]).toEqual([[], []]);
});

test('what only one run has is named, or left out', () => {
  const other = caseOf(3, { case: 'float16, labels' });
  const { changes, missing } = compare(savedOf([caseOf(2), other]), savedOf([caseOf(2)]));
  expect(changes.map(({ verdict }) => verdict)).toEqual(['same']);
  expect(missing).toEqual(['avx512 [4,4,512,512] softmax float16, labels, valueAndGrad']);
  expect(compare(savedOf([]), savedOf([caseOf(2)])).changes).toEqual([]);
});

test('another machine and other settings are said', () => {
  const before = savedOf([caseOf(2)]);
  const now = savedOf([caseOf(2)], {
    machine: { ...before.machine, cpu: 'Another' },
    options: { ...before.options, quick: true },
  });
  expect(compare(before, now).differs).toEqual([
    'processor: A processor then, Another now',
    '--quick: false then, true now',
  ]);
});

test('a file of a run is read, older ones too; anything else is said in one sentence', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-compare-'));
  try {
    const file = path.join(folder, 'run.json');
    const { machine, options, results } = savedOf([caseOf(2)]);
    writeFileSync(file, JSON.stringify({ machine, options, results }));
    expect(readSaved(file)).toMatchObject({
      results: [{ simd: 'avx512' }],
      peers: [],
      scaling: [],
    });
    for (const content of ['{}', 'no JSON', '[]']) {
      writeFileSync(file, content);
      expect(() => readSaved(file)).toThrow(
        `Expected a JSON file of an earlier run but received "${file}"`,
      );
    }
    expect(() => readSaved(path.join(folder, 'none'))).toThrow(TypeError);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
