// The package as pnpm, yarn (Plug'n'Play) and Bun install it, from a registry on this machine, and in tests of Jest and Vitest.
//   node managers.mjs <this repository>
import assert from 'node:assert';
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const [root] = process.argv.slice(2);
const app = import.meta.dirname;
const tools = path.join(app, '../node_modules');
const load = (file) => import(pathToFileURL(path.join(root, file)).href);
const { startRegistry } = await load('test/platforms/registry.mjs');
const { makePlatformPackage } = await load('scripts/packages.mjs');
const { packageOf, platforms, thisPlatform } = await load('scripts/platforms.mjs');

const scratch = mkdtempSync(path.join(os.tmpdir(), 'warpdice-managers-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const program = path.join(app, 'program.mjs');
const expected = execFileSync(process.execPath, [program], { encoding: 'utf8' });
const env = { ...process.env, HOME: scratch, XDG_DATA_HOME: scratch, XDG_CACHE_HOME: scratch, CI: '1' };
const run = promisify(execFile);

/** What is published; the packages of other platforms without their binaries. */
const main = path.join(app, 'node_modules/warpdice');
const manifest = JSON.parse(readFileSync(path.join(main, 'package.json'), 'utf8'));
const others = Object.keys(platforms).filter((name) => name !== thisPlatform());
mkdirSync(path.join(scratch, 'tarballs'));
const registry = await startRegistry(
  [
    main,
    path.join(app, 'node_modules', packageOf(thisPlatform())),
    ...others.map((name) => makePlatformPackage(scratch, name, manifest)),
    ...Object.keys(manifest.dependencies).map((name) => path.join(root, 'node_modules', name)),
  ],
  path.join(scratch, 'tarballs'),
);

/** Adds warpdice to an empty project with `manager`, a command of this Node's or a program, and runs the program there. */
async function check(name, manager, add, start, settings = {}) {
  const begin = performance.now();
  const cwd = path.join(scratch, name);
  mkdirSync(cwd);
  const files = { 'package.json': '{ "name": "app", "private": true }', ...settings };
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(cwd, file), text);
  cpSync(program, path.join(cwd, 'program.mjs'));
  const file = path.join(tools, manager);
  const call = (args) =>
    /\.m?js$/.test(file) ? run(process.execPath, [file, ...args], { cwd, env }) : run(file, args, { cwd, env });
  await call(add);
  const { stdout } = await (start ? call(start) : run(process.execPath, ['program.mjs'], { cwd, env }));
  assert.equal(stdout, expected);
  console.log(`${name}: installs it (${Math.round(performance.now() - begin)} ms)`);
}

const store = path.join(scratch, 'store');
await check('pnpm', 'pnpm/bin/pnpm.mjs', ['add', 'warpdice', '--registry', registry.url, '--store-dir', store]);
const yarnSettings = `nodeLinker: pnp
npmRegistryServer: "${registry.url.slice(0, -1)}"
unsafeHttpWhitelist: ["127.0.0.1"]
enableGlobalCache: false
enableTelemetry: false
npmMinimalAgeGate: 0
`;
await check('yarn', '@yarnpkg/cli-dist/bin/yarn.js', ['add', 'warpdice'], ['node', 'program.mjs'], {
  '.yarnrc.yml': yarnSettings,
  'yarn.lock': '',
});
const bun = '@oven/bun-linux-x64-baseline/bin/bun';
if (existsSync(path.join(tools, bun))) await check('bun', bun, ['add', 'warpdice', '--registry', registry.url], ['program.mjs']);
registry.close();

/** A test of the package, and how a tool runs it. `extension`: of the test. */
async function checkTests(name, imports, args, settings = {}, extension = '.mjs') {
  const begin = performance.now();
  const cwd = path.join(app, name);
  mkdirSync(cwd);
  const text = `${imports}import { DiceLoss } from 'warpdice';
test('the loss', () => {
  const logits = { data: Float32Array.of(3, -3, 3, -3), shape: [1, 1, 4] };
  const labels = { data: Uint8Array.of(1, 0, 0, 0), shape: [1, 4] };
  const { value } = new DiceLoss({ activation: 'sigmoid' }).value(logits, labels);
  expect(value.itemSync().toFixed(6)).toBe('${expected.trim()}');
  expect(() => new DiceLoss({ activation: 'none' }).value(logits, logits)).toThrow(/Expected/);
});
`;
  const files = { [`loss.test${extension}`]: text, 'package.json': '{ "type": "module" }', ...settings };
  for (const [file, content] of Object.entries(files)) writeFileSync(path.join(cwd, file), content);
  await run(process.execPath, args, { cwd, env });
  console.log(`${name}: tests import it (${Math.round(performance.now() - begin)} ms)`);
}

await checkTests('vitest', "import { expect, test } from 'vitest';\n", [
  path.join(tools, 'vitest/vitest.mjs'),
  'run',
]);
await checkTests(
  'jest',
  '',
  ['--experimental-vm-modules', path.join(root, 'node_modules/jest/bin/jest.js')],
  { 'jest.config.mjs': "export default { testMatch: ['**/*.test.mjs'], transform: {} };\n" },
);

// Jest that compiles to CommonJS, by the settings of the page.
const page = readFileSync(path.join(root, 'docs/using-it-in.md'), 'utf8');
const jestSettings = /```js\n(export default \{\n  transform:[^]*?)```/.exec(page)[1];
const swc = path.join(root, 'node_modules/@swc/jest');
await checkTests(
  'jest-commonjs',
  '',
  [path.join(root, 'node_modules/jest/bin/jest.js')],
  { 'package.json': '{}', 'jest.config.mjs': jestSettings.replace("'@swc/jest'", JSON.stringify(swc)) },
  '.js',
);
