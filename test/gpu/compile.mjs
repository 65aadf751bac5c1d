// Compiles the library and the tests that can run on a GPU to JavaScript that needs no Jest: see suite.mjs.
//
//   node test/gpu/compile.mjs <folder>
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transformFileSync } from '@swc/core';

const root = path.join(import.meta.dirname, '..', '..');
/** Not the ones that start processes: they have no part of a GPU's own. */
const suites =
  /^(device(?!-workers)|stream|central|dtypes|family(?=\.)|options|shapes|weight).*\.test\.ts$/;
/** What suites import, beside the library. */
const helpers = /^(?!bench)[\w-]+\.ts$/;

const out = path.resolve(process.argv[2] ?? path.join(root, 'build-gpu/tests'));
rmSync(out, { recursive: true, force: true });

function compile(folder, wanted) {
  mkdirSync(path.join(out, folder), { recursive: true });
  for (const name of readdirSync(path.join(root, folder))) {
    if (!wanted.test(name)) continue;
    const { code } = transformFileSync(path.join(root, folder, name), {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    });
    const to = path.join(out, folder, name.replace(/\.ts$/, '.js'));
    writeFileSync(to, code.replaceAll("'@jest/globals'", "'./globals.mjs'"));
  }
}

compile('lib', /\.ts$/);
compile('test', suites);
compile('test', helpers);
cpSync(path.join(import.meta.dirname, 'globals.mjs'), path.join(out, 'test', 'globals.mjs'));
