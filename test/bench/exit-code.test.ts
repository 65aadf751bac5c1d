// The exit code of the benchmark: what of a run is an error.
import { expect, test } from '@jest/globals';
import { exitCode } from '../../bench/report/exit-code.js';
import type { Saved } from '../../bench/report/results.js';
import { around, caseOf, ms, savedOf } from './fixture.js';

const group = '[4,4,512,512] softmax';
const right = savedOf([caseOf(2)]);
const nothing = savedOf([]);
const timedPeer = { group, name: 'a peer', ms: ms(9), oursMs: ms(1), toOurs: around(9) };
const wrongPeer = { group, name: 'another', fault: 'value 1 instead of 2' };
const place = { x: 1, elements: 4 };
const timedPlace = { ...place, ms: ms(1), copyMs: ms(1) };
const scaling = (...points: Saved['scaling'][number]['points']) => [
  { name: 'voxels' as const, fixed: '', points },
];

test.each<[string, Saved | undefined, 0 | 1]>([
  ['times', right, 0],
  ['peers alone', { ...nothing, peers: [timedPeer] }, 0],
  ['scaling alone', { ...nothing, scaling: scaling(timedPlace) }, 0],
  ['a target that is not met', savedOf([caseOf(9)]), 0],
  ['a wrong peer', { ...right, peers: [wrongPeer] }, 0],
  ['a peer that is not there', { ...right, peers: [{ group, name: 'b', skipped: 'no' }] }, 0],
  ['a wrong call of ours', savedOf([caseOf(2), caseOf(2, { faults: ['value: wrong'] })]), 1],
  ['ours wrong beside a peer', { ...right, peers: [{ ...wrongPeer, oursFault: 'wrong' }] }, 1],
  ['a wrong place', { ...right, scaling: scaling(timedPlace, { ...place, fault: 'wrong' }) }, 1],
  ['a process that ended early', { ...right, endedEarly: ['peers-child.js ended with 1'] }, 1],
  ['no SIMD target is there', undefined, 1],
  ['nothing was measured', nothing, 1],
  ['every peer was skipped', { ...nothing, peers: [{ group, name: 'a', skipped: 'memory' }] }, 1],
  ['every place was skipped', { ...nothing, scaling: scaling({ ...place, skipped: 'memory' }) }, 1],
  ['all calls are wrong', savedOf([caseOf(2, { calls: [], faults: ['value: wrong'] })]), 1],
])('%s: the exit code', (_, found, code) => {
  expect(exitCode(found)).toBe(code);
});
