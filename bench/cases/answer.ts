// The answer in plain float64, and the comparison with it. Nothing that is wrong is timed.
import type { Tensor } from 'warpdice';
import { decodeHalf, type Half, ulp } from '../../test/support/half.js';
import { type Group, isHalf } from './cases.js';
import { type LossKind, type LossName, losses } from './losses.js';
import { labelsOf, logitsInSixteenths, type Problem } from './problem.js';

export interface Answer {
  readonly value: number;
  /** [N, C], where the loss has a value for each class. */
  readonly perClass?: Float64Array;
  /** [N, C, S], channels first. */
  readonly gradient: Float64Array;
  readonly largestGradient: number;
}

/**
 * The mean over the samples of a loss that losses.ts gives with dL/dI and dL/dP, from logits z:
 *
 *   I = sum p t,  P = sum p^k,  T = sum t                   dL/dp = dI t + dP k p^(k-1)
 *   dL/dz = dL/dp p (1 - p)                                 sigmoid
 *           p_c (dL/dp_c - sum_j p_j dL/dp_j)               softmax
 *   with cross-entropy: -log p of the label, p - t; both / (N S)
 */
export function solve(
  { activation }: Pick<Group, 'activation'>,
  shape: readonly number[],
  name: LossName,
): Answer {
  const { power, ofSample, crossEntropy = false }: LossKind = losses[name];
  const [N = 1, C = 1, ...spatial] = shape;
  const S = spatial.reduce((product, length) => product * length, 1);
  const z = logitsInSixteenths(N * C * S);
  const labels = labelsOf(N * S, C);
  const isTarget = (n: number, c: number, s: number) =>
    C === 1 ? labels[n * S + s] : labels[n * S + s] === c ? 1 : 0;

  const p = new Float64Array(N * C * S);
  const perClass = new Float64Array(N * C);
  const column = new Float64Array(C);
  let hasPerClass = false;
  let value = 0;
  let largestGradient = 0;

  for (let n = 0; n < N; n++) {
    const at = n * C * S;
    for (let s = 0; s < S; s++) {
      let sum = activation === 'softmax' ? 0 : 1;
      for (let c = 0; c < C; c++) sum += column[c] = Math.exp(z[at + c * S + s] / 16);
      for (let c = 0; c < C; c++) p[at + c * S + s] = column[c] / sum;
      if (crossEntropy) {
        const ofLabel = p[at + labels[n * S + s] * (C === 1 ? 0 : S) + s];
        value -= Math.log(C > 1 || labels[n * S + s] ? ofLabel : 1 - ofLabel) / (N * S);
      }
    }
    const sums = { I: new Float64Array(C), P: new Float64Array(C), T: new Float64Array(C) };
    for (let c = 0; c < C; c++) {
      for (let s = 0; s < S; s++) {
        const t = isTarget(n, c, s);
        const probability = p[at + c * S + s];
        sums.I[c] += probability * t;
        sums.P[c] += probability ** power;
        sums.T[c] += t;
      }
    }
    const sample = ofSample(sums);
    value += sample.value / N;
    if (sample.perClass) {
      hasPerClass = true;
      perClass.set(sample.perClass, n * C);
    }
    for (let s = 0; s < S; s++) {
      let dot = 0;
      for (let c = 0; c < C; c++) {
        const probability = p[at + c * S + s];
        const slope = sample.dP[c] * (power === 2 ? 2 * probability : 1);
        column[c] = (sample.dI[c] * isTarget(n, c, s) + slope) / N;
        dot += probability * column[c];
      }
      for (let c = 0; c < C; c++) {
        const probability = p[at + c * S + s];
        const gradient =
          (activation === 'softmax'
            ? probability * (column[c] - dot)
            : column[c] * probability * (1 - probability)) +
          (crossEntropy ? (probability - isTarget(n, c, s)) / (N * S) : 0);
        p[at + c * S + s] = gradient;
        largestGradient = Math.max(largestGradient, Math.abs(gradient));
      }
    }
  }
  return { value, ...(hasPerClass && { perClass }), gradient: p, largestGradient };
}

export interface Outputs {
  readonly value?: Tensor;
  readonly perClass?: Tensor;
  readonly grad?: Tensor;
}

/** Why the outputs are wrong, or undefined: value within 1e-6, gradient within 1e-5 of the largest plus rounding. */
export function faultOf(
  problem: Problem,
  answer: Answer,
  outputs: Outputs,
  gradScale: number,
): string | undefined {
  const near = (x: number, right: number) => Math.abs(x - right) <= 1e-6 * Math.max(right, 0.1);
  if (outputs.value) {
    const value = outputs.value.itemSync();
    if (!near(value, answer.value)) return `value ${value} instead of ${answer.value}`;
  }
  if (outputs.perClass && answer.perClass) {
    const bad = answer.perClass.findIndex(
      (right, i) => !near(Number(outputs.perClass?.data[i]), right),
    );
    if (bad >= 0) {
      return `perClass[${bad}] ${outputs.perClass.data[bad]} instead of ${answer.perClass[bad]}`;
    }
  }
  return outputs.grad && gradientFault(problem, answer, outputs.grad, gradScale);
}

function gradientFault(
  { N, C, S, case: { dtype, layout } }: Problem,
  answer: Answer,
  grad: Tensor,
  gradScale: number,
): string | undefined {
  const data = grad.data as Float32Array | Float64Array | Uint16Array;
  const half = isHalf(dtype) ? dtype : undefined;
  const decode = half && tableOf(half);
  const allowed = 1e-5 * answer.largestGradient * gradScale;
  const [classStride, voxelStride] = layout === 'channels-last' ? [1, C] : [S, 1];
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const from = (n * C + c) * S;
      const at = n * C * S + c * classStride;
      for (let s = 0; s < S; s++) {
        const stored = data[at + s * voxelStride];
        const is = decode ? decode[stored] : stored;
        const right = answer.gradient[from + s] * gradScale;
        // Written so that NaN is a fault.
        if (!(Math.abs(is - right) <= allowed + (half ? ulp(right, half) / 2 : 0))) {
          return `gradient ${is} instead of ${right} at sample ${n}, class ${c}, voxel ${s}`;
        }
      }
    }
  }
  return undefined;
}

/** The number that each pattern of 16 bits stands for. */
const tableOf = (half: Half) =>
  Float64Array.from({ length: 65536 }, (_, bits) => decodeHalf(bits, half));
