// What `npm pack` packs: all that package.json and the install script name, and nothing that only developers need.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
const manifest = require('../../package.json');
const pack = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
  cwd: root,
  encoding: 'utf8',
});
const packed = [...pack.matchAll(/"path": "(.*)"/g)].map(([, name]) => name as string);

/** Every './...' below a field of package.json. */
function targets(field: unknown): string[] {
  if (typeof field === 'string') return [path.normalize(field)];
  return Object.values(field ?? {}).flatMap(targets);
}

test('every file that package.json names is packed', () => {
  const { main, types, typesVersions, exports, imports, sideEffects } = manifest;
  const named = targets([main, types, typesVersions, exports, imports, sideEffects]);
  expect(named).toContain('dist/index.js');
  expect(named.filter((name) => !packed.includes(name))).toEqual([]);
});

test('the install script is packed with all that it imports', () => {
  expect(manifest.scripts.install).toBe('node scripts/install.mjs');
  const script = readFileSync(path.join(root, 'scripts/install.mjs'), 'utf8');
  const imports = [...script.matchAll(/from '\.\/(.*)'/g)].map(([, name]) => `scripts/${name}`);
  expect(packed).toEqual(expect.arrayContaining(['scripts/install.mjs', ...imports]));
});

// npm runs them for users too: in a package that is a link, as those of pnpm are.
test('no other script runs when a user installs or rebuilds', () => {
  const hooks = ['install', 'prepare', 'prepublish'].flatMap((name) => [
    `pre${name}`,
    name,
    `post${name}`,
  ]);
  expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual(['install']);
});

test('nothing is packed that only developers need', () => {
  const known = /^(dist|native|cmake|prebuilds)\/|^scripts\/(install|build-native)\.mjs$|^[^/]*$/;
  expect(packed.filter((name) => !known.test(name))).toEqual([]);
  expect(packed.filter((name) => /test|benchmark|^native\/.*\.md$/.test(name))).toEqual([]);
});
