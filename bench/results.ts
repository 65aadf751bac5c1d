// What a run finds, as it stands in the JSON files.
import type { Summary } from './timing.js';

export interface CallResult {
  readonly name: string;
  readonly kind: 'limit' | 'call';
  readonly ms: Summary;
  /** Time over that of the fastest copy of this case's logits, within each round. */
  readonly toCopy?: Summary;
  /** The shortest time over the shortest of that copy: less disturbed on a machine that others use. */
  readonly minToCopy?: number;
  /** Time over that of the group's base case, within each round; for valueAndGrad of the other cases. */
  readonly toBase?: Summary;
}

export interface CaseResult {
  readonly group: string;
  readonly case: string;
  readonly shape: readonly number[];
  readonly tiny: boolean;
  readonly logitsBytes: number;
  /** Logits and target read once, gradient written once. */
  readonly necessaryBytes: number;
  /** Name of the fastest copy. */
  readonly fastestCopy?: string;
  readonly calls: readonly CallResult[];
  /** Our own kernel's arithmetic: one element on one thread in nanoseconds, and that times the elements over the threads. */
  readonly arithmetic?: { readonly nsPerElement: Summary; readonly floorMs: number };
  /** "call: what is wrong"; such a call was not timed. */
  readonly faults: readonly string[];
}

export interface SimdResult {
  readonly simd: string;
  readonly threads: number;
  readonly cases: readonly CaseResult[];
}

export interface MemoryResult {
  readonly group: string;
  readonly case: string;
  readonly call: string;
  /** Growth of the resident memory in bytes beyond the gradient, at its end and at its highest; the median of the children. */
  readonly resident: number;
  readonly peak: number | undefined;
  readonly children: number;
}

export interface Verdict {
  readonly target: string;
  readonly limit: string;
  readonly measured: string;
  readonly met: boolean;
  /** For an unmet target: what the figures of the same run say about it. */
  readonly because?: string;
}
