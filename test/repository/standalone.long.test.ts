// The suites that run without Jest, on another platform's Node: all of them load there. What they say is for
// `npm run try:prebuilt -- --suites`, which takes minutes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { simdTarget } from '../../lib/index.js';
import { allTests } from '../support/in-this-run.js';

const root = path.join(__dirname, '..', '..');
let folder: string;

const addon = path.join(root, 'build/Release/warpdice.node');

function run(...args: string[]) {
  const env = { ...process.env, WARPDICE_TEST_ADDON: addon };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
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

test('a test that needs a process, or the heap, is skipped and named', () => {
  const suite = `import { test } from '../globals.mjs';
    import { runWell } from '../support/process.js';
    test('in a process', () => runWell('some.mjs'));`;
  writeFileSync(path.join(folder, 'test/errors/aaa.test.js'), suite);
  const args = [folder, addon, simdTarget(), 'errors/aaa', 'calls/plan'];
  const { status, stdout } = run('test/platforms/suites.mjs', ...args);
  rmSync(path.join(folder, 'test/errors/aaa.test.js'));
  expect(stdout).toMatch(
    /^skipped: errors\/aaa\.test\.js: in a process \(needs a process of its own\)$/m,
  );
  expect(stdout).toMatch(
    /^skipped: calls\/plan\.test\.js: .* allocate nothing, with a float64 upstream \(needs the heap/m,
  );
  expect(stdout).toMatch(/^[1-9]\d* tests passed, 0 failed, 3 skipped$/m);
  expect(status).toBe(0);
});

test('another SIMD target than the expected one is a failure', () => {
  const args = [folder, addon, 'sve', 'errors/lists'];
  const { status, stdout } = run('test/platforms/suites.mjs', ...args);
  expect(stdout).toMatch(/^Expected the SIMD target sve but received (avx|base|neon)/m);
  expect(stdout).toMatch(/, 0 failed/);
  expect(status).toBe(1);
});
