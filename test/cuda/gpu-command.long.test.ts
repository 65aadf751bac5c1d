// scripts/gpu.mjs without a GPU: what it says then, and a dry run with programs that only pretend.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { allTests } from '../support/in-this-run.js';

const script = path.join(__dirname, '..', '..', 'scripts', 'gpu.mjs');
const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-gpu-'));
const bin = path.join(folder, 'bin');
const programs = path.join(folder, 'programs');

function program(where: string, name: string, body: string): void {
  writeFileSync(path.join(where, name), `#!/bin/sh\n${body}\n`);
  chmodSync(path.join(where, name), 0o755);
}

function run(...args: string[]) {
  const env = { PATH: `${bin}:/usr/bin:/bin`, CUDA_VISIBLE_DEVICES: '' };
  const out = ['--out', path.join(folder, 'out'), '--programs', programs];
  return spawnSync(process.execPath, [script, ...out, ...args], { env, encoding: 'utf8' });
}

beforeAll(() => {
  mkdirSync(bin);
  mkdirSync(programs);
  program(bin, 'python3', 'exit 1'); // as where there is no PyTorch
});
afterAll(() => rmSync(folder, { recursive: true }));

test('without a GPU: one sentence and exit status 2', () => {
  program(bin, 'nvidia-smi', 'echo "No devices were found"; exit 6');
  const { status, stderr, stdout } = run();
  expect(stderr).toBe('gpu: no NVIDIA GPU can be used here: No devices were found\n');
  expect(stdout).toBe('');
  expect(status).toBe(2);
});

const addon = path.join(__dirname, '..', '..', 'build/emulated/warpdice_emulated.node');

test('suites run without Jest, on the emulated device; without a GPU they are skipped', () => {
  const suites = path.join(__dirname, '..', '..', 'build', 'suites');
  const node = (script: string, args: string[], env = {}) =>
    spawnSync(process.execPath, [path.join(__dirname, '..', script), suites, ...args], {
      env: { ...process.env, CUDA_VISIBLE_DEVICES: '', ...env },
      encoding: 'utf8',
    });
  expect(node('standalone/compile.mjs', []).status).toBe(0);
  const { stdout, status } = node('cuda/gpu/suite.mjs', ['central', 'devices/stream.'], {
    WARPDICE_TEST_ADDON: addon,
  });
  const passed = ['central', 'stream'].map((name) =>
    Number(new RegExp(`^[a-z]+/${name}.test.js: (\\d+) passed, 0 failed, `, 'm').exec(stdout)?.[1]),
  );
  for (const count of passed) expect(count).toBeGreaterThan(0);
  const skipped = stdout.match(/^skipped: devices\/stream.test.js: /gm) ?? [];
  expect(skipped).not.toHaveLength(0);
  const sum = passed.reduce((total, count) => total + count, 0);
  const total = `${sum} tests passed, 0 failed, ${skipped.length} skipped\n`;
  expect(stdout).toContain(`\n${total}`);
  expect(status).toBe(0);
  const without = node('cuda/gpu/suite.mjs', []);
  expect(without.stdout).toMatch(/^no GPU: /);
  expect(without.status).toBe(77);
});

test('the check of warpdice/nccl runs, on two emulated devices', () => {
  const check = path.join(__dirname, '../cuda/gpu', 'nccl.mjs');
  const args = [check, ...(allTests ? [] : ['--steps', '30', '--length', '1003'])];
  const node = (env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, args, { env: { ...process.env, ...env }, encoding: 'utf8' });
  const { stdout, status } = node({
    WARPDICE_TEST_ADDON: addon,
    WARPDICE_TEST_NCCL: path.join(path.dirname(addon), 'libnccl_fake.so'),
  });
  for (const rank of [0, 1])
    expect(stdout).toMatch(new RegExp(`^rank ${rank} of 2 on .*: 0 failures$`, 'm'));
  expect(status).toBe(0);
  const without = node({ WARPDICE_TEST_ADDON: addon, WARPDICE_TEST_NCCL: '/nowhere/libnccl.so.2' });
  expect(without.stdout).toMatch(/^no NCCL: Found no NCCL/);
  expect(without.status).toBe(77);
});

test('the check of the library runs, on the emulated device', () => {
  const check = path.join(__dirname, '../cuda/gpu', 'check.mjs');
  const few = allTests ? [] : ['--every', '5', '--runs', '20'];
  const { status, stdout } = spawnSync(process.execPath, [check, '--steps', '20', ...few], {
    env: { ...process.env, WARPDICE_TEST_ADDON: addon },
    encoding: 'utf8',
  });
  expect(stdout).toMatch(/^[1-9]\d* problems agree with the CPU, 0 failures$/m);
  expect(stdout).toMatch(/^20 steps: /m);
  expect(status).toBe(0);
});

/** A machine whose GPU, tools and programs only pretend. */
function pretend() {
  program(bin, 'nvidia-smi', 'echo "NVIDIA H100 80GB HBM3, 9.0, 580.1, 81559 MiB"');
  program(
    bin,
    'compute-sanitizer',
    '[ "$1" = --version ] && exit 0; echo "$2 fill $WARPDICE_FILL"; [ "$2" != racecheck ] || exit 9',
  );
  program(programs, 'gpu_tests', 'echo "840 cases, 0 failures $1 $WARPDICE_REPEAT"');
  program(bin, 'python3', 'exit 1'); // as where there is no PyTorch
}

/** What the last run wrote. */
function written() {
  const files = readdirSync(path.join(folder, 'out')).sort();
  const texts = files.map((name) => readFileSync(path.join(folder, 'out', name), 'utf8'));
  const at = (end: string) => texts[files.findIndex((name) => name.endsWith(end))] as string;
  const report = JSON.parse(at('DATE.json'.replace('DATE', new Date().toISOString().slice(0, 10))));
  const outcomes = report.steps.map((step: Record<string, string>) => [step.name, step.outcome]);
  return { files, report, outcomes: Object.fromEntries(outcomes), markdown: at('.md') };
}

describe('on a machine that pretends to have a GPU', () => {
  beforeEach(() => {
    rmSync(path.join(folder, 'out'), { recursive: true, force: true });
    pretend();
  });

  test('steps run one by one, also after a failure, and are written down', () => {
    expect(run().status).toBe(1);
    const { files, report, outcomes, markdown } = written();
    expect(files.map((name) => name.replace(/\d{4}-\d\d-\d\d/, 'DATE'))).toEqual([
      'nvidia-h100-80gb-hbm3-DATE.json',
      'nvidia-h100-80gb-hbm3-DATE.md',
    ]);
    expect(report.gpu.driver).toBe('580.1');
    expect(report.commit).toMatch(/^[0-9a-f]{12}\+?$|^$/);
    expect(outcomes).toEqual({
      build: 'skipped',
      'kernels agree with the reference': 'ok',
      'the same bits in 100 runs': 'ok',
      'more than 2^31 elements': 'ok',
      memcheck: 'ok',
      racecheck: 'FAILED',
      initcheck: 'ok',
      synccheck: 'ok',
      '100,000 steps leave no memory behind': 'ok',
      'the test suite, on the GPU': 'skipped',
      'the library, through its API': 'skipped',
      'warpdice/nccl, a rank on each of two GPUs at most': 'skipped',
      benchmark: 'skipped',
    });
    expect(report.steps[2].lines).toEqual(['840 cases, 0 failures 0 100']);
    expect(report.steps[6].lines).toEqual(['initcheck fill 0']);
    expect(markdown).toMatch(/^Driver 580.1, compute capability 9.0, commit /m);
    expect(markdown).toMatch(/^\| racecheck \| FAILED \| [\d.]+ \| `node .*gpu.mjs /m);
    expect(markdown).toContain('| benchmark | skipped: python3 has no PyTorch |');
  });

  test('steps that are run later join those of before', () => {
    expect(run('--only', 'kernels,leak').status).toBe(0);
    expect(Object.keys(written().outcomes)).toEqual([
      'kernels agree with the reference',
      '100,000 steps leave no memory behind',
    ]);
    program(programs, 'gpu_tests', 'exit 3');
    expect(run('--only', 'leak,sanitizer').status).toBe(1);
    const { outcomes, report } = written();
    expect(outcomes).toEqual({
      'kernels agree with the reference': 'ok',
      memcheck: 'ok',
      racecheck: 'FAILED',
      initcheck: 'ok',
      synccheck: 'ok',
      '100,000 steps leave no memory behind': 'FAILED',
    });
    expect(report.steps[0].command).toMatch(/--only kernels,leak$/);
    expect(report.steps[1].command).toMatch(/--only leak,sanitizer$/);
    program(bin, 'nvidia-smi', 'echo "NVIDIA H100 80GB HBM3 , 9.0, 580.1, 81559 MiB"');
    run('--only', 'bits'); // another GPU, though of a name that makes the same file
    expect(Object.keys(written().outcomes)).toEqual(['the same bits in 100 runs']);
  });

  test('when the time is over, what runs is stopped with all that it has started', () => {
    const pid = path.join(folder, 'pid');
    program(programs, 'gpu_tests', `echo begun; sh -c 'echo $$ > ${pid}; exec sleep 60'`);
    const { status } = run('--only', 'kernels,leak', '--minutes', '0.04');
    expect(status).toBe(1);
    const { outcomes, report, markdown } = written();
    expect(Object.values(outcomes)).toEqual(['STOPPED', 'not run']);
    expect(report.steps[0].lines).toEqual(['begun']);
    expect(markdown).toContain('| kernels agree with the reference | STOPPED: out of time |');
    const stat = `/proc/${readFileSync(pid, 'utf8').trim()}/stat`;
    const state = existsSync(stat) ? readFileSync(stat, 'utf8').split(') ')[1]?.[0] : 'gone';
    expect(['gone', 'Z']).toContain(state); // or nobody has asked yet how it ended
  });

  test('the benchmark is told what to measure, and what it found is in the report', () => {
    const time = { median: 0.5, q1: 0.4, q3: 0.6 };
    const row = { ms: time, gb_per_s: 2000, of_copy: 0.93 };
    const results = [
      {
        case: 'float32 8,4',
        rows: { copy: row, 'PyTorch eager': { ...row, x_warpdice: { median: 9.5 } } },
        faults: { Triton: 'no such kernel' },
        targets: [{ target: 'statistics', limit: 0.9, measured: 0.93, met: true }],
      },
      { case: 'head [1,2->3,4]', rows: { warpdice: { ms: time, tflop_per_s: 12.5 } } },
      { case: 'float32 9,9', skipped: 'too little memory' },
    ];
    // bench.py --library <so> --json <file>
    program(
      bin,
      'python3',
      `[ "$1" = -c ] && exit 0; echo "$@ at $WARPDICE_COMMIT"; echo '${JSON.stringify({ results })}' > "$5"`,
    );
    expect(run('--only', 'benchmark', '--quick').status).toBe(0);
    const { report, markdown } = written();
    expect(report.benchmark.results).toEqual(results);
    expect(report.steps[0].lines[0]).toMatch(
      /^bench\/gpu\/bench.py --library .*libwarpdice_gpu.so --json .*-bench.json --quick at /,
    );
    expect(markdown).toContain('| PyTorch eager | 0.5000 | 2000 | 0.93 | 9.50 |');
    expect(markdown).toContain('| warpdice | 0.5000 | 12.50 |  |');
    expect(markdown).toContain('Triton: no such kernel');
    expect(markdown).toContain('Target: statistics at least 0.9: 0.93, met.');
    expect(markdown).toContain('Skipped: too little memory');
    run('--only', 'leak');
    expect(written().report.benchmark.results).toEqual(results);
  });

  test('arguments that mean nothing: one sentence and exit status 2', () => {
    const unknown = run('--only', 'kernels,speed');
    expect(unknown.stderr).toMatch(
      /^gpu: Expected build, kernels, .* for --only but received speed\n$/,
    );
    expect(unknown.status).toBe(2);
    expect(run('--minutes', '0').stderr).toMatch(/^gpu: Expected a number above 0 for --minutes/);
    expect(run('--minutes', 'ten').status).toBe(2);
    expect(run('--help').stderr).toMatch(/^gpu: Unknown option '--help'/);
    expect(run('--help').status).toBe(2);
  });

  test('steps that are all skipped are no proof: exit status 1', () => {
    program(programs, 'gpu_tests', 'echo "no GPU: the driver is too old"; exit 77');
    const { status, stdout } = run('--only', 'kernels');
    expect(stdout).toContain(
      '| kernels agree with the reference | skipped: no GPU: the driver is too old |',
    );
    expect(status).toBe(1);
  });
});
