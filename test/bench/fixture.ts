// A run as the benchmark finds it, in small.
import type { Spread, Summary } from '../../bench/measure/timing.js';
import type { CaseResult, Saved } from '../../bench/report/results.js';

export const around = (median: number): Spread => ({
  median,
  q1: 0.99 * median,
  q3: 1.01 * median,
});
export const ms = (median: number): Summary => ({ ...around(median), samples: 9 });

/** valueAndGrad takes so many ms, and so many copies. */
export function caseOf(median: number, more: Partial<CaseResult> = {}): CaseResult {
  return {
    group: '[4,4,512,512] softmax',
    case: 'float32, labels',
    calls: [{ name: 'valueAndGrad', ms: ms(median), toCopy: around(median) }],
    ...more,
  };
}

export function savedOf(cases: readonly CaseResult[], more: Partial<Saved> = {}): Saved {
  return {
    machine: {
      cpu: 'A processor',
      cores: 2,
      caches: [],
      memoryGiB: 1,
      system: 'a system',
      loadAverage: 0,
      node: 'v20.0.0',
      warpdice: '0.0.0',
      commit: 'abc',
      date: '2026-01-02T03:04:05.678Z',
    },
    options: { quick: false, all: false, parts: ['times'], threads: 2 },
    results: [{ simd: 'avx512', threads: 2, cases }],
    peers: [],
    memory: [],
    scaling: [],
    ...more,
  };
}
