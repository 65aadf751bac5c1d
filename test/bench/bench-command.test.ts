// The benchmark as a command, compiled: it ends with its exit code, reads what it saved, and sees the memory that a call takes.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hasFigures } from '../../bench/exit-code.js';
import { readOptions, simdNames } from '../../bench/options.js';
import { measureMemory } from '../../bench/parts.js';
import { memoryText } from '../../bench/report.js';
import { memoryVerdict } from '../../bench/targets.js';
import { caseOf, savedOf } from './bench-results.js';

const root = path.join(__dirname, '..', '..');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-exit-'));
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.bench.json'], { cwd: root });
});
afterAll(() => rmSync(folder, { recursive: true }));

type Ended = { code: number; text: string; error: string };

async function node(args: string[], env = {}): Promise<Ended> {
  const options = { cwd: root, env: { ...process.env, ...env } };
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, text: stdout, error: stderr });
    });
  });
}
const main = path.join(root, 'dist-bench', 'main.js');
const run = (...flags: string[]) => node([main, ...flags]);

/** On one call of 32 x 32, against a run in which it took `ms` on whatever this machine has. */
async function comparedWith(ms: number) {
  const then = caseOf(ms, { group: '[1,1,32,32] sigmoid' });
  const before = savedOf([]);
  const file = path.join(folder, `${ms}.json`);
  const results = simdNames.map((simd) => ({ simd, threads: 2, cases: [then] }));
  writeFileSync(file, JSON.stringify({ ...before, results }));
  return run('--quick', '--parts', 'times', '--filter', '[1,1,32,32]', '--compare', file);
}

test('ends with 1 against a run that was faster, and with 0 against one that was not', async () => {
  const [slower, faster] = await Promise.all([comparedWith(1e-9), comparedWith(1e9)]);
  expect(slower.text).toContain('1 of 1 calls slower');
  expect(slower.code).toBe(1);
  expect(slower.error).toMatch(/^\w+ \[1,1,32,32\] sigmoid$/m); // progress, where stderr is no terminal
  expect(faster.text).toContain('0 of 1 calls slower, 1 faster');
  expect(faster.code).toBe(0);
}, 30000);

test('reads a saved run, judges it by the targets of today and compares it with another', async () => {
  const file = (name: string) => path.join(folder, name);
  writeFileSync(file('fast'), JSON.stringify(savedOf([caseOf(1.9)])));
  writeFileSync(file('slow'), JSON.stringify(savedOf([caseOf(4)])));
  const alone = await run('--from', file('slow'));
  expect(alone.text).toContain('A processor, 2 cores');
  expect(alone.text).toMatch(/valueAndGrad to a copy(\s|│)+<= 2(\s|│)+4.00(\s|│)+NOT MET/);
  expect(alone.code).toBe(0);
  const slower = await run('--from', file('slow'), '--compare', file('fast'));
  expect(slower.text).toContain('1 of 1 calls slower');
  expect(slower.code).toBe(1);
  expect((await run('--from', file('fast'), '--compare', file('slow'))).code).toBe(0);
  const none = await run('--from', file('none'));
  expect(none.error).toContain('Expected a JSON file of an earlier run');
  expect(none.code).toBe(2);
}, 30000);

// Its gradient is 4 MiB in half precision, 16 MiB in float64: what is left beyond it is next to nothing, so that those bytes were seen.
test('memory: the growth beyond the gradient, whatever its dtype', async () => {
  const growth = async (dtype: string, call: string) => {
    const child = path.join(root, 'dist-bench', 'memory-child.js');
    const c = { group: '[8,1,512,512] sigmoid', case: `${dtype}, labels`, call, threads: 2 };
    const { code, text } = await node(['--expose-gc', child, JSON.stringify(c)]);
    expect(code).toBe(0);
    return JSON.parse(text) as { resident: number; peak?: number };
  };
  for (const call of ['valueAndGrad, allocating', 'valueAndGrad']) {
    const found = await Promise.all(
      ['float16', 'bfloat16', 'float64'].map((dtype) => growth(dtype, call)),
    );
    for (const { resident, peak = 0 } of found) {
      expect(Math.abs(resident)).toBeLessThan(2e6);
      expect(Math.abs(peak)).toBeLessThan(2e6);
    }
  }
}, 30000);

test('processes that end early are named, and nothing else fails', async () => {
  const flags = ['--quick', '--simd', 'baseline', '--filter', '[1,1,32,32]'];
  const { code, text, error } = await node([main, ...flags], { WARPDICE_TEST_ADDON: '/none.node' });
  expect(text).toContain('ENDED EARLY: measure-child.js of baseline ended with 1');
  expect(error).toContain('Nothing was measured.');
  expect(code).toBe(1);
});

test('memory of a case that would take more than half of what is free is skipped by name', async () => {
  const options = readOptions(['--quick', '--filter', '[2,117']);
  const skipped = 'needs 2.5 GB, more than half of the free 4.9 GB';
  const what = { group: '[2,117,96,96,96] softmax', case: 'float16, labels' };
  const results = await measureMemory(options, 4.9e9);
  expect(results).toEqual([
    { ...what, call: 'valueAndGrad', skipped },
    { ...what, call: 'valueAndGrad, allocating', skipped },
  ]);
  expect(memoryText(results, 2)).toContain(`skipped: ${skipped}`);
  expect(memoryVerdict(results, 2)).toEqual([]);
  expect(hasFigures({ ...savedOf([]), memory: results })).toBe(false);
});
