// What the library computes, written as plainly as possible in float64. It is the judge of every other test, so it shares no
// code with lib/ or native/, and is itself checked against finite differences and numbers worked out by hand (reference.test.ts).
//
//   N samples, C classes, S voxels per sample; groups are the N samples, or one group when statistics are pooled over the batch.
//
//   1. probabilities  p = activation(predictions), and -log p from the logits
//   2. statistics     I = sum w p t    P = sum w p^k    T = sum w t^k         k = 2 squared, 1 linear; w may be the class's
//                     V = sum w t      W = sum w        E, U, F: cross-entropy, that of a uniform target, focal loss
//   3. losses, 4. value: reference-value.ts
//   5. gradient       d value / d statistics, then p's own derivatives, then the activation's
import { type LossName, partsOf, type Sums, sumNames, valueOfSums } from './reference-value.js';
import { activate, likelihoods, overlapOf, type Voxel } from './reference-voxel.js';
import { Variable } from './variable.js';

const { abs, exp, floor } = Math;

/** The options of a loss, with the defaults of the library. */
export interface ReferenceOptions {
  readonly activation?: 'none' | 'sigmoid' | 'softmax';
  readonly denominator?: 'squared' | 'linear';
  readonly overlap?: 'product' | 'minimum';
  readonly smoothNumerator?: number;
  readonly smoothDenominator?: number;
  readonly average?: 'macro' | 'micro' | 'multiclass';
  readonly smooth?: number;
  readonly lambda?: number;
  readonly delta?: number;
  readonly asymmetric?: boolean;
  readonly alpha?: number;
  readonly beta?: number;
  readonly transform?: 'none' | 'log' | 'log-cosh';
  readonly gamma?: number;
  readonly absent?: 'formula' | 'skip' | 'perfect' | 'worst';
  readonly weighting?: 'square' | 'simple' | 'uniform' | 'default' | 'GDL';
  readonly measuredFrom?: 'background' | 'largest';
  readonly distances?: readonly ArrayLike<number>[];
  readonly backgroundIndex?: number;
  readonly reduction?: 'none' | 'mean' | 'sum';
  readonly batch?: boolean;
  readonly background?: boolean;
  readonly classWeights?: ArrayLike<number>;
  readonly ignoreIndex?: number | readonly number[];
  readonly layout?: 'channels-first' | 'channels-last';
  readonly crossEntropy?: {
    readonly weight?: number;
    readonly labelSmoothing?: number;
    readonly classWeights?: ArrayLike<number>;
    readonly positiveWeight?: number | ArrayLike<number>;
  };
  readonly focal?: {
    readonly weight?: number;
    readonly gamma?: number;
    readonly alpha?: number | ArrayLike<number>;
  };
  readonly overlapWeight?: number;
}

export interface Problem {
  readonly loss: LossName;
  readonly N: number;
  readonly C: number;
  readonly S: number;
  /** Channels first [N, C, S], channels last [N, S, C]. */
  readonly predictions: ArrayLike<number>;
  /** A class per voxel, [N, S]. Give labels or dense. With C = 1 both mean the mask itself. */
  readonly labels?: ArrayLike<number | bigint> | undefined;
  /** A target per voxel and class, laid out as the predictions. */
  readonly dense?: ArrayLike<number> | undefined;
  /** A weight per voxel, [N, S], or per class and voxel, laid out as the predictions; 1 when absent. */
  readonly weight?: ArrayLike<number> | undefined;
  /** How often each class of each sample counts, [N, C]; once when absent. Of pooled sums: their weight. */
  readonly sampleClassWeight?: ArrayLike<number> | undefined;
  /** dL/dvalue for reduction 'none', in the shape of the value; 1 when absent. */
  readonly upstream?: ArrayLike<number> | undefined;
  /** Multiplies the gradient; 1 when absent. */
  readonly gradScale?: number | undefined;
  readonly options?: ReferenceOptions;
}

export interface Solution {
  /** One number for 'mean' and 'sum'; for 'none' see valueShape. */
  readonly value: Float64Array;
  /** [value, 3]: overlap, cross-entropy and focal loss. */
  readonly parts: Float64Array;
  /** [groups, C]: the loss of every class, counted or not, not weighted. */
  readonly perClass: Float64Array;
  /** [groups, C, 8]: I, P, T, V, W, E, U, F; the last three 0 where the options do not ask for them. */
  readonly statistics: Float64Array;
  /** Laid out as the predictions. */
  readonly gradient: Float64Array;
  /** d value / d dense target, laid out as the predictions; empty for labels. */
  readonly targetGradient: Float64Array;
}

export function reference(problem: Problem): Solution {
  const { loss, N, C, S, predictions, labels, dense, gradScale = 1 } = problem;
  const options = partsOf(loss, problem.options ?? {});
  const { activation = 'none', batch = false, ignoreIndex, layout, crossEntropy, focal } = options;
  const linear =
    ['tversky', 'generalized', 'unified'].includes(loss) || options.overlap === 'minimum';
  const { denominator = linear ? 'linear' : 'squared' } = options;
  const k = denominator === 'squared' && loss !== 'matthews' ? 2 : 1;
  const overlap = overlapOf(loss, options);
  const groups = batch ? 1 : N;
  const group = (n: number) => (batch ? 0 : n);

  // Where the number of (n, c, s) lies in the predictions, the dense target and the gradient.
  const at = (n: number, c: number, s: number) =>
    layout === 'channels-last' ? (n * S + s) * C + c : (n * C + c) * S + s;

  const pair = (i: number): number => problem.sampleClassWeight?.[i] ?? 1;
  const weights = problem.weight;
  const ofClasses = weights !== undefined && weights.length !== N * S;
  const marks = [ignoreIndex ?? []].flat() as readonly unknown[];

  // 1. Probabilities.
  const p = new Float64Array(N * C * S);
  const [logits, probabilities] = [new Float64Array(C), new Float64Array(C)];
  for (let n = 0; n < N; n++) {
    for (let s = 0; s < S; s++) {
      for (let c = 0; c < C; c++) logits[c] = predictions[at(n, c, s)] as number;
      activate(logits, activation, probabilities);
      for (let c = 0; c < C; c++) p[at(n, c, s)] = probabilities[c] as number;
    }
  }

  // What a voxel holds of every class; the arrays are used again. False where it does not count.
  const voxel: Voxel = {
    w: new Float64Array(C),
    z: new Float64Array(C),
    p: new Float64Array(C),
    t: new Float64Array(C),
  };
  const read = (n: number, s: number): boolean => {
    const i = n * S + s;
    const label = labels && Number(labels[i]);
    // What does not count has weight 0 and is then skipped, whatever else it holds.
    if (marks.length > 0 && marks.includes(C === 1 && dense ? dense[i] : label)) return false;
    let counts = false;
    for (let c = 0; c < C; c++) {
      const a = batch ? pair(n * C + c) : 1;
      const w = a * (weights?.[ofClasses ? at(n, c, s) : i] ?? 1);
      voxel.w[c] = w;
      if (w !== 0) counts = true;
    }
    if (!counts) return false;
    for (let c = 0; c < C; c++) {
      const j = at(n, c, s);
      voxel.z[c] = predictions[j] as number;
      voxel.p[c] = p[j] as number;
      if (dense) voxel.t[c] = dense[j] as number;
      else if (C === 1) voxel.t[c] = label as number;
      else voxel.t[c] = label === c ? 1 : 0;
    }
    return true;
  };

  // 2. Statistics.
  const sums = Array.from({ length: groups * C }, () => each(() => new Sum()));
  const entropies = crossEntropy || focal ? likelihoods(options) : undefined;
  for (let i = 0; i < N * S; i++) {
    const n = floor(i / S);
    if (!read(n, i % S)) continue;
    const { p, t } = voxel;
    const L = entropies?.(voxel);
    for (let c = 0; c < C; c++) {
      const w = voxel.w[c] as number;
      if (w === 0) continue;
      const tc = t[c] as number;
      const { I, P, T, V, W, E, U, F } = sums[group(n) * C + c] as Sums<Sum>;
      I.add(w * overlap.of(voxel, c));
      P.add(w * (p[c] as number) ** k);
      T.add(w * tc ** k);
      V.add(w * tc);
      W.add(w);
      if (crossEntropy && L) E.add(w * (L.crossEntropy[c] as number));
      if (crossEntropy?.labelSmoothing && L) U.add(w * (L.uniform[c] as number));
      if (focal && L) F.add(w * (L.focal[c] as number));
    }
  }
  const statistics = Float64Array.from(
    sums.flatMap((sum) => sumNames.map((name) => sum[name].total)),
  );

  // 3. and 4. Losses and value; then `slope` is what the value changes by when a sum does.
  const variables = sums.map((sum, i) => {
    const of: Sums<Variable> = each((name) => new Variable(sum[name].total));
    if (problem.sampleClassWeight) of.a = batch ? Number(of.W.value !== 0) : pair(i);
    return of;
  });
  const grouped = Array.from({ length: groups }, (_, g) => variables.slice(g * C, (g + 1) * C));
  const outcome = valueOfSums(loss, options, grouped, problem.upstream);
  const slopes = variables.map((sum) => each((name) => sum[name].slope));

  // 5. Gradient.
  const gradient = new Float64Array(N * C * S);
  const targetGradient = new Float64Array(dense ? N * C * S : 0);
  const dp = new Float64Array(C);
  const dI = new Float64Array(C);
  const mixes = activation === 'softmax' || loss === 'wasserstein'; // a class counts through others
  for (let i = 0; i < N * S; i++) {
    const [n, s] = [floor(i / S), i % S];
    if (!read(n, s)) continue;
    const { z, p, t } = voxel;
    const w = (c: number) => voxel.w[c] as number;
    const d = (c: number) => slopes[group(n) * C + c] as Sums<number>;
    for (let c = 0; c < C; c++) dI[c] = d(c).I;
    let mean = 0; // softmax only: sum over classes of p dL/dp
    for (let c = 0; c < C; c++) {
      const pc = p[c] as number;
      dp[c] = overlap.slope(voxel, dI, c) + w(c) * d(c).P * (k === 2 ? 2 * pc : 1);
      mean += pc * (dp[c] as number);
    }
    const L = entropies?.(voxel);
    for (let c = 0; c < C; c++) {
      const [pc, tc] = [p[c] as number, t[c] as number];
      let dz = dp[c] as number;
      // p (1 - p), where 1 - p is the sigmoid of -z, so that it keeps its digits near p = 1.
      if (activation === 'sigmoid') dz *= pc / (1 + exp(z[c] as number));
      if (activation === 'softmax') dz = pc * (dz - mean);
      for (let j = 0; L && j < C; j++) {
        const { E, U, F } = d(j);
        if (crossEntropy) dz += w(j) * (E * L.dCrossEntropy(j, c) + U * L.dUniform(j, c));
        if (focal) dz += w(j) * F * L.dFocal(j, c);
      }
      if (mixes || w(c) !== 0) gradient[at(n, c, s)] = gradScale * dz;
      if (!dense || w(c) === 0) continue;
      let dt = overlap.targetSlope(voxel, dI, c) + d(c).T * (k === 2 ? 2 * tc : 1) + d(c).V;
      // Of a class of weight 0 both slopes are 0, and the rest may be infinite.
      if (d(c).E !== 0 && L) dt += d(c).E * (L.crossEntropyPerTarget[c] as number);
      if (d(c).F !== 0 && L) dt += d(c).F * (L.focalPerTarget[c] as number);
      targetGradient[at(n, c, s)] = gradScale * w(c) * dt;
    }
  }
  return { ...outcome, statistics, gradient, targetGradient };
}

/** Something for each of the sums. (Object.fromEntries is ten times slower.) */
const each = <X>(make: (name: (typeof sumNames)[number]) => X): Sums<X> => ({
  I: make('I'),
  P: make('P'),
  T: make('T'),
  V: make('V'),
  W: make('W'),
  E: make('E'),
  U: make('U'),
  F: make('F'),
});

/** A sum that carries what rounding loses (Neumaier 1974), so that millions of terms add up as if they were a few. */
class Sum {
  #sum = 0;
  #lost = 0;
  add(x: number): void {
    const sum = this.#sum + x;
    this.#lost += abs(this.#sum) >= abs(x) ? this.#sum - sum + x : x - sum + this.#sum;
    this.#sum = sum;
  }
  get total(): number {
    return Number.isFinite(this.#sum) ? this.#sum + this.#lost : this.#sum; // what infinity loses is NaN
  }
}
