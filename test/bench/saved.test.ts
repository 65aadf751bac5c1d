// The JSON file of a run: small, at four digits, and the same tables and targets when it is read again.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readSaved, textOf, writeSaved } from '../../bench/report/saved.js';
import { targetsOf } from '../../bench/report/targets.js';
import { around, caseOf, ms, savedOf } from './fixture.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-saved-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const rows = ['memcpy', 'read, write', 'valueAndGrad', 'value'].map((name) => ({
  name,
  ms: ms(1.23456),
  toCopy: around(6.54321),
}));
const half = { case: 'float16, labels', calls: rows };
const found = savedOf([caseOf(2, { calls: rows }), caseOf(2, half)], {
  peers: [{ group: '[4,4,512,512] softmax', name: 'PyTorch, a', ms: ms(9), toOurs: around(9.4) }],
});

test('has the figures at four digits; of other cases than the first only valueAndGrad', () => {
  const { results } = JSON.parse(textOf(found));
  const [first, other] = results[0].cases;
  const namesOf = ({ calls }: typeof first) => calls.map(({ name }: { name: string }) => name);
  expect(namesOf(first)).toEqual(['read, write', 'valueAndGrad', 'value']);
  expect(namesOf(other)).toEqual(['valueAndGrad']);
  expect(first.calls[1]).toEqual({
    name: 'valueAndGrad',
    ms: { median: 1.235, q1: 1.222, q3: 1.247, samples: 9 },
    toCopy: { median: 6.543, q1: 6.478, q3: 6.609 },
  });
});

test('lies under the name of its machine and day, and is judged as before when read', () => {
  const file = writeSaved(found, folder, '-quick');
  expect(path.basename(file)).toBe('a-processor-2026-01-02-quick.json');
  const read = readSaved(file);
  expect(read.machine).toEqual(found.machine);
  expect(read.options).toEqual(found.options);
  expect(targetsOf(read)).toEqual(targetsOf(found));
  // Written again it is the same, byte for byte.
  expect(textOf(read)).toBe(readFileSync(file, 'utf8'));
});

test.each(['{}', 'no JSON', '[]', undefined])('a file that holds %s is refused', (content) => {
  const file = path.join(folder, `${content?.length}.json`);
  if (content) writeFileSync(file, content);
  const message = `Expected a JSON file of an earlier run but received "${file}"`;
  expect(() => readSaved(file)).toThrow(new TypeError(message));
});
