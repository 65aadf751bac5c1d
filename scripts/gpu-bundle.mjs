// Gathers in one folder what a machine with a GPU needs to do `npm run gpu` without Node, nvcc or this repository: the
// programs and the suites of test/cuda/gpu, the addon and the library's JavaScript, the benchmark and a Node binary.
//
//   node scripts/gpu-bundle.mjs [--out gpu-bundle] [--architectures 90-real] [--node <binary>]
//
// There: gpu-bundle/run [arguments of scripts/gpu.mjs]
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { commitOf } from './commit.mjs';

const root = path.dirname(import.meta.dirname);
const mostMegabytes = 60;
const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: path.join(root, 'gpu-bundle') },
    architectures: { type: 'string', default: '90-real' },
    node: { type: 'string', default: process.execPath },
  },
});
const bundle = path.resolve(options.out);
const env = { ...process.env, CUDAARCHS: options.architectures, WARPDICE_CUDA: 'ON' };

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`gpu-bundle: ${command} ${args[0]} failed${error ? ` (${error.message})` : ''}`);
  process.exit(1);
}

const build = 'build-bundle';
run('cmake', '-S', '.', '-B', build, '-DWARPDICE_GPU_TESTS=ON', '-DWARPDICE_CUDA=ON');
const jobs = ['--parallel', String(os.availableParallelism())];
run('cmake', '--build', build, '--target', 'gpu_tests', 'warpdice_gpu', ...jobs);
run(process.execPath, 'scripts/build-native.mjs', '--out', `${build}-addon`);

rmSync(bundle, { recursive: true, force: true });
for (const folder of ['programs', 'build/Release', 'node_modules']) {
  mkdirSync(path.join(bundle, folder), { recursive: true });
}
const copy = (from, to = from) =>
  cpSync(path.resolve(root, from), path.join(bundle, to), { recursive: true });
for (const program of ['gpu_tests', 'libwarpdice_gpu.so']) {
  copy(`${build}/test/cuda/gpu/${program}`, `programs/${program}`);
}
copy(`${build}-addon/Release/warpdice.node`, 'build/Release/warpdice.node');
for (const name of ['node-gyp-build', 'expect']) copyPackage(name, root);
const parts = [
  'dist',
  'addon.cjs',
  'package.json',
  ...['gpu', 'gpu-report', 'commit'].map((name) => `scripts/${name}.mjs`),
];
for (const part of [
  ...parts,
  'test/cuda/gpu/check.mjs',
  'test/cuda/gpu/nccl.mjs',
  'test/cuda/gpu/suite.mjs',
  'test/standalone/run.mjs',
])
  copy(part);
run(process.execPath, 'test/standalone/compile.mjs', path.join(bundle, 'programs/suites'));
for (const name of readdirSync(path.join(root, 'bench/gpu'))) {
  if (/\.(py|md)$/.test(name)) copy(`bench/gpu/${name}`);
}
copy(options.node, 'node');
const strip = [
  'programs/gpu_tests',
  'programs/libwarpdice_gpu.so',
  'build/Release/warpdice.node',
  'node',
];
for (const file of strip) run('strip', '--strip-unneeded', path.join(bundle, file));
run('xz', '-T0', path.join(bundle, 'node'));
writeFileSync(path.join(bundle, 'COMMIT'), `${commitOf(root)}\n`);
const script = path.join(bundle, 'run');
writeFileSync(
  script,
  `#!/bin/sh
# Runs scripts/gpu.mjs with the Node that lies here.
set -e
cd "$(dirname "$0")"
[ -x node ] || xz -dk node.xz
exec ./node scripts/gpu.mjs --programs programs --out results "$@"
`,
);
chmodSync(script, 0o755);

/** Copies a package that is required from `folder`, and what that requires, to where it lies here. */
function copyPackage(name, folder) {
  const from = path.join(folder, 'node_modules', name);
  if (!existsSync(from)) {
    copyPackage(name, path.dirname(folder));
    return;
  }
  const to = path.join(bundle, path.relative(root, from));
  if (existsSync(to)) return;
  const filter = (file) => !file.includes(path.join(name, 'node_modules'));
  cpSync(from, to, { recursive: true, filter });
  const { dependencies = {} } = JSON.parse(readFileSync(path.join(from, 'package.json'), 'utf8'));
  for (const dependency of Object.keys(dependencies)) {
    if (!dependency.startsWith('@types/')) copyPackage(dependency, from);
  }
}

const bytes = readdirSync(bundle, { recursive: true })
  .map((name) => statSync(path.join(bundle, name)))
  .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
console.log(`${bundle}: ${(bytes / 1e6).toFixed(1)} MB for ${options.architectures}`);
if (bytes > mostMegabytes * 1e6) {
  console.error(`gpu-bundle: larger than ${mostMegabytes} MB`);
  process.exitCode = 1;
}
