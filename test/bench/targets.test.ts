// The targets: which case has which limit, what was measured beside it, and whether that meets it.
import { describe, expect, test } from '@jest/globals';
import type { CaseResult, PeerTimes } from '../../bench/report/results.js';
import { targetsOf } from '../../bench/report/targets.js';
import { around, caseOf, ms, savedOf } from './fixture.js';

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
    const results = ['avx2', 'baseline'].map((simd) => ({ simd, threads: 2, cases: [caseOf(3)] }));
    expect(outcomes(savedOf([], { results }))).toEqual([['<= 4', '3.00', true]]);
  });
});

test('of the PyTorch versions on a main shape the fastest counts; without one there is nothing to meet', () => {
  const peer = (name: string, more: Partial<PeerTimes>, group = four) => ({ group, name, ...more });
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
  expect(targetsOf(savedOf([], { scaling })).map(({ name, measured }) => [name, measured])).toEqual(
    [
      ['ns an element at 16777216 voxels to that at 8388608, the largest such ratio', '1.50'],
      ['ns an element at 4 classes to that at 2, the largest such ratio', '1.33'],
    ],
  );
});
