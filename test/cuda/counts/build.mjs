// The tools of counting: machine code by nvcc, and launches.cc by the C++ compiler.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..', '..', '..');

const runs = (tool) => spawnSync(tool, ['--version']).status === 0;
export function nvccPath() {
  const tool = process.env.CUDACXX ?? 'nvcc';
  return runs(tool) ? tool : undefined;
}
/** Beside nvcc, or on the path. */
export function nvdisasmPath() {
  const beside = process.env.CUDACXX && path.join(path.dirname(process.env.CUDACXX), 'nvdisasm');
  return [beside, 'nvdisasm'].find((tool) => tool && runs(tool));
}

function run(tool, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    child.on('error', reject);
    child.on('close', (status) => (status === 0 ? resolve() : reject(new Error(said.trim()))));
  });
}

async function inTurns(jobs) {
  const worker = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) await job();
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
}

function compile(architecture, source, cubin) {
  const flags = ['-std=c++17', '-O3', '-Inative', '-cubin', `-arch=sm_${architecture}`];
  return run(nvccPath(), [...flags, '-o', cubin, source]);
}

/** The files of the kernels' machine code for sm_90, one for each type of predictions. */
export async function compileCubins(dtypes, folder) {
  const fileOf = (dtype) => path.join(folder, `${dtype}.cubin`);
  await inTurns(
    dtypes.map((dtype) => () => compile(90, `native/cuda/kernels/${dtype}.cu`, fileOf(dtype))),
  );
  return dtypes.map(fileOf);
}

/** The file of step 2's machine code for sm_90. */
export async function compileEngine(folder) {
  const file = path.join(folder, 'engine.cubin');
  await compile(90, 'native/cuda/engine.cu', file);
  return file;
}

/** The files of teams.cu's, one for each architecture. */
export async function compileTeams(architectures, folder) {
  const fileOf = (architecture) => path.join(folder, `teams-${architecture}.cubin`);
  await inTurns(
    architectures.map((one) => () => compile(one, 'test/cuda/counts/teams.cu', fileOf(one))),
  );
  return architectures.map(fileOf);
}

/** The program that prints launches. Compiled unless it is there already. */
export async function buildLaunches() {
  const sources = [
    ...['engine.cu', 'geometry.cc'].map((name) => `native/cuda/${name}`),
    ...['float32', 'float64', 'float16', 'bfloat16', 'widen_operands', 'head'].map(
      (name) => `native/cuda/kernels/${name}.cu`,
    ),
    ...['simt', 'launch', 'half', 'immediate'].map((name) => `test/cuda/emulator/${name}.cc`),
    'test/cuda/counts/launches.cc',
  ];
  const hash = createHash('sha256');
  for (const part of ['native/cuda', 'native/math', 'test/cuda/emulator', 'test/cuda/counts']) {
    for (const name of readdirSync(path.join(root, part), { recursive: true }).sort()) {
      if (/\.(h|cu|cuh|cc)$/.test(name))
        hash.update(name).update(readFileSync(path.join(root, part, name)));
    }
  }
  const folder = path.join(root, 'build', 'counts', hash.digest('hex').slice(0, 16));
  const program = path.join(folder, 'launches');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const include = ['native', 'test/cuda/emulator', 'test/cuda/fake-runtime'].map(
    (name) => `-I${name}`,
  );
  const objectOf = (source) => path.join(folder, `${path.basename(source)}.o`);
  const compiler = process.env.CXX ?? 'c++';
  const flags = ['-std=c++17', '-O0', '-w', ...include, '-x', 'c++', '-c'];
  await inTurns(
    sources.map((source) => () => run(compiler, [...flags, source, '-o', objectOf(source)])),
  );
  await run(compiler, ['-rdynamic', ...sources.map(objectOf), '-o', program]);
  return program;
}
