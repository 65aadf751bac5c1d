// What must hold before a release and takes longer than .ci/run may: `npm run release:check`. It needs nvcc.
//
//   node scripts/release-check.mjs [--list] [--only <expression>]
//
// All steps run even when one fails, and then the exit status is 1. A step that cannot run here (77) is a failure too.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.dirname(import.meta.dirname);
const { values: options } = parseArgs({
  options: {
    list: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
});
const tree = path.join(mkdtempSync(path.join(os.tmpdir(), 'warpdice-release-')), 'tree');
process.on('exit', () => rmSync(path.dirname(tree), { recursive: true, force: true }));

const emulator = 'node test/cuda/emulator/run.mjs';
/** Name, command, settings. What .ci/run does of each stands behind it. */
const steps = [
  // .ci/run: for sm_90; of others the kernels of the commonest calls.
  ['CUDA kernels through nvcc for every architecture', 'node scripts/check-cuda.mjs'],
  // .ci/run: with PTX for one architecture.
  ['prebuilt binary for every architecture', 'npm run -s prebuilds', { WARPDICE_CUDA: 'ON' }],
  ['it runs on an older C library', 'npm run -s try:prebuilt'],
  ['it runs on Node 20 to 26, Bun and Deno', 'npm run -s try:prebuilt -- --runtimes'],
  ['prebuilt binaries of the other platforms', 'npm run -s prebuilds -- --others'],
  ['they run, where a program here runs them', 'npm run -s try:prebuilt -- --others'],
  [
    'so do the tests there',
    'npm run -s try:prebuilt -- --others --suites',
    { WARPDICE_TEST_EVERY: '19' },
  ],
  ...['avx2', 'baseline'].map((target) => [
    `and with WARPDICE_SIMD=${target}, where another compiler than GCC made it`,
    'npm run -s try:prebuilt -- --platform linux-x64-musl --platform win32-x64 --suites',
    { WARPDICE_TEST_EVERY: '19', WARPDICE_SIMD: target },
  ]),
  ['tarball without a compiler, on Node 20, 22, 24 and 26', 'bash .ci/package'],
  // .ci/run: a part of the cases; of the faults, those that change values or stop the emulator.
  ['CUDA kernels in the emulator, order 1, every case', `${emulator} 1 1`],
  ['CUDA kernels in the emulator, order 2, every case', `${emulator} 2 1`],
  ['the same under AddressSanitizer and UndefinedBehaviorSanitizer', `${emulator} address 0 1`],
  ['the same under ThreadSanitizer, every seventh case', `${emulator} thread 0 7`],
  ['program for a real GPU, on the emulated one, every case', `${emulator} staged 0 1`],
  ['planted faults in the CUDA kernels, every layer', 'node test/cuda/emulator/mutants.mjs'],
  // .ci/run: the suites of numbers, and one case in 11 of the large matrices.
  ['whole suite with WARPDICE_SIMD=avx2', 'npm run -s test:all', { WARPDICE_SIMD: 'avx2' }],
  ['whole suite with WARPDICE_SIMD=baseline', 'npm run -s test:all', { WARPDICE_SIMD: 'baseline' }],
  // .ci/run: one case in 31 of the large matrices.
  [
    'build under AddressSanitizer and UndefinedBehaviorSanitizer',
    `bash .ci/sanitized-tree ${tree}`,
  ],
  [
    'whole suite under both sanitizers',
    `bash .ci/sanitized-jest ${tree}`,
    { WARPDICE_TEST_EVERY: '1' },
  ],
].filter(([name]) => new RegExp(options.only).test(name));

let failed = 0;
const summary = [];
for (const [name, command, env = {}] of steps) {
  if (options.list) {
    console.log(name);
    continue;
  }
  console.log(`\n===== ${name}`);
  const begin = performance.now();
  const { status } = spawnSync('bash', ['-c', `. .ci/tools-path; exec ${command}`], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const seconds = Math.round((performance.now() - begin) / 1000);
  if (status !== 0) failed++;
  summary.push(`${status === 0 ? 'ok' : `FAILED (${status})`}  ${seconds} s  ${name}`);
}
if (!options.list) {
  console.log(`\n${summary.join('\n')}\n\n${steps.length - failed} passed, ${failed} failed`);
  if (failed > 0 || steps.length === 0) process.exitCode = 1;
}
