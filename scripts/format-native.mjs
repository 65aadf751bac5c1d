// clang-format over all C++ and CUDA files; --check only reports.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { runTool } from './tool.mjs';

const files = ['native', 'test', 'bench/gpu']
  .filter((folder) => existsSync(folder))
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => path.join(folder, name)),
  )
  .filter((name) => /\.(h|cc|cu|cuh)$/.test(name));
const mode = process.argv.includes('--check') ? ['--dry-run', '-Werror'] : ['-i'];
process.exitCode = runTool('clang-format', [...mode, ...files]);
