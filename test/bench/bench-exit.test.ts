// The exit code of the benchmark: what of a run is an error.
import { describe, expect, test } from '@jest/globals';
import { compare } from '../../bench/compare.js';
import { exitCode, faultsOf } from '../../bench/exit-code.js';
import { comparisonText, peersText, timesText, verdictsText } from '../../bench/report.js';
import type { Saved } from '../../bench/results.js';
import { peerVerdicts } from '../../bench/targets.js';
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

  test('a process that ended early: 1, whatever was measured', () => {
    const endedEarly = ['peers-child.js of avx512 ended with SIGKILL'];
    expect(exitCode({ ...savedOf([caseOf(2)]), endedEarly })).toBe(1);
    expect(exitCode({ ...savedOf([caseOf(2)]), endedEarly: [] })).toBe(0);
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
