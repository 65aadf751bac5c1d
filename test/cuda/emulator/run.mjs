// Compiles the kernels, the emulator and their tests into build/simt unless they are there already, and runs the tests. Needs
// a C++ compiler (CXX, else c++), no CUDA toolkit.
//
//   node test/cuda/emulator/run.mjs [address | thread | thread-float32 | staged] [arguments of kernels_test, count_test, head_test and predict_test]
//
// address: under AddressSanitizer and UndefinedBehaviorSanitizer. thread: under ThreadSanitizer; thread-float32: of that dtype alone.
// staged: test/cuda/gpu, the program for a real GPU, on the emulated one.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..', '..');
const folder = path.join(root, 'build', 'simt');
const compiler = process.env.CXX ?? 'c++';
const include = ['native', 'test/cuda/emulator', 'test/cuda/fake-runtime'].map(
  (folder) => `-I${path.join(root, folder)}`,
);
const common = ['-std=c++17', '-Wall', '-Wextra', ...include];
const sources = [
  'engine.cu',
  'geometry.cc',
  'kernels/float32.cu',
  'kernels/float64.cu',
  'kernels/float16.cu',
  'kernels/bfloat16.cu',
  'kernels/widen_operands.cu',
  'kernels/count.cu',
  'kernels/head.cu',
  'kernels/predict.cu',
  'kernels/resample.cu',
];
// -ffp-contract=off: every rounding where the source has it, as in CUDA. -fno-tree-slp-vectorize: where GCC 12 vectorises
// straight-line code, it merges the aligned load and the loads one by one of pack.cuh into one aligned load.
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

/**
 * How the kernels, the emulator and the tests are compiled. Sanitizers do not look at the emulator. -Og: the kernels compile in a
 * fifth of the time of -O2, which takes a minute for engine.cu alone.
 */
const immediate = ['cuda/emulator/immediate'];
const builds = {
  plain: {
    kernels: ['-Og'],
    emulator: ['-O2'],
    tests: ['-Og'],
    link: [],
    extra: ['long_test'],
    more: immediate,
  },
  address: {
    kernels: ['-Og', ...address],
    emulator: ['-O1', '-DSIMT_ASAN'],
    tests: ['-O1', ...address],
    link: address,
    more: immediate,
  },
  thread: {
    kernels: ['-Og', ...thread],
    emulator: ['-O1', '-DSIMT_TSAN'],
    tests: ['-O1', ...thread],
    link: thread,
    more: immediate,
  },
  staged: {
    kernels: ['-Og'],
    emulator: ['-O2'],
    tests: ['-Og', '-Denqueue=enqueue_staged'],
    link: ['-pthread'],
    staged: true,
    more: [
      'cuda/emulator/on_fake_runtime',
      'cuda/gpu/main',
      'cuda/gpu/staged_engine',
      'cuda/fake-runtime/devices',
      'cuda/fake-runtime/memory',
      'cuda/fake-runtime/sharing',
      'cuda/fake-runtime/streams',
    ],
  },
};

builds['thread-float32'] = { ...builds.thread, onlyFloat32: true };

/** Of all sources. */
const content = createHash('sha256');
for (const part of ['native', 'test/cuda']) {
  for (const name of readdirSync(path.join(root, part), { recursive: true }).sort()) {
    if (!/\.(h|cu|cuh|cc)$/.test(name)) continue;
    content.update(name).update(readFileSync(path.join(root, part, name)));
  }
}

/** A part of a file's name that changes with the sources and with how it is compiled. */
function fingerprint(how) {
  const hash = content.copy().update(JSON.stringify([compiler, common, how]));
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
const tests = ['kernels_test', 'count_test', 'head_test', 'predict_test', ...(build.extra ?? [])];
const otherDtypes = ['float64', 'float16', 'bfloat16'].map((name) => `kernels/${name}.cu`);
const wanted = build.onlyFloat32 ? sources.filter((name) => !otherDtypes.includes(name)) : sources;

const units = [
  ...wanted.map((name) => [`native/cuda/${name}`, [...build.kernels, ...kernelFlags]]),
  ...['simt', 'launch', 'half'].map((name) => [`test/cuda/emulator/${name}.cc`, build.emulator]),
  ...tests.map((name) => [
    `test/cuda/emulator/${name}.cc`,
    build.staged ? [...build.tests, `-Dmain=run_${name}`] : build.tests,
  ]),
  ...build.more.map((name) => [`test/${name}.cc`, ['-O1']]),
  ...(build.onlyFloat32
    ? [['test/cuda/emulator/only_float32.cc', [...build.tests, '-Wno-unknown-pragmas']]]
    : []),
];
const tag = fingerprint(units);
/** Builds that compile a source alike share its object. */
const object = ([source, flags]) =>
  path.join(folder, `${path.basename(source)}-${fingerprint([source, flags])}.o`);
/** Each test is a program of its own. The program of test/cuda/gpu calls them all. */
const programs = new Map(
  build.staged
    ? [[path.join(folder, `gpu_tests-${tag}`), tests]]
    : tests.map((name) => [path.join(folder, `${name}-${tag}`), [name]]),
);
if (![...programs.keys()].every(existsSync)) {
  mkdirSync(folder, { recursive: true });
  const queue = [...units];
  const worker = async () => {
    for (let unit = queue.shift(); unit; unit = queue.shift()) {
      const [source, flags] = unit;
      const to = object(unit);
      if (existsSync(to)) continue;
      const part = `${to}.${process.pid}`; // one that was stopped leaves no half object
      await compile([...common, ...flags, '-c', source, '-o', part]);
      renameSync(part, to);
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
  for (const [program, names] of programs) {
    const others = tests
      .filter((name) => !names.includes(name))
      .map((name) => `test/cuda/emulator/${name}.cc`);
    const linked = units.filter(([source]) => !others.includes(source));
    await compile([...linked.map(object), ...build.link, '-o', program]);
  }
}
for (const [program, names] of programs) {
  // Of the cases of this text in their names; those of count_test have no dtype.
  const text = build.onlyFloat32 && !names.includes('count_test') ? ['float32'] : [];
  const { status, signal } = spawnSync(program, [...args, ...text], { stdio: 'inherit' });
  if (signal) console.error(`${program} was ended by ${signal}`);
  process.exitCode ||= (status === 77 ? 1 : status) ?? 1; // 77, no GPU: the emulator has one
}
