// What a run finds, as it stands in the JSON files.
import type { Case, Group } from './cases.js';
import type { LossName } from './losses.js';
import type { Machine } from './machine.js';
import type { Options } from './options.js';
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
  /** Of valueAndGrad, where the shape was visited more than once (visits.ts). */
  readonly visits?: readonly VisitFigures[];
}

/** One visit's part of a CallResult: medians. */
export interface VisitFigures {
  /** Are its rounds among those above? */
  readonly counted: boolean;
  readonly ms: number;
  /** The fastest copy of that visit. */
  readonly copyMs?: number;
  /** The fastest pass of exponentials, where there are any. */
  readonly expMs?: number;
  readonly toCopy?: number;
  readonly toBase?: number;
}

export interface Bound {
  readonly ms: Summary;
  /** Over the fastest copy, within each round. */
  readonly toCopy: Summary;
}

/** What valueAndGrad of a case cannot be faster than, from the same rounds. */
export interface Bounds {
  /** Logits and target read, then the gradient written; nothing computed. */
  readonly memory: Bound;
  /** The same, but logits and target are read again for the gradient. */
  readonly twoPasses: Bound;
  /** The arithmetic of our own kernel, when everything stays in a core's own cache, over the threads. */
  readonly arithmetic: Bound;
  /** One exponential an element, read and written: of float32 logits. */
  readonly exp?: Bound;
  /** One element of the logits on one thread. */
  readonly nsPerElement: Summary;
  /** Of memory and arithmetic the longer. */
  readonly binds: 'memory' | 'arithmetic';
  readonly readGBs: number;
  readonly writeGBs: number;
}

export interface CaseResult {
  readonly group: string;
  readonly case: string;
  readonly shape: readonly number[];
  readonly loss: LossName;
  readonly dtype: Case['dtype'];
  readonly extent: Group['extent'];
  readonly logitsBytes: number;
  /** Logits and target read once, gradient written once. */
  readonly necessaryBytes: number;
  /** Name of the fastest copy. */
  readonly fastestCopy?: string;
  readonly calls: readonly CallResult[];
  readonly bounds?: Bounds;
  /** "call: what is wrong"; such a call was not timed. */
  readonly faults: readonly string[];
}

/** A shape that was not measured, and why. */
export interface SkippedGroup {
  readonly group: string;
  readonly reason: string;
}

export interface SimdResult {
  readonly simd: string;
  readonly threads: number;
  readonly cases: readonly CaseResult[];
  readonly skipped?: readonly SkippedGroup[];
}

/** A peer on the first case of a group: timed, or why it was not. */
export interface PeerTimes {
  readonly group: string;
  readonly name: string;
  readonly detail?: string;
  readonly denominator?: 'squared' | 'linear';
  readonly ms?: Summary;
  /** Our call with the same denominators, in the same rounds. */
  readonly oursMs?: Summary;
  readonly toOurs?: Summary;
  readonly skipped?: string;
  readonly fault?: string;
  /** What is wrong with our own result: then nothing is timed. */
  readonly oursFault?: string;
}

export interface MemoryResult {
  readonly group: string;
  readonly case: string;
  readonly call: string;
  /** Growth of the resident memory in bytes beyond the gradient, at its end and at its highest; the median of the children. */
  readonly resident?: number;
  readonly peak?: number | undefined;
  readonly children?: number;
  readonly skipped?: string;
}

/** valueAndGrad at one place of a series: timed, or why it was not. */
export interface ScalingPoint {
  /** Threads, voxels or classes. */
  readonly x: number;
  /** Of the logits. */
  readonly elements: number;
  readonly ms?: Summary;
  /** Of the logits, in turns with it. */
  readonly copyMs?: Summary;
  readonly skipped?: string;
  readonly fault?: string;
}

export interface ScalingResult {
  readonly name: 'threads' | 'voxels' | 'classes';
  /** What stays the same. */
  readonly fixed: string;
  readonly points: readonly ScalingPoint[];
}

/** Of one way to call, all callers together. */
export interface ServerResult {
  readonly name: string;
  readonly stepsPerSecond?: number;
  /** Between two ticks of the event loop, which come every millisecond when nothing delays them. */
  readonly delayMs?: { readonly median: number; readonly p99: number; readonly max: number };
  readonly fault?: string;
}

/** A JSON file. */
export interface Saved {
  readonly machine: Machine;
  readonly options: Pick<Options, 'quick' | 'all' | 'parts' | 'filter' | 'threads'> & {
    /** On which the times were taken, where it was not left to the system. */
    readonly processors?: readonly number[] | undefined;
    /** SIMD target of peers and scaling; absent in older files. */
    readonly simd?: string;
  };
  readonly results: readonly SimdResult[];
  readonly peers: readonly PeerTimes[];
  readonly memory: readonly MemoryResult[];
  readonly scaling: readonly ScalingResult[];
  readonly server: readonly ServerResult[];
  readonly verdicts: readonly Verdict[];
  /** Processes that ended before their work was done. */
  readonly endedEarly?: readonly string[];
}

export interface Verdict {
  readonly target: string;
  readonly limit: string;
  readonly measured: string;
  /** Absent when it was not measured. */
  readonly met?: boolean;
  /** What the figures of the same run say about it. */
  readonly because?: string;
}
