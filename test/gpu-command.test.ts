// scripts/gpu.mjs without a GPU: what it says then, and a dry run with programs that only pretend.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const script = path.join(__dirname, '..', 'scripts', 'gpu.mjs');
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

const addon = path.join(__dirname, '..', 'build/emulated/warpdice_emulated.node');

test('suites run without Jest, on the emulated device; without a GPU they are skipped', () => {
  const suites = path.join(__dirname, '..', 'build', 'suites');
  const node = (script: string, args: string[], env = {}) =>
    spawnSync(process.execPath, [path.join(__dirname, 'gpu', script), suites, ...args], {
      env: { ...process.env, CUDA_VISIBLE_DEVICES: '', ...env },
      encoding: 'utf8',
    });
  expect(node('compile.mjs', []).status).toBe(0);
  const { stdout, status } = node('suite.mjs', ['central', 'stream'], {
    WARPDICE_TEST_ADDON: addon,
  });
  expect(stdout).toMatch(/^central.test.js: 14 passed, 0 failed, /m);
  expect(stdout).toMatch(/^skipped: stream.test.js: an event orders/m);
  expect(stdout).toMatch(/^18 tests passed, 0 failed, 4 skipped$/m);
  expect(status).toBe(0);
  const without = node('suite.mjs', []);
  expect(without.stdout).toMatch(/^no GPU: /);
  expect(without.status).toBe(77);
}, 60_000);

test('the check of the library runs, on the emulated device', () => {
  const check = path.join(__dirname, 'gpu', 'check.mjs');
  const { status, stdout } = spawnSync(process.execPath, [check, '--steps', '20'], {
    env: { ...process.env, WARPDICE_TEST_ADDON: addon },
    encoding: 'utf8',
  });
  expect(stdout).toMatch(/^96 problems agree with the CPU, 0 failures$/m);
  expect(stdout).toMatch(/^20 steps: /m);
  expect(status).toBe(0);
}, 60_000);

test('steps run one by one, also after a failure, and are written down', () => {
  program(bin, 'nvidia-smi', 'echo "NVIDIA H100 80GB HBM3, 9.0, 580.1, 81559 MiB"');
  program(
    bin,
    'compute-sanitizer',
    '[ "$1" = --version ] && exit 0; [ "$2" != racecheck ] || exit 9',
  );
  program(programs, 'gpu_tests', 'echo "840 cases, 0 failures $1 $WARPDICE_REPEAT"');
  const { status } = run();
  expect(status).toBe(1);
  const files = readdirSync(path.join(folder, 'out')).sort();
  expect(files.map((name) => name.replace(/\d{4}-\d\d-\d\d/, 'DATE'))).toEqual([
    'nvidia-h100-80gb-hbm3-DATE.json',
    'nvidia-h100-80gb-hbm3-DATE.md',
  ]);
  const [json = '', markdown = ''] = files.map((name) =>
    readFileSync(path.join(folder, 'out', name), 'utf8'),
  );
  const report = JSON.parse(json);
  expect(report.gpu.driver).toBe('580.1');
  expect(report.commit).toMatch(/^[0-9a-f]{12}\+?$|^$/);
  expect(
    report.steps.map(({ name, outcome }: Record<string, string>) => `${name}: ${outcome}`),
  ).toEqual([
    'build: skipped',
    'kernels agree with the reference: ok',
    'the same bits in 100 runs: ok',
    'memcheck: ok',
    'racecheck: FAILED',
    'initcheck: ok',
    'synccheck: ok',
    '100,000 steps leave no memory behind: ok',
    'the test suite, on the GPU: skipped',
    'the library, through its API: skipped',
    'benchmark: skipped',
  ]);
  expect(report.steps[2].lines).toEqual(['840 cases, 0 failures 0 100']);
  expect(markdown).toContain('| racecheck | FAILED |');
  expect(markdown).toContain('| benchmark | python3 has no PyTorch |');
});

test('steps that are all skipped are no proof: exit status 1', () => {
  program(bin, 'nvidia-smi', 'echo "NVIDIA H100 80GB HBM3, 9.0, 470.1, 81559 MiB"');
  program(programs, 'gpu_tests', 'echo "no GPU: the driver is too old"; exit 77');
  const { status, stdout } = run('--only', 'kernels agree with the reference');
  expect(stdout).toContain('| kernels agree with the reference | no GPU: the driver is too old |');
  expect(status).toBe(1);
});
