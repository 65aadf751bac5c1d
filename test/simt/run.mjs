// Compiles what has changed into build/simt and runs it. Needs a C++ compiler (CXX, else c++), no CUDA toolkit.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..');
const folder = path.join(root, 'build', 'simt');
const compiler = process.env.CXX ?? 'c++';
const include = ['test/simt', 'test/fake'].map((folder) => `-I${path.join(root, folder)}`);
const common = ['-std=c++17', '-Wall', '-Wextra', ...include];
// As CUDA computes: every rounding where the source has it.
const kernelFlags = ['-O2', '-ffp-contract=off', '-Wno-unknown-pragmas', '-x', 'c++'];
const kernels = ['engine', 'geometry', 'float32', 'float64', 'float16', 'bfloat16'];
const units = [
  ...kernels.map((name) => ({ source: `native/cuda/${name}.cu`, flags: kernelFlags })),
  { source: 'test/simt/simt.cc', flags: ['-O2', '-U_FORTIFY_SOURCE'] },
  { source: 'test/simt/kernels_test.cc', flags: ['-O1'] },
];

/** Names an object by everything that could change it. */
function fingerprint() {
  const hash = createHash('sha256').update(JSON.stringify([compiler, common, units]));
  for (const part of ['native', 'native/cuda', 'test/simt', 'test/fake']) {
    for (const name of readdirSync(path.join(root, part)).sort()) {
      if (!/\.(h|cu|cuh|cc)$/.test(name)) continue;
      hash.update(name).update(readFileSync(path.join(root, part, name)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

function compile(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(compiler, args, { cwd: root, stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${compiler} ${args.join(' ')} ended with ${code}`));
    });
  });
}

const tag = fingerprint();
const program = path.join(folder, `kernels_test-${tag}`);
if (!existsSync(program)) {
  mkdirSync(folder, { recursive: true });
  const object = (source) => path.join(folder, `${path.basename(source)}-${tag}.o`);
  await Promise.all(
    units.map(({ source, flags }) =>
      compile([...common, ...flags, '-c', source, '-o', object(source)]),
    ),
  );
  await compile([...units.map(({ source }) => object(source)), '-o', program]);
}
const { status, signal } = spawnSync(program, { stdio: 'inherit' });
if (signal) console.error(`${program} was ended by ${signal}`);
process.exitCode = status ?? 1;
