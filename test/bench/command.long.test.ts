// The benchmark as a command, compiled: it measures, ends with its exit code, reads what it saved, and sees the memory of a call.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { measureMemory } from '../../bench/measure/memory.js';
import { textOf } from '../../bench/report/saved.js';
import { caseOf, savedOf } from './fixture.js';

const root = path.join(__dirname, '..', '..');
const compiled = path.join(root, 'dist-bench', 'bench');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-bench-'));
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.bench.json'], { cwd: root });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function node(args: string[], env = {}) {
  const options = { cwd: root, env: { ...process.env, ...env } };
  return new Promise<{ code: number; text: string; error: string }>((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, text: stdout, error: stderr });
    });
  });
}
const run = (flags: string[], env = {}) => node([path.join(compiled, 'main.js'), ...flags], env);
const small = ['--quick', '--parts', 'times', '--simd', 'avx512,avx2,baseline,neon'];

test('measures one call, judges it and ends with 0', async () => {
  const { code, text, error } = await run([...small, '--filter', '[1,1,32,32]']);
  expect(text).toMatch(/Targets: . of 1 met/);
  expect(error).toMatch(/, visit 1 of 1\n {2}\[1,1,32,32\] sigmoid\n/); // progress
  expect(code).toBe(0);
});

test('reads a saved run and judges it by the targets of today; another file is refused with 2', async () => {
  const file = path.join(folder, 'slow.json');
  writeFileSync(file, textOf(savedOf([caseOf(4)])));
  const { code, text } = await run(['--from', file]);
  expect(text).toContain('A processor, 2 cores');
  expect(text).toMatch(
    /valueAndGrad to a copy(\s|│)+\[4,4,512,512\] softmax(\s|│)+<= 2(\s|│)+4.00/,
  );
  expect(code).toBe(0);
  const none = await run(['--from', path.join(folder, 'none')]);
  expect(none.error).toContain('Expected a JSON file of an earlier run');
  expect(none.code).toBe(2);
});

test('where the addon cannot be loaded, that is said, and the exit code is 1', async () => {
  const { code, text, error } = await run(small, { WARPDICE_TEST_ADDON: '/none.node' });
  expect(text).toContain(
    "ENDED EARLY: the engine's SIMD target baseline: warpdice cannot be loaded",
  );
  expect(error).toContain('Nothing was measured.');
  expect(code).toBe(1);
});

// Its gradient is 4 MiB in half precision, 16 MiB in float64: what is left beyond it is next to nothing, so those bytes were seen.
test.each(['float16', 'float64'])('memory: the growth beyond the gradient of %s', async (dtype) => {
  for (const call of ['valueAndGrad, allocating', 'valueAndGrad']) {
    const child = path.join(compiled, 'measure', 'memory-child.js');
    const c = { group: '[8,1,512,512] sigmoid', case: `${dtype}, labels`, call, threads: 2 };
    const { code, text } = await node(['--expose-gc', child, JSON.stringify(c)]);
    expect(code).toBe(0);
    const { resident, peak = 0 } = JSON.parse(text) as { resident: number; peak?: number };
    expect(Math.abs(resident)).toBeLessThan(2e6);
    expect(Math.abs(peak)).toBeLessThan(2e6);
  }
});

test('memory of a case that would take more than half of what is free is skipped by name', async () => {
  const options = { quick: true, all: false, filter: '[2,117', threads: 2 };
  const skipped = 'needs 0.8 GB, more than half of the free 1.6 GB';
  const what = { group: '[2,117,96,96,96] softmax', case: 'float16, labels', skipped };
  expect(await measureMemory(options, 1.6e9)).toEqual([
    { ...what, call: 'valueAndGrad' },
    { ...what, call: 'valueAndGrad, allocating' },
  ]);
});
