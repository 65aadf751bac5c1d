// clang-format over all C++ and CUDA files; --check only reports.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const files = ['native', 'test/native', 'test/cuda', 'bench/gpu']
  .filter((folder) => existsSync(folder))
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => path.join(folder, name)),
  )
  .filter((name) => /\.(h|cc|cu|cuh)$/.test(name));
const mode = process.argv.includes('--check') ? ['--dry-run', '-Werror'] : ['-i'];
const program = path.join(import.meta.dirname, '..', 'node_modules', '.bin', 'clang-format');
const { status, error } = spawnSync(program, [...mode, ...files], { stdio: 'inherit' });
if (error) console.error(`Could not run ${program}: ${error.message}`);
process.exitCode = status ?? 1;
