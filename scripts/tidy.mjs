// clang-tidy over the C++ of native/, with the checks of .clang-tidy. Any finding fails. Without clang-tidy the exit status is 77.
//
//   node scripts/tidy.mjs [files]
//
// The kernels are looked at once, compiled for AVX2, and the CUDA sources as the emulator compiles them.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { configure } from './build-native.mjs';

const root = path.dirname(import.meta.dirname);
const first = (...names) =>
  names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);

const program = first('clang-tidy-23', 'clang-tidy');
if (program === undefined) {
  console.log('skipped: clang-tidy is not installed; no C++ source was looked at');
  process.exit(77);
}

// Clang's own command lines: it does not know all flags of GCC.
process.env.CXX = first('clang++-19', 'clang++') ?? process.env.CXX ?? 'c++';
process.env.WARPDICE_CUDA = 'OFF';
process.env.WARPDICE_SIMD_TARGETS = 'ALL'; // AVX2 among them, whatever this processor is
const folder = await configure({ out: 'build-tidy' });

/** One command for each source: the last one that is of AVX2 or of no SIMD target. */
const database = path.join(folder, 'compile_commands.json');
const commands = new Map();
for (const entry of JSON.parse(readFileSync(database, 'utf8'))) {
  const file = path.relative(root, entry.file);
  const target = /WARPDICE_TARGET=(\w+)/.exec(entry.command)?.[1] ?? 'avx2';
  if (!/^native\/.*\.cc$/.test(file) && !/^native\/cuda\/\w+\.cu$/.test(file)) continue;
  if (['avx2', 'neon'].includes(target)) commands.set(file, entry);
}
writeFileSync(database, JSON.stringify([...commands.values()]));

const given = process.argv.slice(2);
const files = given.length > 0 ? given : [...commands.keys()];
// What takes longest comes first, so that no core waits for it at the end.
const weight = (file) => Number(file.includes('kernels')) * 2 + Number(file.includes('node'));
files.sort((a, b) => weight(b) - weight(a));

/** Looks at one file; what it finds is printed. */
function tidy(file) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['-p', folder, '--quiet', file], { cwd: root });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text; // how many warnings were suppressed, and what went wrong
    });
    child.on('error', reject);
    child.on('close', (status) => {
      if (status !== 0) {
        console.log(output + (output === '' ? said : ''));
        process.exitCode = 1;
      }
      resolve();
    });
  });
}

const count = files.length;
async function worker() {
  for (let file = files.shift(); file; file = files.shift()) await tidy(file);
}
await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
const verdict = process.exitCode ? 'findings, see above' : 'no findings';
console.log(`${program}: ${count} files, ${verdict}`);
if (count === 0) process.exitCode = 1;
