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
  const { main, bin, types, typesVersions, exports, imports, sideEffects } = manifest;
  const named = targets([main, bin, types, typesVersions, exports, imports, sideEffects]);
  expect(named).toContain('dist/index.js');
  expect(named.filter((name) => !packed.includes(name))).toEqual([]);
});

test('the command that compiles is packed with all that it imports', () => {
  const script = readFileSync(path.join(root, 'scripts/compile.mjs'), 'utf8');
  const imports = [...script.matchAll(/from '\.\/(.*)'/g)].map(([, name]) => `scripts/${name}`);
  expect(packed).toEqual(expect.arrayContaining(['scripts/compile.mjs', ...imports]));
});

// npm runs them for users too: in a package that is a link, as those of pnpm are.
test('in a clone no script but install runs when one installs or rebuilds', () => {
  const hooks = ['install', 'prepare', 'prepublish'].flatMap((name) => [
    `pre${name}`,
    name,
    `post${name}`,
  ]);
  expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual(['install']);
  expect(manifest.scripts.install).toBe('node scripts/compile.mjs');
});

test('nothing is packed that only developers need', () => {
  const known = /^(dist|native|cmake)\/|^scripts\/(compile|build-native)\.mjs$|^[^/]*$/;
  expect(packed.filter((name) => !known.test(name))).toEqual([]);
  expect(packed.filter((name) => /test|benchmark|^native\/.*\.md$/.test(name))).toEqual([]);
});

/** What a module of scripts/ gives for an expression; Jest does not import ES modules of packages. */
function evaluated(expression: string) {
  const text = `import { readFileSync } from 'node:fs';
    import { platformManifest, publishedManifest } from './scripts/packages.mjs';
    import { platforms } from './scripts/platforms.mjs';
    const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
    console.log(JSON.stringify(${expression}))`;
  const args = ['--input-type=module', '--eval', text];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' }));
}

test('what is published has no scripts, and the platform packages of its own version', () => {
  const [published, known] = evaluated('[publishedManifest(manifest), Object.keys(platforms)]');
  for (const key of ['scripts', 'devDependencies', 'private', 'binary', 'prebuiltPlatforms']) {
    expect(published).not.toHaveProperty(key);
  }
  for (const key of ['name', 'exports', 'files', 'engines', 'sideEffects']) {
    expect(published[key]).toEqual(manifest[key]);
  }
  const { optionalDependencies, dependencies } = published;
  expect(Object.values(optionalDependencies)).toEqual(
    manifest.prebuiltPlatforms.map(() => manifest.version),
  );
  expect(Object.keys(optionalDependencies)).toEqual(
    manifest.prebuiltPlatforms.map((name: string) => `@warpdice/${name}`),
  );
  expect(known).toEqual(expect.arrayContaining(manifest.prebuiltPlatforms));
  expect(Object.keys(dependencies)).toEqual(['node-gyp-build']); // with itself and one platform's: three packages
});

test.each([
  ['linux-x64', { os: ['linux'], cpu: ['x64'], libc: ['glibc'] }],
  ['linux-arm64-musl', { os: ['linux'], cpu: ['arm64'], libc: ['musl'] }],
  ['win32-x64', { os: ['win32'], cpu: ['x64'], libc: undefined }],
  ['darwin-arm64', { os: ['darwin'], cpu: ['arm64'], libc: undefined }],
])('the package of %s is for that platform alone', (name, fits) => {
  const { os, cpu, libc, ...platform } = evaluated(`platformManifest('${name}', manifest)`);
  expect({ os, cpu, libc }).toEqual(fits);
  expect(platform).toMatchObject({
    name: `@warpdice/${name}`,
    version: manifest.version,
    publishConfig: { access: 'public' },
    preferUnplugged: true,
  });
  expect(platform).not.toHaveProperty('scripts');
});
