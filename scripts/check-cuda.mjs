// Compiles the CUDA sources for GPU architectures and says what their kernels use. Warnings, spilled registers and
// local memory are errors, and so is what check-ptx.mjs finds. With sm_90 it also counts the instructions of the kernels
// (test/cuda/counts): more than 3% above the committed table is an error. Needs nvcc, no GPU; without nvcc the exit status is 77.
//
//   node scripts/check-cuda.mjs                 every architecture that this nvcc knows from sm_75 on
//   node scripts/check-cuda.mjs 75 90 [x.cu]    these, of native/cuda or of the given file
import { spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkPtx } from './check-ptx.mjs';

const root = path.dirname(import.meta.dirname);
const nvcc = process.env.CUDACXX ?? 'nvcc';
const mostKernels = 250; // for one architecture

const flags = [
  ...['-std=c++17', '-O3', '-Inative'],
  ...['-cubin', '-Xptxas=-v,-warn-spills,-warn-lmem-usage'],
];

/** What a compiler prints, when it succeeds. */
function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(nvcc, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new Error(output.trim()));
    });
  });
}

/** Machine code and PTX of one source for one architecture. What ptxas warns of is kept, for the table to be whole. */
async function compile(source, architecture, folder) {
  const kept = path.join(folder, `${path.basename(source)}-${architecture}`);
  mkdirSync(kept);
  const begin = performance.now();
  const cubin = path.join(kept, 'machine.cubin');
  const keep = ['--keep', '--keep-dir', kept]; // a folder of its own: the names of what is kept repeat
  const said = await run([...flags, ...keep, `-arch=sm_${architecture}`, '-o', cubin, source]);
  const seconds = (performance.now() - begin) / 1000;
  const [ptx] = readdirSync(kept).filter((name) => name.endsWith('.ptx'));
  return {
    architecture,
    kernels: kernelsOf(said),
    warnings: said.split('\n').filter((line) => line.includes('warning')),
    problems: checkPtx(readFileSync(path.join(kept, ptx), 'utf8')),
    bytes: statSync(cubin).size,
    seconds,
  };
}

/** Each kernel's registers and bytes of static shared memory, from the words of ptxas -v. */
function kernelsOf(text) {
  const kernels = [];
  for (const [, symbol, rest] of text.matchAll(
    /entry function '(\w+)'([\s\S]*?)(?=Compiling|$)/g,
  )) {
    const [, registers, shared = 0] = /Used (\d+) registers(?:.*?, (\d+) bytes smem)?/.exec(rest);
    kernels.push({ symbol, registers: Number(registers), shared: Number(shared) });
  }
  return kernels;
}

/** "softmax_gradient_kernel<Float16>" for every mangled name in a text. */
function readable(text) {
  const { stdout } = spawnSync('c++filt', { input: text, encoding: 'utf8' });
  return stdout
    .replaceAll(/warpdice::(cuda::)?|\bvoid /g, '')
    .replaceAll(/(_kernel(?:<[^(]*>)?)\([^']*\)/g, '$1');
}

function print(results) {
  const architectures = [...new Set(results.map(({ architecture }) => architecture))];
  const kernels = results.flatMap(({ architecture, kernels }) =>
    kernels.map((kernel) => ({ ...kernel, architecture })),
  );
  const symbols = [...new Set(kernels.map(({ symbol }) => symbol))];
  const names = new Map(symbols.map((symbol) => [symbol, readable(symbol)]));
  const width = Math.max(...[...names.values()].map(({ length }) => length), 'kernel'.length);
  const row = (name, cells) =>
    console.log(`${name.padEnd(width)} ${cells.map((cell) => String(cell).padStart(8)).join('')}`);
  const total = (architecture, count) =>
    results
      .filter((one) => one.architecture === architecture)
      .reduce((sum, x) => sum + count(x), 0);

  console.log('Registers of a thread (and bytes of static shared memory of a block)');
  row(
    'kernel',
    architectures.map((architecture) => `sm_${architecture}`),
  );
  for (const [symbol, name] of names) {
    const cells = architectures.map((architecture) => {
      const of = kernels.find((k) => k.symbol === symbol && k.architecture === architecture);
      return of === undefined ? '' : of.registers + (of.shared > 0 ? ` (${of.shared})` : '');
    });
    row(name, cells);
  }
  row(
    'kernels',
    architectures.map((architecture) => total(architecture, (x) => x.kernels.length)),
  );
  row(
    'kB',
    architectures.map((architecture) => (total(architecture, (x) => x.bytes) / 1e3).toFixed(0)),
  );
  row(
    'seconds',
    architectures.map((architecture) => total(architecture, (x) => x.seconds).toFixed(1)),
  );
  for (const architecture of architectures) {
    const count = total(architecture, (x) => x.kernels.length);
    if (count > mostKernels) fail(`sm_${architecture}: ${count} kernels, more than ${mostKernels}`);
  }
  for (const { architecture, warnings, problems } of results) {
    for (const warning of warnings) fail(`sm_${architecture}: ${readable(warning)}`);
    for (const { kernel, because } of problems) {
      fail(`compute_${architecture}: ${readable(kernel)} ${because}`);
    }
  }
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}

const known = spawnSync(nvcc, ['--list-gpu-code'], { encoding: 'utf8' });
if (known.error) {
  console.log(
    `skipped: ${nvcc} cannot be run here (${known.error.message}); no CUDA source was compiled`,
  );
  process.exit(77);
}
const given = process.argv.slice(2);
const sources = given.filter((name) => name.endsWith('.cu'));
if (sources.length === 0) {
  const files = readdirSync(path.join(root, 'native/cuda'), { recursive: true });
  sources.push(
    ...files.filter((name) => name.endsWith('.cu')).map((name) => `native/cuda/${name}`),
  );
}
const architectures = given.filter((name) => /^\d+$/.test(name)).map(Number);
if (architectures.length === 0) {
  const all = [...known.stdout.matchAll(/sm_(\d+)\n/g)].map(([, number]) => Number(number));
  architectures.push(...all.filter((number) => number >= 75).sort((a, b) => a - b));
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-cuda-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const jobs = architectures.flatMap((architecture) =>
  sources.map((source) => ({ architecture, source })),
);
const results = [];
async function worker() {
  for (let job = jobs.shift(); job; job = jobs.shift()) {
    try {
      results.push(await compile(job.source, job.architecture, folder));
    } catch (error) {
      fail(`${job.source} for sm_${job.architecture}: ${error.message}`);
    }
  }
}
await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
results.sort((a, b) => a.architecture - b.architecture);
if (results.length > 0) print(results);
if (
  !given.some((name) => name.endsWith('.cu')) &&
  architectures.includes(90) &&
  !process.exitCode
) {
  for (const dtype of ['float32', 'float16', 'bfloat16']) {
    copyFileSync(
      path.join(folder, `${dtype}.cu-90`, 'machine.cubin'),
      path.join(folder, `${dtype}.cubin`),
    );
  }
  const counts = [path.join(root, 'test/cuda/counts/main.mjs'), '--check', '--cubins', folder];
  const { status } = spawnSync(process.execPath, counts, { stdio: 'inherit' });
  if (status !== 0 && status !== 77) process.exitCode = 1; // 77: nvdisasm is missing, which was said
}
