// What users' compilers read: the declarations in dist/, without the members that are for this package alone.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const dist = path.join(__dirname, '..', '..', 'dist');
const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.d.ts'),
);
const read = (name: string) => readFileSync(path.join(dist, name), 'utf8');

test('no declaration is internal', () => {
  expect(files).toContain('index.d.ts');
  expect(files.filter((name) => read(name).includes('@internal'))).toEqual([]);
  expect(read('losses/loss.d.ts')).not.toMatch(/mergedSync|prepare\(|channelsLast/);
  expect(read('tensors/tensor.d.ts')).not.toMatch(/forResult|fromNamed|isWhole|storage\(/);
});

test('plans and statistics are made by calls', () => {
  for (const name of ['calls/plan.d.ts', 'calls/statistics.d.ts']) {
    expect(read(name)).toMatch(/private constructor\(\);/);
  }
});

// Other versions of TypeScript, and with @types/node: .ci/consumers.
test.each(['bundler', 'nodenext'])('they need nothing but lib.es2022: %s', (moduleResolution) => {
  const root = path.join(dist, '..');
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-types-'));
  const compilerOptions = {
    noEmit: true,
    strict: true,
    target: 'es2022',
    lib: ['es2022'],
    types: [],
    skipLibCheck: false,
    module: moduleResolution === 'bundler' ? 'esnext' : moduleResolution,
    moduleResolution,
  };
  const entries = ['index.d.ts', 'mpi.d.ts', 'tfjs.d.ts'].map((name) => path.join(dist, name));
  writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: entries }),
  );
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(stdout).toBe('');
});
