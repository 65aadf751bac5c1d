// What linearLogits is compared with, each in a process of its own: PyTorch (peers/torch_head.py), whose MKL also makes the products of
// the composed call; and the memory of our own call (peers/linear_logits.mjs).
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { firstLine } from '../peers/peer.js';
import { pythonWithPeers } from '../peers/python.js';
import type { HeadResult } from '../report/results.js';
import { root } from './machine.js';
import { nodeFlags } from './processes.js';

interface Found {
  readonly ms: number;
  readonly mb: number;
}

/** N, K features, C classes, voxels */
type Shape = readonly [N: number, K: number, C: number, S: number];

async function resultOf(program: string, args: readonly string[]): Promise<Found | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: 120_000 });
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } catch (error) {
    console.error(
      `  ${path.basename(args.find((arg) => /\.(py|mjs)$/.test(arg)) ?? program)}: ${firstLine(error)}`,
    );
    return undefined;
  }
}

/** Missing: what could not be measured. */
export async function beside(shape: Shape, threads: number): Promise<Partial<HeadResult>> {
  const file = (name: string) => path.join(root, 'bench', 'peers', name);
  const numbers = [...shape, threads].map(String);
  const own = await resultOf(process.execPath, [
    ...nodeFlags,
    file('linear_logits.mjs'),
    ...numbers,
  ]);
  const python = await pythonWithPeers();
  const ofTorch = (version: string) =>
    python
      ? resultOf(python, ['-W', 'ignore', file('torch_head.py'), ...numbers, version])
      : Promise.resolve(undefined);
  const [N, , C, S] = shape;
  const products = await ofTorch('products');
  const eager = await ofTorch('eager');
  const compiled = await ofTorch('compiled');
  return {
    ...(own && { mb: own.mb }),
    // Logits and their gradient.
    ...(products && { productsMs: products.ms, composedMb: (8 * N * C * S) / 1e6 }),
    ...(eager && { eagerMs: eager.ms, eagerMb: eager.mb }),
    ...(compiled && { compiledMs: compiled.ms, compiledMb: compiled.mb }),
  };
}
