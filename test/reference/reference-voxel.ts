// What one voxel says in the reference: its probabilities, the overlap of each class, cross-entropy and focal loss, and their
// derivatives.
import type { ReferenceOptions } from './reference.js';
import type { LossName } from './reference-value.js';

const { abs, exp, expm1, log, log1p, max, min } = Math;

/** Weights, predictions, probabilities and target of the classes of one voxel. */
export interface Voxel {
  w: Float64Array;
  z: Float64Array;
  p: Float64Array;
  t: Float64Array;
}

const at = (x: Float64Array, c: number) => x[c] as number;

/** The overlap of class c at a voxel, and what the loss changes by, through the overlaps of all classes. */
interface Overlap {
  of: (voxel: Voxel, c: number) => number;
  /** d loss / d p_c, given d loss / d I, with the weights of the classes whose I it changes. */
  slope: (voxel: Voxel, dI: Float64Array, c: number) => number;
  /** d loss / d t_c. */
  targetSlope: (voxel: Voxel, dI: Float64Array, c: number) => number;
}

export function overlapOf(loss: LossName, { overlap, distances = [] }: ReferenceOptions): Overlap {
  const M = (c: number, j: number) => (distances[c] as ArrayLike<number>)[j] as number;
  if (loss === 'wasserstein') {
    const distance = (p: Float64Array, c: number) =>
      p.reduce((sum, pj, j) => sum + M(c, j) * pj, 0);
    return {
      of: ({ p, t }, c) => (t[c] as number) * distance(p, c),
      slope: ({ w, t }, dI, c) =>
        t.reduce((sum, tj, j) => sum + (w[j] as number) * (dI[j] as number) * tj * M(j, c), 0),
      targetSlope: ({ p }, dI, c) => (dI[c] as number) * distance(p, c),
    };
  }
  if (overlap === 'minimum') {
    const less = (a: number, b: number) => (a < b ? 1 : a === b ? b : 0);
    return {
      of: ({ p, t }, c) => min(p[c] as number, t[c] as number),
      slope: ({ w, p, t }, dI, c) =>
        (w[c] as number) * (dI[c] as number) * less(p[c] as number, t[c] as number),
      targetSlope: ({ p, t }, dI, c) => (dI[c] as number) * less(t[c] as number, p[c] as number),
    };
  }
  return {
    of: ({ p, t }, c) => (p[c] as number) * (t[c] as number),
    slope: ({ w, t }, dI, c) => (w[c] as number) * (dI[c] as number) * (t[c] as number),
    targetSlope: ({ p }, dI, c) => (dI[c] as number) * (p[c] as number),
  };
}

/** Cross-entropy and focal loss of every class at a voxel. d...(j, c): of class j with respect to z_c. */
interface Likelihoods {
  crossEntropy: Float64Array;
  uniform: Float64Array;
  focal: Float64Array;
  crossEntropyPerTarget: Float64Array;
  focalPerTarget: Float64Array;
  dCrossEntropy: (j: number, c: number) => number;
  dUniform: (j: number, c: number) => number;
  dFocal: (j: number, c: number) => number;
}

/** The numbers of class c that are factors of some terms. */
interface Factors {
  gamma: number;
  /** Of the term of t in the binary cross-entropy. */
  positive: (c: number) => number;
  /** Of the terms of t and 1 - t in the focal loss. */
  alpha: (c: number) => number;
  rest: (c: number) => number;
}

export function likelihoods({
  activation,
  crossEntropy,
  focal,
}: ReferenceOptions): (voxel: Voxel) => Likelihoods {
  const of = (numbers: number | ArrayLike<number> | undefined, c: number) =>
    typeof numbers === 'object' ? (numbers[c] as number) : (numbers ?? 1);
  const alpha = focal?.alpha;
  const factors: Factors = {
    gamma: focal?.gamma ?? 2,
    positive: (c) => of(crossEntropy?.positiveWeight, c),
    alpha: (c) => of(alpha, c),
    rest: (c) => (alpha === undefined ? 1 : 1 - of(alpha, c)),
  };
  return activation === 'softmax'
    ? (voxel) => categorical(voxel, factors)
    : (voxel) => binary(voxel, factors);
}

/** l = -log p by the log-sum-exp; 1 - p = 1 - e^-l. */
function categorical({ z, p, t }: Voxel, { gamma, alpha }: Factors): Likelihoods {
  const largest = z.reduce((a, b) => max(a, b));
  const lse = largest + log(z.reduce((sum, x) => sum + exp(x - largest), 0));
  const l = z.map((x) => lse - x);
  const rest = l.map((x) => -expm1(-x));
  const times = (tc: number, x: number) => (tc === 0 ? 0 : tc * x); // no class, no loss, even if l is infinite
  const perTarget = l.map((x, c) => times(alpha(c) * at(rest, c) ** gamma, x));
  const dl = (j: number, c: number) => at(p, c) - (j === c ? 1 : 0);
  return {
    crossEntropy: t.map((tc, c) => times(tc, at(l, c))),
    uniform: l,
    focal: t.map((tc, c) => times(tc, at(perTarget, c))),
    crossEntropyPerTarget: l,
    focalPerTarget: perTarget,
    dCrossEntropy: (j, c) => at(t, j) * dl(j, c),
    dUniform: dl,
    dFocal: (j, c) => {
      const [pj, q] = [at(p, j), at(rest, j)];
      if (at(t, j) === 0 || q === 0) return gamma === 0 ? alpha(j) * at(t, j) * dl(j, c) : 0;
      // d (q^gamma l) = q^gamma dl + gamma q^(gamma-1) l dq, and dq = p dl.
      const growth = pj === 0 ? 0 : gamma * q ** (gamma - 1) * at(l, j) * pj;
      return alpha(j) * at(t, j) * dl(j, c) * (q ** gamma + growth);
    },
  };
}

/** Each class on its own: -log p = log(1 + e^-z), -log(1 - p) = log(1 + e^z). */
function binary({ z, p, t }: Voxel, { gamma, positive, alpha, rest: other }: Factors): Likelihoods {
  const softplus = (x: number) => max(x, 0) + log1p(exp(-abs(x)));
  const times = (a: number, b: number) => (a === 0 ? 0 : a * b);
  const [yes, no] = [z.map((x) => softplus(-x)), z.map(softplus)];
  const rest = z.map((x) => 1 / (1 + exp(x)));
  const found = yes.map((l, c) => times(positive(c), l));
  const focalYes = yes.map((l, c) => times(alpha(c) * at(rest, c) ** gamma, l));
  const focalNo = no.map((l, c) => times(other(c) * at(p, c) ** gamma, l));
  const own = (f: (c: number) => number) => (j: number, c: number) => (j === c ? f(c) : 0);
  const mixed = (a: Float64Array, b: Float64Array) =>
    t.map((tc, c) => times(tc, at(a, c)) + times(1 - tc, at(b, c)));
  return {
    crossEntropy: mixed(found, no),
    uniform: found.map((l, c) => (l + at(no, c)) / 2),
    focal: mixed(focalYes, focalNo),
    crossEntropyPerTarget: z.map((x, c) => (positive(c) === 1 ? -x : at(found, c) - at(no, c))),
    focalPerTarget: focalYes.map((l, c) => l - at(focalNo, c)),
    // p - t, with its digits, where positive is 1.
    dCrossEntropy: own((c) => (1 - at(t, c)) * at(p, c) - positive(c) * at(t, c) * at(rest, c)),
    dUniform: own((c) => (at(p, c) - positive(c) * at(rest, c)) / 2),
    dFocal: own((c) => {
      const [pc, qc, tc] = [at(p, c), at(rest, c), at(t, c)];
      const up = qc ** (gamma + 1) + gamma * times(pc * qc ** gamma, at(yes, c));
      const down = pc ** (gamma + 1) + gamma * times(qc * pc ** gamma, at(no, c));
      return other(c) * (1 - tc) * down - alpha(c) * tc * up;
    }),
  };
}

/** Writes the probabilities of one voxel's classes. */
export function activate(
  z: Float64Array,
  activation: 'none' | 'sigmoid' | 'softmax',
  to: Float64Array,
): void {
  const C = z.length;
  if (activation === 'none') to.set(z);
  if (activation === 'sigmoid') for (let c = 0; c < C; c++) to[c] = 1 / (1 + exp(-at(z, c)));
  if (activation !== 'softmax') return;
  let [largest, sum] = [-Infinity, 0];
  for (let c = 0; c < C; c++) largest = max(largest, at(z, c)); // NaN if any is
  for (let c = 0; c < C; c++) {
    to[c] = exp(at(z, c) - largest); // +inf and all -inf: inf - inf = NaN
    sum += at(to, c);
  }
  for (let c = 0; c < C; c++) to[c] = at(to, c) / sum;
}
