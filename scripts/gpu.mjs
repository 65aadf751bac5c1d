// Proves and measures the CUDA kernels on this machine's GPU: `npm run gpu`. Builds what is missing, runs every step
// even when one fails, writes bench/results/<gpu>-<date>.json and a summary (.md) beside it, anew after each step.
//
//   node scripts/gpu.mjs [--programs <folder>] [--out <folder>] [--quick] [--only <steps>] [--minutes <number>]
//
// --programs: the folder with gpu_tests, libwarpdice_gpu.so and the compiled tests; without it they are built in build-gpu.
// --only: build, kernels, bits, large, sanitizer, leak, suite, library, nccl, benchmark; several with commas between them. Steps
// of earlier runs of the same day, commit and GPU stay in the report.
// --minutes: when they are over, the step under way is stopped and the others wait for another run.
// Exit status: 0 when all that was to be run succeeded or could not run here, 1 when not, or when nothing ran, 2 without
// a GPU or for arguments that are wrong.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { commitOf } from './commit.mjs';
import { earlierSteps, save } from './gpu-report.mjs';

const root = path.dirname(import.meta.dirname);
const options = readOptions();
const begin = performance.now();
const endAt = begin + 60_000 * Number(options.minutes);

function readOptions() {
  try {
    return parseArgs({
      options: {
        programs: { type: 'string' },
        out: { type: 'string', default: path.join(root, 'bench/results') },
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        minutes: { type: 'string', default: 'Infinity' },
      },
    }).values;
  } catch ({ message }) {
    return refuse(message);
  }
}

function refuse(sentence) {
  console.error(`gpu: ${sentence}`);
  process.exit(2);
}
if (!(endAt > begin)) {
  refuse(`Expected a number above 0 for --minutes but received ${options.minutes}`);
}

/** The words of the GPU's driver, or why there are none. */
function describeGpu() {
  const fields = ['name', 'compute_cap', 'driver_version', 'memory.total'];
  const { status, stdout, stderr, error } = spawnSync(
    'nvidia-smi',
    [`--query-gpu=${fields}`, '--format=csv,noheader', '--id=0'],
    { encoding: 'utf8' },
  );
  if (error) return { fault: `nvidia-smi could not be run (${error.code})` };
  if (status !== 0) return { fault: (stdout + stderr).trim() };
  const [name, capability, driver, memory] = stdout.trim().split(', ');
  return { name, capability, driver, memory };
}

/** Runs a command until the time is over, shows and keeps what it prints. */
function run(command, args, env = {}) {
  return new Promise((resolve) => {
    // A group of its own, so that what it has started ends with it.
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      detached: true,
    });
    let output = '';
    let stopped = false;
    const stop = () => {
      stopped = true;
      process.kill(-child.pid, 'SIGKILL');
    };
    const left = endAt - performance.now();
    const timer = left < 2 ** 31 ? setTimeout(stop, Math.max(left, 0)) : undefined;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        process.stdout.write(text);
      });
    }
    child.on('error', ({ message }) => resolve({ status: 127, output: message }));
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      resolve({ status: status ?? signal, output, stopped });
    });
  });
}

const has = (command, ...args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

async function buildPrograms() {
  const settings = ['-DWARPDICE_GPU_TESTS=ON', '-DWARPDICE_CUDA=ON'];
  const configured = await run('cmake', ['-S', '.', '-B', 'build-gpu', ...settings]);
  if (configured.status !== 0) return configured;
  const targets = ['--target', 'gpu_tests', 'warpdice_gpu'];
  const jobs = ['--parallel', String(os.availableParallelism())];
  const built = await run('cmake', ['--build', 'build-gpu', ...targets, ...jobs]);
  if (built.status !== 0) return built;
  return run(process.execPath, ['test/standalone/compile.mjs', suites]);
}

const gpu = describeGpu();
if (gpu.fault) refuse(`no NVIDIA GPU can be used here: ${gpu.fault}`);
const programs = path.resolve(options.programs ?? path.join(root, 'build-gpu/test/cuda/gpu'));
const tests = path.join(programs, 'gpu_tests');
const suites = path.join(programs, 'suites');
const date = new Date().toISOString();
const stem = path.join(
  options.out,
  `${gpu.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}-${date.slice(0, 10)}`,
);
mkdirSync(options.out, { recursive: true });
const benchmark = `${stem}-bench.json`;
const sanitizer = process.env.COMPUTE_SANITIZER ?? 'compute-sanitizer';
/** A run under a sanitizer is some hundred times slower: one case in so many. */
const every = options.quick ? '97' : '23';

const steps = [
  {
    key: 'build',
    name: 'build',
    skip: options.programs && 'built before',
    run: buildPrograms,
  },
  { key: 'kernels', name: 'kernels agree with the reference', run: () => run(tests, []) },
  {
    key: 'bits',
    name: 'the same bits in 100 runs',
    run: () => run(tests, ['0', options.quick ? '23' : '3'], { WARPDICE_REPEAT: '100' }),
  },
  { key: 'large', name: 'more than 2^31 elements', run: () => run(tests, ['large']) },
  ...['memcheck', 'racecheck', 'initcheck', 'synccheck'].map((tool) => ({
    key: 'sanitizer',
    name: tool,
    skip: !has(sanitizer, '--version') && `${sanitizer} is not installed`,
    // initcheck: the workspace must not have been filled by the test.
    run: () =>
      run(sanitizer, ['--tool', tool, '--error-exitcode', '9', tests, '0', every], {
        WARPDICE_FILL: tool === 'initcheck' ? '0' : '1',
      }),
  })),
  {
    key: 'leak',
    name: '100,000 steps leave no memory behind',
    run: () => run(tests, ['leak']),
  },
  {
    key: 'suite',
    name: 'the test suite, on the GPU',
    skip: options.programs && !existsSync(suites) && 'there are no compiled tests',
    run: () => run(process.execPath, ['test/cuda/gpu/suite.mjs', suites]),
  },
  {
    key: 'library',
    name: 'the library, through its API',
    run: () =>
      run(process.execPath, [
        'test/cuda/gpu/check.mjs',
        ...(options.quick ? ['--steps', '1000'] : []),
      ]),
  },
  {
    key: 'nccl',
    name: 'warpdice/nccl, a rank on each of two GPUs at most',
    run: () => run(process.execPath, ['test/cuda/gpu/nccl.mjs']),
  },
  {
    key: 'benchmark',
    name: 'benchmark',
    skip: !has('python3', '-c', 'import torch') && 'python3 has no PyTorch',
    run: () => {
      rmSync(benchmark, { force: true }); // an earlier run's
      return run(
        'python3',
        [
          ...['bench/gpu/bench.py', '--library', path.join(programs, 'libwarpdice_gpu.so')],
          ...['--json', benchmark, ...(options.quick ? ['--quick'] : [])],
        ],
        { WARPDICE_COMMIT: report.commit, PYTHONDONTWRITEBYTECODE: '1' },
      );
    },
  },
];

const keys = [...new Set(steps.map(({ key }) => key))];
const only = options.only?.split(',') ?? keys;
for (const key of only) {
  if (!keys.includes(key)) refuse(`Expected ${keys.join(', ')} for --only but received ${key}`);
}

const report = {
  gpu,
  node: process.version,
  system: `${os.type()} ${os.release()}`,
  cpu: os.cpus()[0]?.model,
  commit: commitOf(root),
  date,
};
const command = ['node', path.relative(root, process.argv[1]), ...process.argv.slice(2)].join(' ');
const found = earlierSteps(stem, report);

/** What became of a step. */
async function outcomeOf({ skip, run }) {
  if (skip) return { outcome: 'skipped', because: skip };
  if (performance.now() >= endAt) return { outcome: 'not run', because: 'out of time' };
  const begin = performance.now();
  const { status, output, stopped } = await run();
  const seconds = Math.round((performance.now() - begin) / 100) / 10;
  const lines = output.trim().split('\n').slice(-12);
  if (stopped) return { outcome: 'STOPPED', because: 'out of time', seconds, lines };
  if (status === 77) return { outcome: 'skipped', because: lines.at(-1), seconds };
  return { outcome: status === 0 ? 'ok' : 'FAILED', status, seconds, lines };
}

const outcomes = new Set();
let text = '';
for (const step of steps) {
  if (!only.includes(step.key)) continue;
  const { name } = step;
  console.log(`\n===== ${name}`);
  const result = await outcomeOf(step);
  const { outcome, because } = result;
  outcomes.add(outcome);
  console.log(`===== ${name}: ${outcome}${because ? ` (${because})` : ''}`);
  found.set(name, { name, ...result, command });
  report.steps = steps.map(({ name }) => found.get(name)).filter((one) => one !== undefined);
  if (existsSync(benchmark)) report.benchmark = JSON.parse(readFileSync(benchmark, 'utf8'));
  text = save(stem, report);
}
console.log(`\n${text}\n${stem}.json`);
const isWhole = ['FAILED', 'STOPPED', 'not run'].every((outcome) => !outcomes.has(outcome));
if (!isWhole || !outcomes.has('ok')) process.exitCode = 1;
