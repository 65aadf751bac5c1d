// What a benchmark might have found, for the tests of what is made of it.
import type { CaseResult, Saved } from '../../bench/results.js';
import { type Summary, summarize } from '../../bench/timing.js';

/** Five samples around x. */
export const around = (x: number): Summary =>
  summarize([0.9, 0.95, 1, 1.05, 1.1].map((f) => f * x));

/** One case: a copy of 1 ms and a call of `ms`. */
export function caseOf(ms: number, more: Partial<CaseResult> = {}): CaseResult {
  return {
    group: '[4,4,512,512] softmax',
    case: 'float32, labels',
    shape: [4, 4, 512, 512],
    loss: 'Dice',
    dtype: 'float32',
    extent: 'main',
    logitsBytes: 2 ** 24,
    necessaryBytes: 2 ** 25 + 2 ** 20,
    fastestCopy: 'memcpy',
    calls: [
      { name: 'memcpy', kind: 'limit', ms: around(1), toCopy: around(1) },
      { name: 'valueAndGrad', kind: 'call', ms: around(ms), toCopy: around(ms) },
    ],
    faults: [],
    ...more,
  };
}

export function savedOf(cases: readonly CaseResult[], more: Partial<Saved> = {}): Saved {
  return {
    machine: {
      cpu: 'A processor',
      cores: 2,
      caches: [],
      memoryGiB: 8,
      system: 'Linux',
      loadAverage: 0,
      node: 'v20.0.0',
      warpdice: '0.0.0',
      commit: 'abc',
      date: '2026-01-02T03:04:05.678Z',
    },
    options: { quick: false, all: false, parts: ['times'], filter: undefined, threads: 2 },
    results: [{ simd: 'avx512', threads: 2, cases }],
    peers: [],
    memory: [],
    scaling: [],
    server: [],
    verdicts: [],
    ...more,
  };
}
