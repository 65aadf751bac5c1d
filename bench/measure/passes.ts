// The passes over memory that a call is compared with, from an addon of the benchmark's own (native/node/benchmark/module.cc).
// `npm run bench` builds it. Its threads are a second pool in the process, beside the engine's; both rest after their work.
import { createRequire } from 'node:module';
import path from 'node:path';
import { simdTarget } from 'warpdice';
import { root } from './machine.js';

export interface Passes {
  /** First of all: the SIMD target of the engine, and its threads. */
  use(simd: string, threads: number): void;
  /** streaming: around the caches, where the processor can. */
  copy(to: ArrayBufferView, from: ArrayBufferView, streaming: boolean): void;
  fill(to: ArrayBufferView, byte: number, streaming: boolean): void;
  /** to = exp(-|from|) */
  exponentials(to: Float32Array, from: Float32Array, streaming: boolean): void;
  /** The sum of the 32-bit words modulo 2^32, the last padded with zeros. */
  read(from: ArrayBufferView): number;
  /**
   * Step 1 of a Dice loss without an activation on [C, S], on one thread. target: uint8 labels, or as many floats. checks: whether
   * it looks for values outside [0, 1], as calls do.
   */
  plainSums(
    p: Float32Array,
    target: Uint8Array | Float32Array,
    classes: number,
    checks: boolean,
  ): number;
  /** Fused multiply-adds in float32 on every thread, nothing else. Returns the operations, two for each. */
  multiplyAdds(rounds: number): number;
}

const file = path.join(root, 'build', 'benchmark', 'warpdice_benchmark.node');

export function loadPasses(threads: number): Passes {
  const passes = createRequire(import.meta.url)(file) as Passes;
  passes.use(simdTarget(), threads);
  return passes;
}
