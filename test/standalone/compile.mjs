// Compiles the library and a part of the tests to JavaScript that needs no Jest: see run.mjs.
//
//   node test/standalone/compile.mjs <folder> [gpu]    those that can run on a GPU
//   node test/standalone/compile.mjs <folder> cpu      those that need no emulated device
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transformFileSync } from '@swc/core';

const root = path.join(import.meta.dirname, '..', '..');
const [to = 'build-gpu/tests', kind = 'gpu'] = process.argv.slice(2);
/** Where suites are, their names, and what those that are left out contain. */
const { folders, name, without } = {
  gpu: {
    folders: ['test'],
    name: /^(device(?!-workers)|stream|central|dtypes|family(?=\.)|option-matrix|shapes|weight).*\.test\.ts$/,
    without: /child_process/, // they test nothing on the GPU
  },
  cpu: {
    folders: ['losses', 'metrics', 'calls', 'tensors', 'errors', 'contract', 'head'].map(
      (folder) => `test/${folder}`,
    ),
    name: /^[\w-]+\.test\.ts$/,
    // The emulated device, and what only Jest has. Single tests that look at Jest's heap are skipped (not-here.mjs).
    without:
      /child_process|support\/(installed-package|tensorflow)|emulated-environment|build\/emulated|require\(|jest\./,
  },
}[kind];
/** What suites import besides the library. */
const helpers = /^[\w-]+\.ts$/;

const out = path.resolve(root, to);
rmSync(out, { recursive: true, force: true });

/** Compiles the files below a folder whose names match and whose text does not. */
function compile(folder, wanted, unwanted) {
  for (const relative of readdirSync(path.join(root, folder), { recursive: true })) {
    const source = path.join(folder, relative);
    if (!wanted.test(path.basename(source))) continue;
    if (unwanted?.test(readFileSync(path.join(root, source), 'utf8'))) continue;
    const { code } = transformFileSync(path.join(root, source), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    });
    const to = path.join(out, source.replace(/\.ts$/, '.js'));
    const globals = path.relative(path.dirname(source), 'test/globals.mjs');
    mkdirSync(path.dirname(to), { recursive: true });
    // Jest's CommonJS has them: who reads recorded numbers uses them.
    const names = ['dirname', 'filename']
      .filter((name) => new RegExp(`\\b__${name}\\b`).test(code))
      .map((name) => `const __${name} = import.meta.${name};\n`);
    const changed = code
      .replaceAll("'@jest/globals'", `'${globals}'`)
      // One for each suite: it counts the suite's cases.
      .replace("support/in-this-run.js'", `support/in-this-run.js?${path.basename(source)}'`);
    writeFileSync(to, names.join('') + changed);
  }
}

compile('lib', /\.ts$/);
for (const folder of folders) compile(folder, name, without);
for (const folder of ['support', 'reference', 'head', 'losses']) compile(`test/${folder}`, helpers);
if (kind === 'cpu') {
  writeFileSync(path.join(out, 'test/support/garbage.js'), "export * from '../not-here.mjs';\n");
  // The programs that tests start, and the library as they import it.
  for (const folder of ['test/support/workers', 'dist'])
    cpSync(path.join(root, folder), path.join(out, folder), { recursive: true });
  // What they read.
  const recorded = readdirSync(path.join(root, 'test/peers')).filter((file) =>
    file.endsWith('.json'),
  );
  for (const file of [
    ...recorded.map((name) => `test/peers/${name}`),
    'examples/data/brain-tissue.nii.gz',
    'docs/options.md',
  ])
    cpSync(path.join(root, file), path.join(out, file));
}
cpSync(path.join(root, 'addon.cjs'), path.join(out, 'addon.cjs'));
for (const name of ['globals.mjs', 'not-here.mjs'])
  cpSync(path.join(import.meta.dirname, name), path.join(out, 'test', name));
