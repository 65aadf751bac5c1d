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

test('another SIMD target than the expected one is a failure', () => {
  const args = [folder, addon, 'sve', 'errors/lists'];
  const { status, stdout } = run('test/platforms/suites.mjs', ...args);
  expect(stdout).toMatch(/^Expected the SIMD target sve but received (avx|base|neon)/m);
  expect(stdout).toMatch(/, 0 failed/);
  expect(status).toBe(1);
});
