// Compiles what has changed into build/simt and runs it. Needs a C++ compiler (CXX, else c++), no CUDA toolkit.
//
//   node test/cuda/emulator/run.mjs [address | thread | staged] [arguments of kernels_test and count_test]
//
// address: under AddressSanitizer and UndefinedBehaviorSanitizer. thread: under ThreadSanitizer.
// staged: test/cuda/gpu, the program for a real GPU, on the emulated one.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..', '..');
const folder = path.join(root, 'build', 'simt');
const compiler = process.env.CXX ?? 'c++';
const include = ['native', 'test/cuda/emulator', 'test/cuda/fake-runtime'].map(
  (folder) => `-I${path.join(root, folder)}`,
);
const common = ['-std=c++17', '-Wall', '-Wextra', ...include];
const kernels = [
  'engine',
  'geometry',
  'kernels/float32',
  'kernels/float64',
  'kernels/float16',
  'kernels/bfloat16',
  'kernels/widen_operands',
  'kernels/count',
];
// As CUDA computes: every rounding where the source has it. GCC 12, where it vectorises straight-line code, makes of an
// aligned load and of the elements' loads beside it one aligned load for both.
const kernelFlags = [
  '-ffp-contract=off',
  '-fno-tree-slp-vectorize',
  '-Wno-unknown-pragmas',
  '-x',
  'c++',
];
const findings = ['-g', '-fno-omit-frame-pointer', '-fno-sanitize-recover=all'];
const address = ['-fsanitize=address,undefined', ...findings];
const thread = ['-fsanitize=thread', ...findings];

/** How the kernels, the emulator and the tests are compiled. The emulator is no part of what is looked at. */
const builds = {
  plain: { kernels: ['-O2'], emulator: ['-O2'], tests: ['-O2'], link: [], extra: ['long_test'] },
  address: {
    kernels: ['-O1', ...address],
    emulator: ['-O1', '-DSIMT_ASAN'],
    tests: ['-O1', ...address],
    link: address,
  },
  thread: {
    kernels: ['-O1', ...thread],
    emulator: ['-O1', '-DSIMT_TSAN'],
    tests: ['-O1', ...thread],
    link: thread,
  },
  staged: {
    kernels: ['-O2'],
    emulator: ['-O2'],
    tests: ['-O1', '-Denqueue=enqueue_staged'],
    link: ['-pthread'],
    more: [
      'cuda/gpu/main',
      'cuda/gpu/staged_engine',
      'cuda/fake-runtime/devices',
      'cuda/fake-runtime/memory',
      'cuda/fake-runtime/sharing',
      'cuda/fake-runtime/streams',
    ],
  },
};

/** Names a program by everything that could change it. */
function fingerprint(units) {
  const hash = createHash('sha256').update(JSON.stringify([compiler, common, units]));
  for (const part of ['native', 'test/cuda']) {
    for (const name of readdirSync(path.join(root, part), { recursive: true }).sort()) {
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

const args = process.argv.slice(2);
const name = args[0] in builds ? args.shift() : 'plain';
const build = builds[name];
const tests = ['kernels_test', 'count_test', ...(build.extra ?? [])];
const units = [
  ...kernels.map((name) => [`native/cuda/${name}.cu`, [...build.kernels, ...kernelFlags]]),
  ...['simt', 'half'].map((name) => [
    `test/cuda/emulator/${name}.cc`,
    [...build.emulator, '-U_FORTIFY_SOURCE'],
  ]),
  ...tests.map((name) => [
    `test/cuda/emulator/${name}.cc`,
    build.more ? [...build.tests, `-Dmain=run_${name}`] : build.tests,
  ]),
  ...(build.more ?? []).map((name) => [`test/${name}.cc`, ['-O1']]),
];
const tag = fingerprint(units);
const object = (source) => path.join(folder, `${path.basename(source)}-${tag}.o`);
/** Each test is a program of its own; test/cuda/gpu is one that calls them all. */
const programs = new Map(
  build.more
    ? [[path.join(folder, `gpu_tests-${tag}`), tests]]
    : tests.map((name) => [path.join(folder, `${name}-${tag}`), [name]]),
);
if (![...programs.keys()].every(existsSync)) {
  mkdirSync(folder, { recursive: true });
  await Promise.all(
    units.map(([source, flags]) =>
      compile([...common, ...flags, '-c', source, '-o', object(source)]),
    ),
  );
  for (const [program, names] of programs) {
    const others = tests
      .filter((name) => !names.includes(name))
      .map((name) => `test/cuda/emulator/${name}.cc`);
    const sources = units.map(([source]) => source).filter((source) => !others.includes(source));
    await compile([...sources.map(object), ...build.link, '-o', program]);
  }
}
for (const program of programs.keys()) {
  const { status, signal } = spawnSync(program, args, { stdio: 'inherit' });
  if (signal) console.error(`${program} was ended by ${signal}`);
  process.exitCode ||= (status === 77 ? 1 : status) ?? 1; // 77, no GPU: the emulator has one
}
