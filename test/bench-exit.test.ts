// The exit code of the benchmark: what of a run is an error, and that the command ends with it.
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compare } from '../bench/compare.js';
import { exitCode, faultsOf } from '../bench/exit-code.js';
import { simdNames } from '../bench/options.js';
import { comparisonText, peersText, timesText, verdictsText } from '../bench/report.js';
import type { Saved } from '../bench/results.js';
import { peerVerdicts } from '../bench/targets.js';
import { around, caseOf, savedOf } from './bench-results.js';

const group = '[4,4,512,512] softmax';
const timedPeer = { group, name: 'a peer', ms: around(9), oursMs: around(1), toOurs: around(9) };
const wrongPeer = { group, name: 'jax-js, wasm', fault: 'value 0.4676 instead of 0.4674' };
const place = { x: 1, elements: 4 };
const point = { ...place, ms: around(1), copyMs: around(1) };
const scaling = { name: 'voxels', fixed: '' } as const;
const nothing = savedOf([]);

describe('a run', () => {
  test.each<[string, Saved]>([
    ['times', savedOf([caseOf(2)])],
    ['peers alone', { ...nothing, peers: [timedPeer] }],
    ['a wrong peer beside a right one', { ...nothing, peers: [timedPeer, wrongPeer] }],
    ['a wrong peer beside times', { ...savedOf([caseOf(2)]), peers: [wrongPeer] }],
    [
      'a peer that is not there',
      { ...savedOf([caseOf(2)]), peers: [{ group, name: 'PyTorch', skipped: 'not there' }] },
    ],
    ['scaling alone', { ...nothing, scaling: [{ ...scaling, points: [point] }] }],
    [
      'an unmet target',
      {
        ...savedOf([caseOf(2)]),
        verdicts: [{ target: '', limit: '', measured: '', met: false }],
      },
    ],
  ])('%s: 0', (_, found) => {
    expect(faultsOf(found)).toEqual([]);
    expect(exitCode(found)).toBe(0);
  });

  test.each<[string, Saved]>([
    ['a call', savedOf([caseOf(2), caseOf(2, { faults: ['value: it is wrong'] })])],
    [
      'ours beside a peer',
      { ...nothing, peers: [timedPeer, { ...wrongPeer, oursFault: 'wrong' }] },
    ],
    [
      'a place of the scaling',
      { ...nothing, scaling: [{ ...scaling, points: [point, { ...place, fault: 'wrong' }] }] },
    ],
    [
      'a step of the server',
      { ...savedOf([caseOf(2)]), server: [{ name: 'a step', fault: 'wrong' }] },
    ],
  ])('a wrong result of %s: 1', (_, found) => {
    expect(faultsOf(found)).toHaveLength(1);
    expect(exitCode(found)).toBe(1);
  });

  test.each<[string, Saved | undefined]>([
    ['no SIMD target is there', undefined],
    ['nothing was measured', nothing],
    ['every peer was skipped', { ...nothing, peers: [{ group, name: 'one', skipped: 'memory' }] }],
    ['all that was timed is wrong', savedOf([caseOf(2, { calls: [] })])],
    [
      'every place of the scaling was skipped',
      { ...nothing, scaling: [{ ...scaling, points: [{ ...place, skipped: 'memory' }] }] },
    ],
  ])('%s: 1', (_, found) => {
    expect(exitCode(found)).toBe(1);
  });
});

describe('--compare', () => {
  const now = savedOf([caseOf(2)]);
  test.each([
    ['as fast', [caseOf(2)], 0],
    ['faster', [caseOf(4)], 0],
    ['slower', [caseOf(1)], 1],
    ['slower in one of two', [caseOf(2), caseOf(1, { case: 'CE' })], 1],
    ['without a call in common', [], 1],
  ])('%s', (_, then, code) => {
    const both = then.length > 1 ? savedOf([caseOf(2), caseOf(2, { case: 'CE' })]) : now;
    expect(exitCode(both, compare(savedOf(then), both))).toBe(code);
  });

  test('a wrong result is not hidden by a comparison without a slower call', () => {
    const wrong = savedOf([caseOf(2, { faults: ['value: it is wrong'] })]);
    expect(exitCode(wrong, compare(now, wrong))).toBe(1);
  });

  test('nothing in common is said', () => {
    expect(comparisonText(compare(nothing, now))).toContain('The two runs have no call in common.');
  });
});

describe('what was not timed is named, and has no figure', () => {
  test('a wrong peer, our own wrong result, and one that was skipped', () => {
    const text = peersText([
      wrongPeer,
      { group, name: 'beside ours', oursFault: 'value 1 instead of 2' },
      { group, name: 'PyTorch', skipped: 'not there' },
    ]);
    const [wrong, ours, skipped] = text.split('\n').filter((line) => line.includes(group));
    expect(wrong).toMatch(/jax-js, wasm(\s|│)+WRONG, not timed: value 0.4676 instead of 0.4674/);
    expect(ours).toMatch(/beside ours(\s|│)+OURS WRONG, not timed: value 1 instead of 2/);
    expect(skipped).toMatch(/PyTorch(\s|│)+skipped: not there/);
  });

  test('a shape that lacks memory', () => {
    const skipped = [{ group, reason: 'needs 9.0 GB' }];
    expect(timesText({ simd: 'avx512', threads: 2, cases: [], skipped })).toContain(
      `skipped: ${group}, needs 9.0 GB`,
    );
  });

  test('a target without a measurement is neither met nor unmet', () => {
    const verdicts = peerVerdicts(
      [
        { group, name: 'PyTorch, MONAI', fault: 'value 1 instead of 2' },
        { group, name: 'PyTorch, by hand', skipped: 'needs 9.0 GB' },
        { ...timedPeer, group: '[8,1,512,512] sigmoid', name: 'PyTorch, MONAI' },
      ],
      undefined,
    );
    expect(verdicts.map(({ met }) => met)).toEqual([true, undefined]);
    expect(verdicts[1]).toEqual({
      target: `${group}: the best PyTorch version to ours`,
      limit: '>= 7',
      measured: 'not measured',
      because: 'PyTorch, MONAI: wrong, value 1 instead of 2; PyTorch, by hand: needs 9.0 GB',
    });
    expect(verdictsText(verdicts)).toContain('Targets: 1 of 1 met, 1 not measured.');
  });

  test('a target beside which our own result was wrong is not met', () => {
    const peers = [{ ...timedPeer, name: 'PyTorch, MONAI' }];
    const wrong = [...peers, { group, name: 'PyTorch, nnU-Net', oursFault: 'wrong' }];
    expect(peerVerdicts(peers, undefined)[0]).toMatchObject({ met: true });
    expect(peerVerdicts(wrong, undefined)[0]).toMatchObject({ met: false, measured: 'not timed' });
  });
});

describe('the command', () => {
  const root = path.join(__dirname, '..');
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-exit-'));
    const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [tsc, '-p', 'tsconfig.bench.json'], { cwd: root });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function run(...flags: string[]): Promise<{ code: number; text: string; error: string }> {
    const main = path.join(root, 'dist-bench', 'main.js');
    return new Promise((resolve) => {
      execFile(process.execPath, [main, ...flags], { cwd: root }, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, text: stdout, error: stderr });
      });
    });
  }

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
});
