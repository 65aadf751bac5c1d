// What can be said of .github/workflows without GitHub.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
const folder = path.join(root, '.github/workflows');
const read = (name: string) => readFileSync(path.join(folder, name), 'utf8');

// A tag can be moved to other code.
test('every action is pinned by a commit, with the version beside it', () => {
  const used = readdirSync(folder).flatMap((name) => read(name).match(/uses:.*/g) ?? []);
  expect(used.length).toBeGreaterThan(5);
  const pinned = /^uses: actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/;
  expect(used.filter((line) => !pinned.test(line))).toEqual([]);
});

test('every platform of a prebuilt binary has a machine', () => {
  const { prebuiltPlatforms } = require('../../package.json');
  const platforms = [...read('platforms.yml').matchAll(/\{ platform: ([\w-]+)/g)];
  expect(platforms.map(([, name]) => name)).toEqual(prebuiltPlatforms);
});
