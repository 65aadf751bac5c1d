// Why the addon does not load: every reason has its own sentence. First by the table, then as it happens to a user.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { whyNotLoaded } from '../../lib/native/load-failure.js';
import { addonFile, InstalledPackage } from '../support/installed-package.js';

const platform = `${process.platform}-${process.arch}`;
const none = new Error('No native build was found for platform=linux arch=x64');
const whole = { isPackage: true, hasSources: true, hasBuild: true };
const unbuilt = { ...whole, hasBuild: false };

test.each([
  ['a bundle', none, { ...whole, isPackage: false }, /is bundled without its compiled addon: let/],
  [
    'a bundle without require',
    new ReferenceError('__dirname is not defined'),
    { ...whole, isPackage: false },
    /is bundled/,
  ],
  [
    'a copy of a part',
    none,
    { ...unbuilt, hasSources: false },
    /addon for .*: what copied the package left/,
  ],
  [
    'scripts that have not run',
    none,
    unbuilt,
    /its install script has not run.* npm: .* pnpm: .* yarn: /,
  ],
  [
    'a build without success',
    none,
    whole,
    /the build in its folder has not succeeded: run "npm rebuild/,
  ],
  [
    'addons forbidden',
    new Error('Cannot load native addon because loading addons is disabled.'),
    whole,
    /addons is disabled: start Node without --no-addons/,
  ],
  [
    'a newer glibc',
    new Error("libc.so.6: version `GLIBC_2.38' not found"),
    whole,
    /`GLIBC_2.38' not found: it needs a newer C library.*: run "npm rebuild/,
  ],
  [
    'a newer libstdc++',
    new Error("version `GLIBCXX_3.4.32' not found"),
    whole,
    /it needs a newer C library/,
  ],
  [
    'a damaged file',
    new Error('x.node: file too short'),
    whole,
    /does not load: x.node: file too short: it is damaged or was made for another system/,
  ],
  ['no error at all', 'words', unbuilt, /does not load: words: it is damaged/],
])('%s', (_, thrown, surroundings, sentence) => {
  const message = whyNotLoaded(thrown, surroundings);
  expect(message).toMatch(sentence);
  expect(message).not.toMatch(/undefined|\n/);
});

describe('an installed package', () => {
  let installed: InstalledPackage;
  beforeEach(() => {
    installed = new InstalledPackage(['addon.cjs', 'dist']);
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
    expect(failure()).toEqual(fails('what copied the package left'));
  });

  test('whose install script has not run', () => {
    expect(failure()).toEqual(fails(`for ${platform}: its install script has not run`));
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
    const older = Buffer.from(/GLIBC_2\.[3-9]\d\0/.exec(bytes.toString('latin1'))?.[0] ?? '');
    bytes.write('GLIBC_9.99', bytes.indexOf(older), 'latin1');
    installed.write(addonFile, bytes);
    expect(failure()).toEqual(fails("version `GLIBC_9.99' not found"));
    expect(failure()).toEqual(fails('it needs a newer C library than this system has'));
  });

  test('where Node forbids addons', () => {
    installed.writeAddon();
    expect(failure({ node: ['--no-addons'] })).toEqual(fails('start Node without --no-addons'));
  });
});
