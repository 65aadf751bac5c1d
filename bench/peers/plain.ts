// Plain TypeScript: loops over typed arrays, as one would write them without an addon. One voxel's classes at a time, float64 sums.
import type { Problem } from '../cases/problem.js';
import { lacksMemory, type OpenPeers, skip } from './peer.js';

const smoothDenominator = 1e-7;

export const openPlain: OpenPeers = async (problem, activation) => {
  const tooLarge = lacksMemory(problem, 2);
  if (tooLarge) return skip(tooLarge);
  const step = plainStep(problem, activation);
  const peer = {
    name: 'TypeScript loop',
    detail: `node ${process.version}, threads: 1`,
    loss: 'Dice' as const,
    result: async () => step(),
    time: async (calls: number) => {
      const start = performance.now();
      for (let i = 0; i < calls; i++) step();
      return performance.now() - start;
    },
  };
  return { peers: [peer], close: () => undefined };
};

function plainStep({ N, C, S, logits, target }: Problem, activation: 'sigmoid' | 'softmax') {
  const z = logits.data as Float32Array;
  const labels = target.data as Uint8Array;
  const grad = new Float32Array(N * C * S);
  const [overlap, square, count] = [0, 1, 2].map(() => new Float64Array(C)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const atTarget = new Float64Array(C);
  const slope = new Float64Array(C);

  /** p of sample n into grad, and its sums. */
  function forward(at: number, n: number): void {
    for (const sums of [overlap, square, count]) sums.fill(0);
    for (let s = 0; s < S; s++) {
      const label = labels[n * S + s];
      if (activation === 'sigmoid') {
        const p = 1 / (1 + Math.exp(-z[at + s]));
        grad[at + s] = p;
        square[0] += p * p;
        overlap[0] += p * label;
        count[0] += label;
        continue;
      }
      let largest = z[at + s];
      for (let c = 1; c < C; c++) largest = Math.max(largest, z[at + c * S + s]);
      let sum = 0;
      for (let c = 0; c < C; c++) {
        const e = Math.exp(z[at + c * S + s] - largest);
        grad[at + c * S + s] = e;
        sum += e;
      }
      for (let c = 0; c < C; c++) {
        const p = grad[at + c * S + s] / sum;
        grad[at + c * S + s] = p;
        square[c] += p * p;
      }
      overlap[label] += grad[at + label * S + s];
      count[label]++;
    }
  }

  /** p of sample n in grad becomes the gradient. */
  function backward(at: number, n: number): void {
    for (let s = 0; s < S; s++) {
      const label = labels[n * S + s];
      if (activation === 'sigmoid') {
        const p = grad[at + s];
        grad[at + s] = (slope[0] * p + atTarget[0] * label) * p * (1 - p);
        continue;
      }
      let dot = grad[at + label * S + s] * atTarget[label];
      for (let c = 0; c < C; c++) dot += slope[c] * grad[at + c * S + s] ** 2;
      for (let c = 0; c < C; c++) {
        const p = grad[at + c * S + s];
        grad[at + c * S + s] = p * (slope[c] * p + (c === label ? atTarget[c] : 0) - dot);
      }
    }
  }

  return () => {
    let value = 0;
    for (let n = 0; n < N; n++) {
      forward(n * C * S, n);
      for (let c = 0; c < C; c++) {
        const D = square[c] + count[c] + smoothDenominator;
        value += (1 - (2 * overlap[c]) / D) / (N * C);
        atTarget[c] = -2 / D / (N * C);
        slope[c] = (4 * overlap[c]) / (D * D) / (N * C);
      }
      backward(n * C * S, n);
    }
    return { value, grad };
  };
}
