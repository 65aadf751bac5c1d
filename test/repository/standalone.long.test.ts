// The suites that run without Jest, on another platform's Node: all of them load there. What they say is for
// `npm run try:prebuilt -- --suites`, which takes minutes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { simdTarget } from '../../lib/index.js';
import { allTests } from '../support/in-this-run.js';

const root = path.join(__dirname, '..', '..');
let folder: string;

const addon = path.join(root, 'build/Release/warpdice.node');

function runWith(settings: NodeJS.ProcessEnv, ...args: string[]) {
  const env = { ...process.env, WARPDICE_TEST_ADDON: addon, ...settings };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}
const run = (...args: string[]) => runWith({}, ...args);

/** Runs suites of these texts, which are no suites of the tree. */
function runNew(texts: Record<string, string>, settings: NodeJS.ProcessEnv) {
  const names = Object.keys(texts);
  const file = (name: string) => path.join(folder, `test/${name}.test.js`);
  for (const name of names) writeFileSync(file(name), texts[name] as string);
  const args = [folder, addon, simdTarget(), ...names];
  const result = runWith(settings, 'test/platforms/suites.mjs', ...args);
  for (const name of names) rmSync(file(name));
  return result;
}

beforeAll(() => {
  folder = mkdtempSync(path.join(root, 'build-suites-')); // in the tree, for its packages
  expect(run('test/standalone/compile.mjs', folder, 'cpu').stderr).toBe('');
});
afterAll(() => rmSync(folder, { recursive: true }));

test('every suite loads; in npm test, every sixth', () => {
  const script = `import { readdirSync } from 'node:fs';
    import { load } from './test/standalone/run.mjs';
    const suites = readdirSync(${JSON.stringify(path.join(folder, 'test'))}, { recursive: true });
    for (const name of suites.filter((name) => name.endsWith('.test.js')).filter((_, i) => i % ${allTests ? 1 : 6} === 0))
      await load(${JSON.stringify(folder)}, 'test', name).catch((error) => console.log(name, error.message));
    console.log(suites.length > 60);`;
  const { stdout, stderr } = run('--input-type=module', '--eval', script);
  expect({ stdout, stderr }).toEqual({ stdout: 'true\n', stderr: '' });
});

test('one that does not load is a failure, and the others run', () => {
  writeFileSync(path.join(folder, 'test/errors/aaa.test.js'), "throw new Error('no such thing');");
  const parts = ['errors/aaa', 'errors/lists'];
  const { status, stdout } = run(
    'test/platforms/suites.mjs',
    folder,
    addon,
    simdTarget(),
    ...parts,
  );
  rmSync(path.join(folder, 'test/errors/aaa.test.js'));
  expect(stdout).toMatch(/^FAILED its import: no such thing$/m);
  expect(stdout).toMatch(/^errors\/lists\.test\.js: [1-9]\d* passed, 0 failed/m);
  expect(status).toBe(1);
});

test('a test that needs the heap is skipped and named', () => {
  const args = [folder, addon, simdTarget(), 'calls/plan'];
  const { status, stdout } = run('test/platforms/suites.mjs', ...args);
  expect(stdout).toMatch(
    /^skipped: calls\/plan\.test\.js: .* allocate nothing, with a float64 upstream \(needs the heap/m,
  );
  expect(stdout).toMatch(/^[1-9]\d* tests passed, 0 failed, 2 skipped$/m);
  expect(status).toBe(0);
});

test('a process that a test starts has the addon, and is started as WARPDICE_TEST_NODE says', () => {
  const suite = `import { expect, test } from '../globals.mjs';
    import { runWell } from '../support/process.js';
    test('in a process', async () => {
      expect(await runWell('print-threads.mjs', { env: { WARPDICE_THREADS: '3' } })).toBe('3\\n');
    });`;
  const said = (...command: string[]) => {
    const env = command.length > 0 ? { WARPDICE_TEST_NODE: JSON.stringify(command) } : {};
    return runNew({ 'errors/aaa': suite }, env).stdout;
  };
  expect(said()).toMatch(/^1 tests passed, 0 failed, 0 skipped$/m);
  expect(said('env', process.execPath)).toMatch(/^1 tests passed, 0 failed, 0 skipped$/m);
  expect(said('/no/node')).toMatch(/^FAILED in a process: spawn \/no\/node ENOENT$/m);
});

test('each suite counts its own cases, and is named', () => {
  const suite = `import { test } from '../globals.mjs';
    import { inThisRun } from '../support/in-this-run.js';
    for (let i = 0; i < 5; i++) if (inThisRun()) test('case ' + i, () => {});`;
  // As compile.mjs writes the import.
  const named = (name: string) => suite.replace('in-this-run.js', `in-this-run.js?${name}`);
  const suites = { 'errors/aaa': named('aaa'), 'errors/aab': named('aab') };
  const { stdout } = runNew(suites, { WARPDICE_TEST_EVERY: '3' });
  for (const name of ['aaa', 'aab']) {
    expect(stdout).toMatch(
      new RegExp(`^${name}.test.js: one case in 3, 2 of 5\nerrors/${name}.test.js: 2 passed`, 'm'),
    );
  }
  const compiled = readFileSync(path.join(folder, 'test/losses/option-matrix.test.js'), 'utf8');
  expect(compiled).toContain("support/in-this-run.js?option-matrix.test.ts'");
});

test('another SIMD target than the expected one is a failure', () => {
  const args = [folder, addon, 'sve', 'errors/lists'];
  const { status, stdout } = run('test/platforms/suites.mjs', ...args);
  expect(stdout).toMatch(/^Expected the SIMD target sve but received (avx|base|neon)/m);
  expect(stdout).toMatch(/, 0 failed/);
  expect(status).toBe(1);
});
