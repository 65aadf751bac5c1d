// What the library computes, written as plainly as possible in float64. It is the judge of every other test, so it shares no
// code with lib/ or native/, and is itself checked against finite differences and numbers worked out by hand (reference.test.ts).
//
//   N samples, C classes, S voxels per sample; groups are the N samples, or one group when statistics are pooled over the batch.
//
//   1. probabilities  p = activation(predictions)
//   2. statistics     I = sum w p t    P = sum w p^k    T = sum w t^k         k = 2 squared, 1 linear
//   3. losses         Dice 1 - (2I + sn) / (P + T + sd)     Jaccard 1 - (I + sn) / (P + T - I + sd)
//   4. value          the losses of the counted classes, weighted and reduced
//   5. gradient       dL/dI and dL/dP, then p's own derivatives, then the activation's

const { abs, exp, max } = Math; // looked up once: under Jest a global costs 100 ns

/** The options of a loss, with the defaults of the library. */
export interface ReferenceOptions {
  readonly activation?: 'none' | 'sigmoid' | 'softmax';
  readonly denominator?: 'squared' | 'linear';
  readonly smoothNumerator?: number;
  readonly smoothDenominator?: number;
  readonly reduction?: 'none' | 'mean' | 'sum';
  readonly batch?: boolean;
  readonly background?: boolean;
  readonly classWeights?: ArrayLike<number>;
  readonly ignoreIndex?: number;
  readonly layout?: 'channels-first' | 'channels-last';
}

export interface Problem {
  readonly loss: 'dice' | 'jaccard';
  readonly N: number;
  readonly C: number;
  readonly S: number;
  /** Channels first [N, C, S], channels last [N, S, C]. */
  readonly predictions: ArrayLike<number>;
  /** A class per voxel, [N, S]. Give labels or dense. With C = 1 both mean the mask itself. */
  readonly labels?: ArrayLike<number | bigint> | undefined;
  /** A target per voxel and class, laid out as the predictions. */
  readonly dense?: ArrayLike<number> | undefined;
  /** A weight per voxel, [N, S]; 1 when absent. */
  readonly weight?: ArrayLike<number> | undefined;
  /** dL/dvalue for reduction 'none', [groups, C]; 1 when absent. */
  readonly upstream?: ArrayLike<number> | undefined;
  /** Multiplies the gradient; 1 when absent. */
  readonly gradScale?: number | undefined;
  readonly options?: ReferenceOptions;
}

export interface Solution {
  /** One number for 'mean' and 'sum', [groups, C] for 'none'. */
  readonly value: Float64Array;
  /** [groups, C]: the loss of every class, counted or not, not weighted. */
  readonly perClass: Float64Array;
  /** [groups, C, 3]: I, P, T. */
  readonly statistics: Float64Array;
  /** Laid out as the predictions. */
  readonly gradient: Float64Array;
}

export function reference(problem: Problem): Solution {
  const {
    loss,
    N,
    C,
    S,
    predictions,
    labels,
    dense,
    upstream,
    gradScale = 1,
    options = {},
  } = problem;
  const {
    activation = 'none',
    denominator = 'squared',
    smoothNumerator: sn = 0,
    smoothDenominator: sd = 1e-7,
    reduction = 'mean',
    batch = false,
    background = true,
    classWeights,
    ignoreIndex,
    layout = 'channels-first',
  } = options;
  const k = denominator === 'squared' ? 2 : 1;
  const groups = batch ? 1 : N;
  const group = (n: number) => (batch ? 0 : n);

  // Where the number of (n, c, s) lies in the predictions, the dense target and the gradient.
  const at = (n: number, c: number, s: number) =>
    layout === 'channels-first' ? (n * C + c) * S + s : (n * S + s) * C + c;

  // The target of a class at a voxel.
  const target = (n: number, c: number, s: number): number => {
    if (dense) return dense[at(n, c, s)] as number;
    const label = toNumber(labels?.[n * S + s]);
    if (C === 1) return label;
    return label === c ? 1 : 0;
  };

  // The weight of a voxel; a voxel that does not count has weight 0 and is then skipped, whatever else it holds.
  const weight = (n: number, s: number): number => {
    const mark = C === 1 ? target(n, 0, s) : toNumber(labels?.[n * S + s]);
    if (ignoreIndex !== undefined && mark === ignoreIndex) return 0;
    return problem.weight ? (problem.weight[n * S + s] as number) : 1;
  };

  // 1. Probabilities.
  const p = new Float64Array(N * C * S);
  const logits = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    for (let s = 0; s < S; s++) {
      for (let c = 0; c < C; c++) logits[c] = predictions[at(n, c, s)] as number;
      const probabilities = activate(logits, activation);
      for (let c = 0; c < C; c++) p[at(n, c, s)] = probabilities[c] as number;
    }
  }

  // 2. Statistics.
  const sums = Array.from({ length: groups * C }, () => ({
    I: new Sum(),
    P: new Sum(),
    T: new Sum(),
  }));
  for (let n = 0; n < N; n++) {
    for (let s = 0; s < S; s++) {
      const w = weight(n, s);
      if (w === 0) continue;
      for (let c = 0; c < C; c++) {
        const pc = p[at(n, c, s)] as number;
        const tc = target(n, c, s);
        const sum = sums[group(n) * C + c] as { I: Sum; P: Sum; T: Sum };
        sum.I.add(w * pc * tc);
        sum.P.add(w * pc ** k);
        sum.T.add(w * tc ** k);
      }
    }
  }
  const statistics = Float64Array.from(sums.flatMap(({ I, P, T }) => [I.total, P.total, T.total]));

  // 3. Losses, and what each changes by when I or P does.
  const perClass = new Float64Array(groups * C);
  const dI = new Float64Array(groups * C);
  const dP = new Float64Array(groups * C);
  for (let i = 0; i < groups * C; i++) {
    const [I, P, T] = statistics.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
    if (loss === 'dice') {
      const numerator = 2 * I + sn;
      const D = P + T + sd;
      perClass[i] = 1 - numerator / D;
      dI[i] = -2 / D;
      dP[i] = numerator / D ** 2;
    } else {
      const numerator = I + sn;
      const U = P + T - I + sd;
      perClass[i] = 1 - numerator / U;
      dI[i] = -1 / U - numerator / U ** 2; // the second term: I also lowers the union U
      dP[i] = numerator / U ** 2;
    }
  }

  // 4. Value, and what it changes by when the loss of a class does.
  const counted = (c: number) => background || c > 0;
  const count = groups * (background ? C : C - 1);
  const value = new Float64Array(reduction === 'none' ? groups * C : 1);
  const dL = new Float64Array(groups * C);
  const total = new Sum();
  for (let g = 0; g < groups; g++) {
    for (let c = 0; c < C; c++) {
      if (!counted(c)) continue;
      const i = g * C + c;
      const classWeight = classWeights ? (classWeights[c] as number) : 1;
      const weighted = classWeight * (perClass[i] as number);
      total.add(weighted);
      if (reduction === 'none') {
        value[i] = weighted;
        dL[i] = classWeight * (upstream ? (upstream[i] as number) : 1);
      } else {
        dL[i] = reduction === 'mean' ? classWeight / count : classWeight;
      }
    }
  }
  if (reduction === 'sum') value[0] = total.total;
  if (reduction === 'mean') value[0] = count === 0 ? 0 : total.total / count;

  // 5. Gradient.
  const gradient = new Float64Array(N * C * S);
  const dp = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    for (let s = 0; s < S; s++) {
      const w = weight(n, s);
      if (w === 0) continue;
      let mean = 0; // softmax only: sum over classes of p dL/dp
      for (let c = 0; c < C; c++) {
        const i = group(n) * C + c;
        const pc = p[at(n, c, s)] as number;
        const power = k === 2 ? 2 * pc : 1;
        dp[c] =
          (dL[i] as number) * w * ((dI[i] as number) * target(n, c, s) + (dP[i] as number) * power);
        mean += pc * (dp[c] as number);
      }
      for (let c = 0; c < C; c++) {
        const pc = p[at(n, c, s)] as number;
        let dz = dp[c] as number;
        // p (1 - p), where 1 - p is the sigmoid of -z, so that it keeps its digits near p = 1.
        if (activation === 'sigmoid') dz *= pc / (1 + exp(predictions[at(n, c, s)] as number));
        if (activation === 'softmax') dz = pc * (dz - mean);
        gradient[at(n, c, s)] = gradScale * dz;
      }
    }
  }
  return { value, perClass, statistics, gradient };
}

const toNumber = (x: number | bigint | undefined): number =>
  typeof x === 'bigint' ? Number(x) : (x as number);

/** The probabilities of one voxel's classes. */
function activate(z: Float64Array, activation: 'none' | 'sigmoid' | 'softmax'): Float64Array {
  if (activation === 'none') return z;
  if (activation === 'sigmoid') return z.map((x) => 1 / (1 + exp(-x)));
  const largest = z.reduce((a, b) => max(a, b)); // NaN if any is
  const e = z.map((x) => exp(x - largest)); // +inf and all -inf: inf - inf = NaN
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((x) => x / sum);
}

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
    return this.#sum + this.#lost;
  }
}
