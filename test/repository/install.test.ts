// The command that compiles (in a clone npm's install script), on a machine without a compiler: what it finds, and what it says of
// an addon that does not load.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { addonFile, InstalledPackage } from '../support/installed-package.js';

let installed: InstalledPackage;

beforeEach(() => {
  installed = new InstalledPackage(['scripts/compile.mjs', 'scripts/build-native.mjs']);
  mkdirSync(installed.path('bin'));
  symlinkSync(process.execPath, installed.path('bin/node'));
});
afterEach(() => installed.remove());

function install(env: NodeJS.ProcessEnv = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['scripts/compile.mjs'], {
    cwd: installed.folder,
    env: { PATH: installed.path('bin'), ...env },
    encoding: 'utf8',
  });
  expect(signal).toBeNull();
  return { status, stdout, stderr };
}

const needsTools = /^warpdice: building the addon needs CMake [^\n]*\n$/;

test('an addon that loads is used, even where NODE_OPTIONS forbids addons', () => {
  installed.writeAddon();
  for (const NODE_OPTIONS of ['', '--no-addons']) {
    expect(install({ NODE_OPTIONS })).toEqual({ status: 0, stdout: '', stderr: '' });
  }
});

test('without an addon, the tools that compile one are asked for', () => {
  const { status, stdout, stderr } = install();
  expect(stderr).toMatch(needsTools);
  expect([status, stdout]).toEqual([1, '']);
});

test.each([
  [0, /file too short/],
  [100, /cannot read file data/],
  [100_000, /loading it ends the process with SIGBUS/],
])(
  'an addon cut after %i bytes: its fault is said, and the tools are asked for',
  (bytes, words) => {
    installed.writeAddon(bytes);
    const { status, stdout, stderr } = install();
    expect(stdout).toMatch(/^warpdice: build\/Release\/warpdice\.node does not load: [^\n]*\n$/);
    expect(stdout).toMatch(words);
    expect(stderr).toMatch(needsTools);
    expect(status).toBe(1);
  },
);

test('an addon that loads survives a build that cannot begin', () => {
  installed.writeAddon();
  expect(install({ WARPDICE_BUILD_FROM_SOURCE: '1' }).stderr).toMatch(needsTools);
  expect(existsSync(path.join(installed.folder, addonFile))).toBe(true);
});

// CMake is a script here that says what it was asked for.
test.each([
  ['of the published package', false, {}, 'ALL'],
  ['of a clone', true, {}, 'AUTO'],
  ['whose user wants this machine alone', false, { WARPDICE_SIMD_TARGETS: 'AUTO' }, 'AUTO'],
])('the SIMD targets of an addon %s', (_, clone, env, expected) => {
  for (const name of ['cmake', 'c++', 'make']) {
    writeFileSync(installed.path(`bin/${name}`), '#!/bin/sh\necho "$@"\nexit 1\n', { mode: 0o755 });
  }
  if (clone) writeFileSync(installed.path('tsconfig.build.json'), '{}');
  const { status, stderr } = install({ PATH: `${installed.path('bin')}:/bin`, ...env });
  expect(/WARPDICE_SIMD_TARGETS=(\w+)/.exec(stderr)?.[1]).toBe(expected);
  expect(status).toBe(1);
});
