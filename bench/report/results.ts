// What a run finds.
import type { Machine } from '../measure/machine.js';
import type { Spread, Summary } from '../measure/timing.js';

/** One row of a case: a pass over its memory or one of our calls. */
export interface CallResult {
  readonly name: string;
  readonly ms: Summary;
  /** Time over that of the fastest copy of this case's logits, within each round. */
  readonly toCopy?: Spread;
  /** valueAndGrad over that of the first case of the shape, within each round. */
  readonly toBase?: Spread;
}

export interface CaseResult {
  readonly group: string;
  readonly case: string;
  readonly calls: readonly CallResult[];
  /** "call: what is wrong"; such a call was not timed. */
  readonly faults?: readonly string[];
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
  /** The loss of ours that it computes. */
  readonly loss?: string;
  readonly ms?: Summary;
  /** Our call with that loss, in the same rounds. */
  readonly oursMs?: Summary;
  readonly toOurs?: Spread;
  readonly skipped?: string;
  readonly fault?: string;
  /** What is wrong with our own result: then nothing is timed. */
  readonly oursFault?: string;
}

export interface MemoryResult {
  readonly group: string;
  readonly case: string;
  readonly call: string;
  /** Growth of the resident memory in bytes beyond the gradient, at its end and at its highest; the median of the processes. */
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

/** valueAndGrad whose statistics are added over ranks: timed, or why it was not; or the traffic of one sum. */
export interface RanksResult {
  readonly ranks: number;
  /** What the MPI library says of itself. */
  readonly mpi?: string;
  readonly classes?: number;
  /** Of the messages that a rank adds to those of the others, in one call. */
  readonly bytes?: number;
  /** Of allReduceSync alone, and of allReduce. */
  readonly syncMs?: Summary;
  readonly asyncMs?: Summary;
  /** Of the all-reduce in the call, waiting for the other ranks included. */
  readonly allReduceMs?: Summary;
  /** Of the whole call. */
  readonly ms?: Summary;
  /** Bytes with headers, and packets, that all ranks send. */
  readonly sentBytes?: number;
  readonly packets?: number;
  readonly skipped?: string;
}

/** valueAndGrad of linearLogits for one shape: timed, or why it was not. */
export interface HeadResult {
  readonly name: string;
  readonly classes: number;
  /** 10^9 operations of the four products: 8*N*S*C*K. */
  readonly gflop?: number;
  readonly ms?: Summary;
  /** Our loss of logits that are in memory, in turns with it: without any product. */
  readonly aloneMs?: Summary;
  /** Nothing but so many multiply-adds. */
  readonly peakMs?: Summary;
  readonly peakGflop?: number;
  /** Operations a second over those of multiply-adds alone, within each round. */
  readonly shareOfPeak?: Spread;
  /** 10^6 bytes beyond inputs and gradients, the largest growth. */
  readonly mb?: number;
  /** The three products alone, by PyTorch; with aloneMs they are the composed call, which has logits and their gradient in memory. */
  readonly productsMs?: number;
  readonly composedMb?: number;
  /** PyTorch. */
  readonly eagerMs?: number;
  readonly eagerMb?: number;
  readonly compiledMs?: number;
  readonly compiledMb?: number;
  readonly skipped?: string;
}

/** All of a run. */
export interface Saved {
  readonly machine: Machine;
  readonly options: {
    readonly quick: boolean;
    readonly all: boolean;
    readonly parts: readonly string[];
    readonly filter?: string | undefined;
    readonly threads: number;
    /** SIMD target of peers and scaling. */
    readonly simd?: string;
  };
  readonly results: readonly SimdResult[];
  readonly peers: readonly PeerTimes[];
  readonly memory: readonly MemoryResult[];
  readonly scaling: readonly ScalingResult[];
  readonly ranks?: readonly RanksResult[];
  /** Missing in files of before there were linearLogits. */
  readonly head?: readonly HeadResult[];
  /** Processes that ended before their work was done. */
  readonly endedEarly?: readonly string[];
}
