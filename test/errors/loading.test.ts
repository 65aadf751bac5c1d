// Why the addon does not load: every reason has its own sentence. First by the table, then as it happens to a user.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { whyNotLoaded } from '../../lib/native/load-failure.js';
import { addonFile, InstalledPackage } from '../support/installed-package.js';

const platform = `${process.platform}-${process.arch}`;
const wanted = `@warpdice/${platform}`;
const { version } = require('../../package.json');
const none = new Error('No native build was found for platform=linux arch=x64');
const folder = '/app/my project/node_modules/warpdice';
const whole = {
  folder,
  packages: [wanted, '@warpdice/other-x64'],
  hasSources: true,
  hasBuild: false,
};
const compiled = { ...whole, hasBuild: true };
const unknown = { ...whole, packages: ['@warpdice/other-x64'] };
const command = `run 'node "${folder}/scripts/compile.mjs"' on a machine with CMake and a C++ compiler`;

test.each([
  ['a bundle', none, { ...whole, folder: undefined }, 'is bundled without its compiled addon: let'],
  [
    'a bundle without require',
    new ReferenceError('__dirname is not defined'),
    { ...whole, folder: undefined },
    `copy the folder prebuilds of the package ${wanted} (or build`,
  ],
  ['an optional package that is not here', none, whole, `${wanted}, which is not here. Install`],
  ['the same: how to compile', none, whole, `Or compile it: ${command}`],
  [
    'the same for the other C library',
    none,
    { ...whole, packages: [`${wanted}-musl`] },
    `${wanted}, which is not here. Install without npm's --omit=optional`,
  ],
  ['a platform without a package', none, unknown, `and none is published for it: ${command}`],
  [
    'a copy of a part',
    none,
    { ...unknown, hasSources: false },
    'what copied the package left its folder build behind',
  ],
  ['a build without success', none, compiled, `in its folder has not succeeded: ${command}`],
  [
    'addons forbidden',
    new Error('Cannot load native addon because loading addons is disabled.'),
    whole,
    'addons is disabled: start Node without --no-addons',
  ],
  [
    'a newer glibc',
    new Error("libc.so.6: version `GLIBC_2.38' not found"),
    whole,
    `\`GLIBC_2.38' not found: it needs a newer C library than this system has: ${command}`,
  ],
  [
    'a newer libstdc++',
    new Error("version `GLIBCXX_3.4.32' not found"),
    whole,
    'it needs a newer C library',
  ],
  [
    'a damaged file',
    new Error('x.node: file too short'),
    whole,
    'does not load: x.node: file too short: it is damaged or was made for another system: install',
  ],
  ['no error at all', 'words', compiled, 'does not load: words: it is damaged'],
])('%s', (_, thrown, surroundings, sentence) => {
  const message = whyNotLoaded(thrown, surroundings);
  expect(message).toContain(sentence);
  expect(message).not.toMatch(/undefined|\n/);
});

test('without the sources nothing is said of compiling', () => {
  expect(whyNotLoaded(none, { ...whole, hasSources: false })).not.toMatch(/compile it/);
});

describe('an installed package', () => {
  let installed: InstalledPackage;
  beforeEach(() => {
    installed = new InstalledPackage(['addon.cjs', 'dist'], [wanted, `${wanted}-musl`]);
    mkdirSync(installed.path('native'));
  });
  afterEach(() => installed.remove());

  /** The code and message of the error that importing it gives; both empty when it loads. */
  function failure({
    from = 'warpdice',
    node = [] as string[],
  } = {}): [code: string, message: string] {
    const program = `try { await import('${from}') } catch ({ code, message }) { console.log(code + ' ' + message) }`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [...node, '--input-type=module', '--eval', program],
      { cwd: installed.app, encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    const [, code = '', message = ''] = /^(\w+) (.*)\n$/.exec(stdout) ?? [];
    return [code, message];
  }
  const fails = (words: string) => ['ERR_ADDON', expect.stringContaining(words)];

  test('loads', () => {
    installed.writeAddon();
    expect(failure()).toEqual(['', '']);
  });

  test('in a bundle', () => {
    const bundle = path.join(installed.app, 'bundle');
    for (const name of ['addon.cjs', 'dist']) {
      cpSync(installed.path(name), path.join(bundle, name), { recursive: true });
    }
    expect(failure({ from: './bundle/dist/index.js' })).toEqual(fails('warpdice is bundled'));
  });

  test('copied in part', () => {
    const part = new InstalledPackage(['addon.cjs', 'dist']);
    installed.remove();
    installed = part;
    expect(failure()).toEqual(fails('what copied the package left its folder build behind'));
  });

  test('without the optional package of the platform', () => {
    const [code, message] = failure();
    expect(code).toBe('ERR_ADDON');
    expect(message).toContain(`${wanted}, which is not here`);
    expect(message).toContain(`run 'node "${installed.folder}/scripts/compile.mjs"'`);
  });

  test('with the package of the platform', () => {
    installed.writePlatform(wanted, version);
    expect(failure()).toEqual(['', '']);
  });

  test('with that of another version', () => {
    installed.writePlatform(wanted, '9.9.9');
    const words = `warpdice ${version} cannot use ${wanted} 9.9.9: both must have one version`;
    expect(failure()).toEqual(fails(words));
  });

  test('what is compiled in its folder comes first, whatever the package is', () => {
    installed.writeAddon();
    installed.writePlatform(wanted, '9.9.9', 0);
    expect(failure()).toEqual(['', '']);
    installed.writeAddon(0);
    installed.writePlatform(wanted, version);
    expect(failure()).toEqual(fails('file too short: it is damaged'));
  });

  test('with the packages of both C libraries: the one that loads', () => {
    installed.writePlatform(wanted, version, 0);
    expect(failure()).toEqual(fails('file too short: it is damaged'));
    installed.writePlatform(`${wanted}-musl`, version);
    expect(failure()).toEqual(['', '']);
  });

  test('traced: the package of the platform without its package.json', () => {
    installed.writePlatform(wanted, version);
    rmSync(path.join(installed.app, 'node_modules', wanted, 'package.json'));
    expect(failure()).toEqual(['', '']);
  });

  test('whose build failed', () => {
    mkdirSync(installed.path('build'));
    expect(failure()).toEqual(fails('the build in its folder has not succeeded'));
  });

  test('whose addon is cut', () => {
    installed.writeAddon(0);
    expect(failure()).toEqual(fails('file too short: it is damaged'));
  });

  test('whose addon needs a newer glibc', () => {
    installed.writeAddon();
    const bytes = readFileSync(installed.path(addonFile));
    const older = Buffer.from(/GLIBC_2\.\d\d\0/.exec(bytes.toString('latin1'))?.[0] ?? '');
    bytes.write('GLIBC_9.99', bytes.indexOf(older), 'latin1');
    installed.write(addonFile, bytes);
    const words = /version `GLIBC_9.99' not found.*it needs a newer C library than this system has/;
    expect(failure()).toEqual(['ERR_ADDON', expect.stringMatching(words)]);
  });

  test('where Node forbids addons', () => {
    installed.writeAddon();
    expect(failure({ node: ['--no-addons'] })).toEqual(fails('start Node without --no-addons'));
  });
});
