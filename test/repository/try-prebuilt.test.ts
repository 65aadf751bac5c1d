// `npm run try:prebuilt` and `npm run prebuilds` where something is missing that they need.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { simdTarget } from '../../lib/index.js';

const root = path.join(__dirname, '..', '..');
const prebuilt = 'packages/linux-x64/prebuilds/linux-x64/warpdice.node';
let tree: string;

beforeEach(() => {
  tree = mkdtempSync(path.join(tmpdir(), 'warpdice-tree-'));
  for (const name of ['scripts', 'test/platforms', 'test/standalone', 'package.json', 'addon.cjs'])
    cpSync(path.join(root, name), path.join(tree, name), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(tree, 'node_modules'));
});
afterEach(() => rmSync(tree, { recursive: true }));

function write(name: string, text = '') {
  mkdirSync(path.dirname(path.join(tree, name)), { recursive: true });
  writeFileSync(path.join(tree, name), text);
}

function tryPrebuilt(...args: string[]) {
  const script = path.join(tree, 'scripts/try-prebuilt.mjs');
  const all = [script, '--platform', 'linux-x64', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { status, stdout, stderr };
}
const refused = (stderr: string) => ({
  status: 1,
  stdout: '',
  stderr: `warpdice: ${stderr}\n`,
});

test('what is not built is named, with the command that builds it', () => {
  const missing = (file: string, command: string) =>
    refused(`there is no ${file}: \`npm run ${command}\` makes it.`);
  expect(tryPrebuilt()).toEqual(missing('dist/index.js', 'build:ts'));
  write('dist/index.js');
  const makesIt = missing(prebuilt, 'prebuilds -- --platform linux-x64');
  expect(tryPrebuilt()).toEqual(makesIt);
  expect(tryPrebuilt('--suites')).toEqual(makesIt);
  write(prebuilt);
  expect(tryPrebuilt()).toEqual(missing('build/Release/warpdice.node', 'build:native'));
});

test('an addon of this tree that computes nothing is no measure', () => {
  write('dist/index.js', "throw new Error('no addon')");
  write(prebuilt);
  write('build/Release/warpdice.node');
  const { status, stdout, stderr } = tryPrebuilt();
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(
    /^warpdice: this machine's addon cannot be compared with: it ended with 1: [\s\S]*no addon/,
  );
});

test('a platform that there is not is refused, and those that there are are named', () => {
  const { status, stderr } = tryPrebuilt('--platform', 'linux-x65');
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^warpdice: Expected one of linux-x64, [^\n]* for --platform but received 'linux-x65'\n$/,
  );
});

test('prebuilds: a compiler that is not here is named, with its package; so is a platform that there is not', () => {
  const prebuilds = (platform: string) => {
    const args = [path.join(tree, 'scripts/prebuilds.mjs'), '--platform', platform];
    const env = { ...process.env, PATH: '/nowhere' };
    return spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  };
  const { status, stderr } = prebuilds('linux-arm64');
  expect([status, stderr]).toEqual([
    1,
    'warpdice: linux-arm64 needs aarch64-linux-gnu-g++ (on Debian: apt-get install g++-aarch64-linux-gnu).\n',
  ]);
  expect(prebuilds('linux-x65').stderr).toMatch(
    /^warpdice: Expected one of linux-x64, [^\n]* for --platform but received 'linux-x65'\n$/,
  );
});

test('the SIMD target that a binary must choose is what the system says of the processor', () => {
  const has = (avx2: boolean, avx512: boolean) => `() => (${JSON.stringify({ avx2, avx512 })})`;
  const script = `import { expectedTarget } from '${root}/scripts/expected-target.mjs';
    console.log(JSON.stringify([
      expectedTarget('linux-arm64-musl', () => { throw new Error(); }),
      expectedTarget('win32-x64', ${has(true, true)}, ''),
      expectedTarget('darwin-x64', ${has(true, false)}, ''),
      expectedTarget('linux-x64', ${has(false, false)}, ''),
      expectedTarget('win32-x64', ${has(true, true)}, 'avx2'),
      expectedTarget('linux-x64-musl', ${has(true, true)}, 'baseline'),
      expectedTarget('linux-x64-musl', ${has(true, false)}, 'avx512'),
      expectedTarget('linux-arm64', ${has(true, false)}, 'avx2'),
      expectedTarget('${process.platform}-${process.arch}'),
    ]))`;
  const args = ['--input-type=module', '--eval', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  const best = ['neon', 'avx512', 'avx2', 'baseline'];
  expect(JSON.parse(stdout)).toEqual([...best, 'avx2', 'baseline', 'avx2', 'neon', simdTarget()]);
});
