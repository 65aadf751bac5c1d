// Compiles the library, and the tests that can run on a GPU, to JavaScript that needs no Jest: see suite.mjs.
//
//   node test/cuda/gpu/compile.mjs <folder>
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transformFileSync } from '@swc/core';

const root = path.join(import.meta.dirname, '..', '..', '..');
/** Suites that start processes test nothing on the GPU. */
const suites =
  /^(device(?!-workers)|stream|central|dtypes|family(?=\.)|option-matrix|shapes|weight).*\.test\.ts$/;
/** What suites import besides the library. */
const helpers = /^[\w-]+\.ts$/;

const out = path.resolve(process.argv[2] ?? path.join(root, 'build-gpu/tests'));
rmSync(out, { recursive: true, force: true });

/** Compiles the files below a folder whose names match. */
function compile(folder, wanted) {
  for (const relative of readdirSync(path.join(root, folder), { recursive: true })) {
    const source = path.join(folder, relative);
    if (!wanted.test(path.basename(source))) continue;
    const { code } = transformFileSync(path.join(root, source), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    });
    const to = path.join(out, source.replace(/\.ts$/, '.js'));
    const globals = path.relative(path.dirname(source), 'test/globals.mjs');
    mkdirSync(path.dirname(to), { recursive: true });
    writeFileSync(to, code.replaceAll("'@jest/globals'", `'${globals}'`));
  }
}

compile('lib', /\.ts$/);
compile('test', suites);
for (const folder of ['test/support', 'test/reference']) compile(folder, helpers);
cpSync(path.join(root, 'addon.cjs'), path.join(out, 'addon.cjs'));
cpSync(path.join(import.meta.dirname, 'globals.mjs'), path.join(out, 'test', 'globals.mjs'));
