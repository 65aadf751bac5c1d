// What a peer is: somebody else's way to the same value and gradient, from the same float32 logits and uint8 labels.
import os from 'node:os';
import type { LossName } from '../cases/losses.js';
import type { Problem } from '../cases/problem.js';

export interface Peer {
  readonly name: string;
  /** Versions, threads, allocator: what the time belongs to. */
  detail: string;
  /** Which of our losses it computes. */
  readonly loss: LossName;
  /** How far its value may be from ours; 1e-5 unless given. */
  readonly within?: number;
  /** Computes once and hands the result over. */
  result(): Promise<PeerResult>;
  /** Milliseconds of so many calls, timed where they run. */
  time(calls: number): Promise<number>;
  /** Ends when its threads spin no more after a turn. */
  rest?(): Promise<void>;
  /** Finds the best settings, before anything is timed. */
  tune?(): Promise<void>;
}

export interface PeerResult {
  readonly value: number;
  /** [N, C, S] */
  readonly grad: Float32Array;
}

/** Peers of one kind for a problem, or why there are none. */
interface PeerGroup {
  readonly peers: readonly Peer[];
  readonly skipped?: string;
  /** Ends what the peers run in. */
  close(): void;
}

/** few: those that may be the fastest, of a shape that is not one of the main ones. */
export type OpenPeers = (
  problem: Problem,
  activation: 'sigmoid' | 'softmax',
  few?: boolean,
) => Promise<PeerGroup>;

/** No peers, and why. */
export function skip(skipped: string): PeerGroup {
  return { peers: [], skipped, close: () => undefined };
}

/** What is wrong with a peer's result, if anything. They sum in float32: ten times our own tolerance. */
export function peerFault(result: PeerResult, ours: PeerResult, within = 1e-5): string | undefined {
  if (!(Math.abs(result.value - ours.value) <= within)) {
    return `value ${result.value} instead of ${ours.value}`;
  }
  const largest = ours.grad.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
  for (let i = 0; i < ours.grad.length; i++) {
    if (!(Math.abs(result.grad[i] - ours.grad[i]) <= 1e-4 * largest)) {
      return `gradient ${result.grad[i]} instead of ${ours.grad[i]} at ${i}`;
    }
  }
  return undefined;
}

/** Why a problem is too large for a peer that holds so many tensors like the logits, if it is. */
export function lacksMemory(
  { logits }: Pick<Problem, 'logits'>,
  tensors: number,
  freeBytes = os.freemem(),
): string | undefined {
  const needed = tensors * logits.byteLength;
  if (needed <= freeBytes / 2) return undefined;
  const gb = (bytes: number) => (bytes / 1e9).toFixed(1);
  return `needs about ${gb(needed)} GB, more than half of the free ${gb(freeBytes)} GB`;
}

export function firstLine(error: unknown): string {
  return String((error as Error).message).split('\n')[0] ?? '';
}
