// What the benchmark reports: its tables, its JSON file, its targets and its exit code.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exitCode } from '../../bench/report/exit-code.js';
import type { CaseResult, PeerTimes, Saved } from '../../bench/report/results.js';
import { readSaved, textOf, writeSaved } from '../../bench/report/saved.js';
import { machineText, tables, targetsText } from '../../bench/report/tables.js';
import { targetsOf } from '../../bench/report/targets.js';
import { around, caseOf, ms, savedOf } from './fixture.js';

// The tables: what was not timed is named, and has no figure.
describe('tables', () => {
  const group = '[4,4,512,512] softmax';

  test('a wrong peer, our own wrong result, and one that was skipped', () => {
    const peers = [
      { group, name: 'jax-js, wasm', fault: 'value 0.4676 instead of 0.4674' },
      { group, name: 'beside ours', oursFault: 'value 1 instead of 2' },
      { group, name: 'PyTorch', skipped: 'not there' },
    ];
    const [text = ''] = tables({ peers }, 2);
    const [wrong, ours, skipped] = text.split('\n').filter((line) => line.includes(group));
    expect(wrong).toMatch(/jax-js, wasm(\s|│)+WRONG, not timed: value 0.4676 instead of 0.4674/);
    expect(ours).toMatch(/beside ours(\s|│)+OURS WRONG, not timed: value 1 instead of 2/);
    expect(skipped).toMatch(/PyTorch(\s|│)+skipped: not there/);
  });

  test('wrong calls, shapes that lack memory, and a machine that was disturbed', () => {
    const timesOf = (q3: number) => {
      const calls = [{ name: 'valueAndGrad', ms: { ...ms(1), q3 } }];
      const cases = [caseOf(1, { calls, faults: ['value: value 1 instead of 2'] })];
      const skipped = [{ group, reason: 'needs 9.0 GB' }];
      return tables({ results: [{ simd: 'avx512', threads: 2, cases, skipped }] }, 2).join('\n');
    };
    expect(timesOf(1)).toContain(`WRONG, not timed: ${group} float32, labels, value: value 1`);
    expect(timesOf(1)).toContain(`skipped: ${group}, needs 9.0 GB`);
    expect(timesOf(1)).not.toContain('disturbed');
    expect(timesOf(1.6)).toContain('1 of 1 rows have quartiles 1.5 times apart');
  });

  test('targets that nothing was measured for are counted apart', () => {
    const target = { name: 'a', shape: '', limit: '<= 1', measured: '' };
    const text = targetsText([true, false, undefined].map((met) => ({ ...target, met })));
    expect(text).toContain('Targets: 1 of 2 met, 1 not measured.');
    expect(targetsText([])).toBe('');
  });

  test('a busy machine is said in the head', () => {
    const { machine } = savedOf([]);
    expect(machineText(machine)).not.toContain('load average');
    expect(machineText({ ...machine, loadAverage: 1 })).toContain('something else is using');
  });
});

// The JSON file of a run: small, at four digits, and the same tables and targets when it is read again.
describe('the JSON file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-saved-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const rows = ['memcpy', 'read, write', 'valueAndGrad', 'value'].map((name) => ({
    name,
    ms: ms(1.23456),
    toCopy: around(6.54321),
  }));
  const half = { case: 'float16, labels', calls: rows };
  const found = savedOf([caseOf(2, { calls: rows }), caseOf(2, half)], {
    peers: [{ group: '[4,4,512,512] softmax', name: 'PyTorch, a', ms: ms(9), toOurs: around(9.4) }],
  });

  test('has the figures at four digits; of other cases than the first only valueAndGrad', () => {
    const { results } = JSON.parse(textOf(found));
    const [first, other] = results[0].cases;
    const namesOf = ({ calls }: typeof first) => calls.map(({ name }: { name: string }) => name);
    expect(namesOf(first)).toEqual(['read, write', 'valueAndGrad', 'value']);
    expect(namesOf(other)).toEqual(['valueAndGrad']);
    expect(first.calls[1]).toEqual({
      name: 'valueAndGrad',
      ms: { median: 1.235, q1: 1.222, q3: 1.247, samples: 9 },
      toCopy: { median: 6.543, q1: 6.478, q3: 6.609 },
    });
  });

  test('lies under the name of its machine and day, and is judged as before when read', () => {
    const file = writeSaved(found, folder, '-quick');
    expect(path.basename(file)).toBe('a-processor-2026-01-02-quick.json');
    const read = readSaved(file);
    expect(read.machine).toEqual(found.machine);
    expect(read.options).toEqual(found.options);
    expect(targetsOf(read)).toEqual(targetsOf(found));
    // Written again it is the same, byte for byte.
    expect(textOf(read)).toBe(readFileSync(file, 'utf8'));
  });

  test.each(['{}', 'no JSON', '[]', undefined])('a file that holds %s is refused', (content) => {
    const file = path.join(folder, `${content?.length}.json`);
    if (content) writeFileSync(file, content);
    const message = `Expected a JSON file of an earlier run but received "${file}"`;
    expect(() => readSaved(file)).toThrow(new TypeError(message));
  });
});

// The targets: which case has which limit, what was measured beside it, and whether that meets it.
describe('targets', () => {
  const four = '[4,4,512,512] softmax';
  const large = '[2,3,128,128,128] softmax';
  const outcomes = (saved: Parameters<typeof targetsOf>[0]) =>
    targetsOf(saved).map(({ limit, measured, met }) => [limit, measured, met]);

  /** So many times as long as the first case. */
  const other = (name: string, times: number, group = four) =>
    caseOf(1, {
      group,
      case: name,
      calls: [{ name: 'valueAndGrad', ms: ms(1), toCopy: around(9), toBase: around(times) }],
    });

  describe('of a case', () => {
    test.each<[string, CaseResult, [string, string, boolean][]]>([
      ['4 classes to a copy', caseOf(2.5), [['<= 2', '2.50', false]]],
      ['19 classes', caseOf(4.9, { group: '[2,19,256,256] softmax' }), [['<= 5', '4.90', true]]],
      ['150 classes: none', caseOf(9, { group: '[1,150,512,512] softmax' }), []],
      ['half precision in a cache', other('float16, labels', 1.5), [['<= 2', '1.50', true]]],
      ['beyond the caches', other('bfloat16, labels', 1.5, large), [['<= 1', '1.50', false]]],
      ['channels last', other('float32, labels, channels last', 2.1), [['<= 2', '2.10', false]]],
      ['Dice and cross-entropy', other('Dice and cross-entropy', 1.2), [['<= 1.3', '1.20', true]]],
      ['another loss: none', other('Jaccard', 9), []],
      ['float64: none', other('float64, labels', 9), []],
      ['32 x 32', caseOf(0.002, { group: '[1,1,32,32] sigmoid' }), [['<= 10', '2.00', true]]],
      ['one that is no case today: none', caseOf(9, { case: 'int8' }), []],
      ['a call that was wrong', caseOf(1, { calls: [] }), [['<= 2', 'not timed', false]]],
      ['just beyond a limit', caseOf(2.004), [['<= 2', '2.0040', false]]],
    ])('%s', (_, result, expected) => {
      expect(outcomes(savedOf([result]))).toEqual(expected);
    });

    test('AVX2 may take more copies, and baseline has no limit', () => {
      const results = ['avx2', 'baseline'].map((simd) => ({
        simd,
        threads: 2,
        cases: [caseOf(3)],
      }));
      expect(outcomes(savedOf([], { results }))).toEqual([['<= 4', '3.00', true]]);
    });
  });

  test('of the PyTorch versions on a main shape the fastest counts; without one there is nothing to meet', () => {
    const peer = (name: string, more: Partial<PeerTimes>, group = four) => ({
      group,
      name,
      ...more,
    });
    const of = (...peers: PeerTimes[]) => outcomes(savedOf([], { peers }));
    const [fast, slow] = [6.9, 9].map((x) => peer(`PyTorch, ${x}`, { toOurs: around(x) }));
    const loop = peer('TypeScript loop', { toOurs: around(1) });
    const [skipped, ours] = [{ skipped: 'no' }, { oursFault: 'wrong' }].map((x) =>
      peer('PyTorch', x),
    );
    expect(of(slow as PeerTimes, loop)).toEqual([['>= 7', '9.00', true]]);
    expect(of(slow as PeerTimes, fast as PeerTimes)).toEqual([['>= 7', '6.90', false]]);
    expect(of(skipped as PeerTimes)).toEqual([['>= 7', 'not there', undefined]]);
    expect(of(slow as PeerTimes, ours as PeerTimes)).toEqual([['>= 7', 'not timed', false]]);
    expect(of(peer('PyTorch', { toOurs: around(1) }, '[1,150,512,512] softmax'))).toEqual([]);
  });

  test('memory: the highest growth of all, or the last one where the highest is unknown', () => {
    const row = (resident: number, peak?: number) => {
      return { group: four, case: 'float32, labels', call: 'valueAndGrad', resident, peak };
    };
    const of = (...memory: ReturnType<typeof row>[]) => outcomes(savedOf([], { memory }));
    expect(of(row(1.9e6, 0.5e6), row(0, 1.8e6))).toEqual([['<= 2', '1.80', true]]);
    expect(of(row(2.1e6))).toEqual([['<= 2', '2.10', false]]);
  });

  test('scaling: linear in voxels beyond the caches, no cliff from a number of classes to the next', () => {
    const points = (...nsAt: [x: number, ns: number][]) =>
      nsAt.map(([x, ns]) => ({ x, elements: 1e6, ms: ms(ns), copyMs: ms(1) }));
    const scaling = [
      { name: 'threads' as const, fixed: '', points: points([1, 9], [2, 1]) },
      // 2^20 lies in a cache.
      {
        name: 'voxels' as const,
        fixed: '',
        points: points([2 ** 20, 1], [2 ** 23, 2], [2 ** 24, 3]),
      },
      // One class is a sigmoid; 19 is more than twice 9.
      {
        name: 'classes' as const,
        fixed: '',
        points: points([1, 1], [2, 3], [4, 4], [9, 6], [18, 7]),
      },
    ];
    expect(
      targetsOf(savedOf([], { scaling })).map(({ name, measured }) => [name, measured]),
    ).toEqual([
      ['ns an element at 16777216 voxels to that at 8388608, the largest such ratio', '1.50'],
      ['ns an element at 4 classes to that at 2, the largest such ratio', '1.33'],
    ]);
  });
});

// The exit code of the benchmark: what of a run is an error.
describe('the exit code', () => {
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
    [
      'every place was skipped',
      { ...nothing, scaling: scaling({ ...place, skipped: 'memory' }) },
      1,
    ],
    ['all calls are wrong', savedOf([caseOf(2, { calls: [], faults: ['value: wrong'] })]), 1],
  ])('%s: the exit code', (_, found, code) => {
    expect(exitCode(found)).toBe(code);
  });
});

test('ranks: the share of the all-reduce, and why nothing was measured', () => {
  const timed = { ranks: 2, mpi: 'Some MPI', classes: 20, bytes: 1792 };
  const times = { syncMs: ms(0.03), asyncMs: ms(0.04), allReduceMs: ms(0.05), ms: ms(2) };
  const counted = { ranks: 4, mpi: 'Some MPI', bytes: 512, sentBytes: 3634.2, packets: 8 };
  const rows = [{ ...timed, ...times }, counted, { ...timed, mpi: 'Another MPI', ...times }];
  const [text = ''] = tables({ ranks: rows }, 2);
  expect(text).toMatch(/Ranks, Some MPI.*Ranks, Another MPI.*Counted over TCP/s);
  expect(text).toMatch(/2 .*20 .*30 \[.*40 \[.*50 \[50 51\].*2\.00.*2\.5%.*1792/);
  expect(text).toMatch(/4 .*512 .*3634 .*8\.0 .*3072/);
  const [none = ''] = tables({ ranks: [{ ranks: 2, skipped: 'mpirun is not there' }] }, 2);
  expect(none).toMatch(/skipped: mpirun is not there/);
});
