// Proves and measures the CUDA kernels on this machine's GPU: `npm run gpu`. Builds what is missing, runs every step
// even when one fails, writes bench/results/<gpu>-<date>.json and a summary (.md) beside it.
//
//   node scripts/gpu.mjs [--programs <folder>] [--out <folder>] [--quick] [--only <step>]
//
// --programs: the folder with gpu_tests, libwarpdice_gpu.so and the compiled tests; without it they are built in build-gpu.
// Exit status: 0 when no step failed, 1 when one did or all were skipped, 2 without a GPU.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { commitOf } from './commit.mjs';

const root = path.dirname(import.meta.dirname);
const { values: options } = parseArgs({
  options: {
    programs: { type: 'string' },
    out: { type: 'string', default: path.join(root, 'bench/results') },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});

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

/** Runs a command, shows and keeps what it prints. */
function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        process.stdout.write(text);
      });
    }
    child.on('error', ({ message }) => resolve({ status: 127, output: message }));
    child.on('close', (status, signal) => resolve({ status: status ?? signal, output }));
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
  return run(process.execPath, ['test/gpu/compile.mjs', suites]);
}

const gpu = describeGpu();
if (gpu.fault) {
  console.error(`gpu: no NVIDIA GPU can be used here: ${gpu.fault}`);
  process.exit(2);
}
const programs = path.resolve(options.programs ?? path.join(root, 'build-gpu/test/gpu'));
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
  { name: 'build', skip: options.programs && 'built before', run: buildPrograms },
  { name: 'kernels agree with the reference', run: () => run(tests, []) },
  {
    name: 'the same bits in 100 runs',
    run: () => run(tests, ['0', options.quick ? '23' : '3'], { WARPDICE_REPEAT: '100' }),
  },
  ...['memcheck', 'racecheck', 'initcheck', 'synccheck'].map((tool) => ({
    name: tool,
    skip: !has(sanitizer, '--version') && `${sanitizer} is not installed`,
    // initcheck: the workspace must not have been filled by the test.
    run: () =>
      run(sanitizer, ['--tool', tool, '--error-exitcode', '9', tests, '0', every], {
        WARPDICE_FILL: tool === 'initcheck' ? '0' : '1',
      }),
  })),
  { name: '100,000 steps leave no memory behind', run: () => run(tests, ['leak']) },
  {
    name: 'the test suite, on the GPU',
    skip: options.programs && !existsSync(suites) && 'there are no compiled tests',
    run: () => run(process.execPath, ['test/gpu/suite.mjs', suites]),
  },
  {
    name: 'the library, through its API',
    run: () =>
      run(process.execPath, ['test/gpu/check.mjs', ...(options.quick ? ['--steps', '1000'] : [])]),
  },
  {
    name: 'benchmark',
    skip: !has('python3', '-c', 'import torch') && 'python3 has no PyTorch',
    run: () =>
      run(
        'python3',
        [
          ...['bench/gpu/bench.py', '--library', path.join(programs, 'libwarpdice_gpu.so')],
          ...['--json', benchmark, ...(options.quick ? ['--quick'] : [])],
        ],
        { WARPDICE_COMMIT: commitOf(root), PYTHONDONTWRITEBYTECODE: '1' },
      ),
  },
];

const results = [];
for (const step of steps) {
  if (options.only && step.name !== options.only) continue;
  console.log(`\n===== ${step.name}`);
  const begin = performance.now();
  if (step.skip) {
    results.push({ name: step.name, outcome: 'skipped', because: step.skip });
  } else {
    const { status, output } = await step.run();
    const seconds = Math.round((performance.now() - begin) / 100) / 10;
    const lines = output.trim().split('\n').slice(-12);
    const outcome = status === 0 ? 'ok' : status === 77 ? 'skipped' : 'FAILED';
    const because = outcome === 'skipped' ? lines.at(-1) : undefined;
    results.push({ name: step.name, outcome, because, status, seconds, lines });
  }
  const { outcome, because } = results.at(-1);
  console.log(`===== ${step.name}: ${outcome}${because ? ` (${because})` : ''}`);
}

const report = {
  gpu,
  node: process.version,
  system: `${os.type()} ${os.release()}`,
  cpu: os.cpus()[0]?.model,
  commit: commitOf(root),
  command: ['node', path.relative(root, process.argv[1]), ...process.argv.slice(2)].join(' '),
  date,
  steps: results,
  benchmark: existsSync(benchmark) ? JSON.parse(readFileSync(benchmark, 'utf8')) : undefined,
};
writeFileSync(`${stem}.json`, `${JSON.stringify(report, null, 1)}\n`);
writeFileSync(`${stem}.md`, summary(report));
console.log(`\n${summary(report)}\n${stem}.json`);
const outcomes = results.map(({ outcome }) => outcome);
if (outcomes.includes('FAILED') || !outcomes.includes('ok')) process.exitCode = 1;

/** The report for people. */
function summary({ gpu, commit, command, date, steps, benchmark }) {
  const lines = [
    `# ${gpu.name}, ${date.slice(0, 10)}`,
    '',
    `Driver ${gpu.driver}, compute capability ${gpu.capability}, commit ${commit}, \`${command}\``,
    '',
    '| step | outcome | seconds |',
    '|---|---|---|',
    ...steps.map(
      (step) => `| ${step.name} | ${step.because ?? step.outcome} | ${step.seconds ?? ''} |`,
    ),
  ];
  for (const { case: name, rows, faults, skipped, targets } of benchmark?.results ?? []) {
    lines.push('', `## ${name}`, '');
    if (skipped) lines.push(`Skipped: ${skipped}`);
    if (rows) lines.push('| | ms | GB/s | of copy | x warpdice |', '|---|---|---|---|---|');
    for (const [row, { ms, gb_per_s, of_copy, x_warpdice }] of Object.entries(rows ?? {})) {
      const ratio = x_warpdice ? x_warpdice.median.toFixed(2) : '';
      lines.push(
        `| ${row} | ${ms.median.toFixed(4)} | ${gb_per_s.toFixed(0)} | ${of_copy.toFixed(2)} | ${ratio} |`,
      );
    }
    for (const [row, fault] of Object.entries(faults ?? {})) lines.push('', `${row}: ${fault}`);
    for (const { target, limit, measured, met } of targets ?? []) {
      const verdict = met ? 'met' : 'not met';
      lines.push('', `Target: ${target} at least ${limit}: ${measured.toFixed(2)}, ${verdict}.`);
    }
  }
  return `${lines.join('\n')}\n`;
}
