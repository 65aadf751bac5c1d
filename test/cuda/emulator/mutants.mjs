// Plants faults in the kernels, one at a time. The first line of a patch names the layer that must find its fault:
//
//   values     a test finds a wrong number
//   emulator   the emulator stops the kernel and says why
//   address    AddressSanitizer or UndefinedBehaviorSanitizer
//   thread     ThreadSanitizer
//
// It is a failure when the layer does not find the fault, when a patch no longer applies, and when a layer reports something
// in the kernels without a fault.
//
//   node test/cuda/emulator/mutants.mjs [expression]     only faults whose layer and name match, as in '^values tile-'
//
// Most of the time goes to the compiler. So only what a fault changes is compiled again, only for float32, of faults named
// halves-... for float16, and without optimisation; and a program ends at the first finding.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..', '..');
const compiler = process.env.CXX ?? 'c++';
const scratch = mkdtempSync(path.join(os.tmpdir(), 'warpdice-mutants-'));
const kernelFlags = ['-ffp-contract=off', '-Wno-unknown-pragmas', '-x', 'c++'];
const includes = ['native', 'test/cuda/emulator', 'test/cuda/fake-runtime'];
/** A part of the kernels for a type. */
const partOf = (part, type) => ({
  source: 'test/cuda/emulator/part.cc',
  flags: [...kernelFlags, `-DWARPDICE_${part}_OF=${type}`],
});
const units = {
  engine: { source: 'native/cuda/engine.cu', flags: kernelFlags },
  geometry: { source: 'native/cuda/geometry.cc', flags: kernelFlags },
  widen: { source: 'native/cuda/kernels/widen_operands.cu', flags: kernelFlags },
  float32: { source: 'native/cuda/kernels/float32.cu', flags: kernelFlags },
  float16: { source: 'native/cuda/kernels/float16.cu', flags: kernelFlags },
  losses32: partOf('LOSSES', 'float'),
  losses16: partOf('LOSSES', 'Float16'),
  heads32: partOf('HEADS', 'float'),
  predictions32: partOf('PREDICTIONS', 'float'),
  others: { source: 'test/cuda/emulator/only_float32.cc', flags: ['-Wno-unknown-pragmas'] },
  othersThanHalf: {
    source: 'test/cuda/emulator/only_float32.cc',
    flags: ['-Wno-unknown-pragmas', '-DWARPDICE_FLOAT16_TOO'],
  },
  tests: { source: 'test/cuda/emulator/kernels_test.cc', flags: [] },
  count: { source: 'native/cuda/kernels/count.cu', flags: kernelFlags },
  countTests: { source: 'test/cuda/emulator/count_test.cc', flags: [] },
  head: { source: 'native/cuda/kernels/head.cu', flags: kernelFlags },
  headTests: { source: 'test/cuda/emulator/head_test.cc', flags: [] },
  predict: { source: 'native/cuda/kernels/predict.cu', flags: kernelFlags },
  predictTests: { source: 'test/cuda/emulator/predict_test.cc', flags: [] },
};
/** The emulator. */
const emulatorUnits = ['simt', 'launch', 'immediate', 'half'];
/** What makes the logits of a head. */
const headUnits = ['widen', 'float32', 'head', 'others'];
/** The units of each program. The losses do not need count.cu. */
const programs = {
  losses: ['engine', 'geometry', 'widen', 'float32', 'head', 'others', 'tests'],
  halves: ['engine', 'geometry', 'widen', 'float32', 'float16', 'head', 'othersThanHalf', 'tests'],
  heads: ['engine', 'geometry', 'widen', 'float32', 'head', 'others', 'headTests'],
  counts: ['count', ...headUnits, 'countTests'],
  predictions: ['count', 'predict', ...headUnits, 'predictTests'],
};
/** Which cases a program runs: every nth of its build, those of float32. Counts have no dtype. Halves run all of one class. */
const argumentsOf = (program, [order, every]) =>
  ({
    counts: [order, every],
    halves: [order, '1', ', float16, none, uint8 labels, N=2 C=1'],
  })[program] ?? [order, every, 'float32'];
/** The program that finds a fault in a file: for those named predict-..., predictions, for halves-..., halves. */
const programOf = (name, file) =>
  name.startsWith('predict-')
    ? 'predictions'
    : name.startsWith('halves-')
      ? 'halves'
      : file === 'count.cu'
        ? 'counts'
        : file.startsWith('head')
          ? 'heads'
          : 'losses';
const recover = '-fno-sanitize-recover=all';

/** flags: of all units. level: how a unit with a fault is optimised. emulator: more flags. args: order, and every nth case. */
const builds = {
  plain: { flags: [], level: '-O0', emulator: [], args: ['0', '7'] },
  address: {
    flags: ['-fsanitize=address,undefined', recover],
    level: '-O1',
    emulator: ['-DSIMT_ASAN'],
    args: ['0', '23'],
  },
  thread: {
    flags: ['-fsanitize=thread', recover],
    level: '-O1',
    emulator: ['-DSIMT_TSAN'],
    args: ['0', '61'],
  },
};
const layers = {
  values: { build: 'plain', found: /^FAILED (?!.*: error )/m },
  emulator: { build: 'plain', found: /^FAILED .*: error (?:719|9) /m },
  address: { build: 'address', found: /AddressSanitizer|runtime error/ },
  thread: { build: 'thread', found: /ThreadSanitizer: data race/ },
};

/**
 * Ends with the status and all output, or as soon as a whole line of the output holds what is looked for. A fault may make a
 * program run for ever.
 */
function run(command, args, cwd, found) {
  return new Promise((resolve) => {
    const options = { cwd, timeout: 900_000, stdio: ['ignore', 'pipe', 'pipe'] };
    const child = spawn(command, args, options);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        if (output.length < 1e6) output += text;
        if (found?.test(output.slice(0, output.lastIndexOf('\n') + 1))) child.kill('SIGKILL');
      });
    }
    child.on('error', (error) => resolve({ status: null, output: String(error) }));
    child.on('close', (status) => resolve({ status, output }));
  });
}

async function mustRun(command, args, cwd) {
  const { status, output } = await run(command, args, cwd);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${output.trim()}`);
}

/** Compiles `names` of the tree at `folder` into objects at `to`, optimised as `level` says. */
async function compile(names, build, folder, to, level = '-O1') {
  const include = includes.map((part) => `-I${path.join(folder, part)}`);
  for (const name of names) {
    const { source, flags } = units[name];
    const args = ['-std=c++17', level, ...include, ...builds[build].flags, ...flags, '-c', source];
    await mustRun(compiler, [...args, '-o', path.join(to, `${name}.o`)], folder);
  }
}

/** Where the objects of the kernels as they are lie. */
const baseOf = (build) => path.join(scratch, build);

/** Makes one of them. */
async function compileBase(build, name) {
  if (!emulatorUnits.includes(name)) return compile([name], build, root, baseOf(build));
  const include = includes.map((part) => `-I${part}`);
  const args = ['-std=c++17', '-O1', ...include, ...builds[build].emulator];
  const object = path.join(baseOf(build), `${name}.o`);
  await mustRun(compiler, [...args, '-c', `test/cuda/emulator/${name}.cc`, '-o', object], root);
}

/**
 * Links a program of the objects of its build, but for those in `again`, which lie beside it, into the file `output`, and runs it
 * until its output holds `found`. Those in `again` come first: of an inline function that several objects have, the first counts.
 */
async function linkAndRun(build, program, output, again = [], found) {
  const others = [...emulatorUnits, ...programs[program]].filter((unit) => !again.includes(unit));
  const folder = path.dirname(output);
  const objects = [
    ...again.map((unit) => path.join(folder, `${unit}.o`)),
    ...others.map((unit) => path.join(baseOf(build), `${unit}.o`)),
  ];
  await mustRun(compiler, [...objects, ...builds[build].flags, '-o', output], root);
  return run(output, argumentsOf(program, builds[build].args), root, found);
}

/** What depends on a header that a fault changes; a source is a unit itself. */
function changedUnits(file, program) {
  const own = Object.keys(units).filter((name) => units[name].source.endsWith(`/${file}`));
  if (own.length > 0) return own;
  if (program === 'halves') return ['losses16'];
  if (file === 'head_predict.cuh') return ['predictions32'];
  if (/^head_(softmax|kernels)/.test(file)) return ['heads32', 'head'];
  if (file.startsWith('head')) return ['heads32', 'predictions32', 'head'];
  if (file === 'finish.cuh') return ['engine'];
  return /^(team|tile|register|dispatch)/.test(file) ? ['losses32'] : ['engine', 'losses32'];
}

/** A patch: its layer, the file that it changes. */
function readFault(name) {
  const patch = path.join(import.meta.dirname, 'mutants', `${name}.patch`);
  const text = readFileSync(patch, 'utf8');
  const layer = /^layer: (\w+)\n/.exec(text)?.[1];
  const file = /^\+\+\+ b\/(\S+)/m.exec(text)?.[1];
  if (!(layer in layers) || !file)
    throw new Error(`${patch} does not say which layer, or which file.`);
  return {
    name,
    patch,
    layer,
    file: path.basename(file),
    program: programOf(name, path.basename(file)),
  };
}

/** Why the fault was not found, or nothing. */
async function plant({ name, patch, layer: layerName, file, program }) {
  const layer = layers[layerName];
  const folder = path.join(scratch, name);
  for (const part of ['native', 'test/cuda/emulator', 'test/cuda/fake-runtime']) {
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true });
  }
  const applied = await run('git', ['apply', patch], folder);
  if (applied.status !== 0) return `it does not apply: ${applied.output.trim()}`;
  const again = changedUnits(file, program);
  await compile(again, layer.build, folder, folder, builds[layer.build].level);
  const { status, output } = await linkAndRun(
    layer.build,
    program,
    path.join(folder, 'program'),
    again,
    layer.found,
  );
  rmSync(folder, { recursive: true, force: true });
  if (status === 0) return 'nothing complains';
  if (layer.found.test(output)) return;
  if (status === null) return `no finding when it was stopped: ${output.slice(0, 500)}`;
  return `something else complains: ${output.slice(0, 500)}`;
}

/** Does the jobs with as many workers as there are cores. */
async function inParallel(jobs) {
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await job();
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
}

const faults = readdirSync(path.join(import.meta.dirname, 'mutants'))
  .map((file) => readFault(path.basename(file, '.patch')))
  .filter(({ name, layer }) => new RegExp(process.argv[2] ?? '').test(`${layer} ${name}`));
let failures = 0;
const report = (name, problem) => {
  if (problem) failures++;
  console.log(`${problem ? 'FAILED' : 'ok'} ${name}${problem ? `: ${problem}` : ''}`);
};
try {
  const wanted = [
    ...new Set(faults.map(({ layer, program }) => `${layers[layer].build}-${program}`)),
  ];
  const jobs = new Set();
  for (const [build, program] of wanted.map((text) => text.split('-'))) {
    mkdirSync(baseOf(build), { recursive: true });
    for (const unit of [...emulatorUnits, ...programs[program]]) jobs.add(`${build}-${unit}`);
  }
  await inParallel([...jobs].map((text) => () => compileBase(...text.split('-'))));
  await inParallel(
    wanted.map((text) => async () => {
      const [build, program] = text.split('-');
      const { status, output } = await linkAndRun(
        build,
        program,
        path.join(baseOf(build), program),
      );
      report(`the ${program} as they are, ${build}`, status === 0 ? '' : output.slice(0, 2000));
    }),
  );
  await inParallel(
    faults.map(
      (fault) => async () =>
        report(`${fault.name}, ${fault.layer}`, await plant(fault).catch((error) => error.message)),
    ),
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${faults.length} planted faults, ${failures} failures`);
process.exitCode = failures === 0 && faults.length > 0 ? 0 : 1;
