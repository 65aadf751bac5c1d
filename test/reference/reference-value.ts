// Steps 3 and 4 of the reference: from the sums of every group and class to the value. Only formulas; their derivatives come
// from variable.ts.
//
//   r   Dice (2I + sn) / (P + T + sd)          Jaccard (I + sn) / (P + T - I + sd)
//       Tversky TP = I, FP = P - I, FN = T - I: (TP + sn) / (TP + alpha FP + beta FN + sd)
//       generalized Dice, of a group: (2 sum_c k w I + sn) / (sum_c k w (P + T) + sd), w = 1/V^2, 1/V, 1
//       Wasserstein, of a group: (2A + sn) / (2A + sum_c I + sd), A = sum_c k (D V - I), c not b, D = M[c][b] or max M;
//       GDL: (2A + sn) / (2A + sum_c u I + sd), A = sum_c u (D V - I) with u = k / (V + 1), all c
//       Matthews, each count plus s: (TP TN - FP FN) / sqrt((TP + FP)(TN + FN)(TP + FN)(TN + FP)); of the sums over the classes
//       (micro); or numerators and both factors of the root added up over the classes (multiclass)
//       Unified Focal: Tversky with alpha = 1 - delta, beta = delta; cross-entropy and focal loss have factors of classes, and
//       divide by the voxels
//       Without a denominator, and without smoothing, nothing is left to compare: r counts as 0.
//   L   (1 - r)^(1/gamma), (-log r)^gamma or log cosh(1 - r)
//   value   overlapWeight * L reduced + weight * cross-entropy + weight * focal
import type { ReferenceOptions } from './reference.js';
import {
  applied,
  backward,
  difference,
  product,
  quotient,
  sum,
  type Variable,
} from './variable.js';

/** What the loss of a class, or of a group, is. */
export type LossName =
  | 'dice'
  | 'jaccard'
  | 'tversky'
  | 'generalized'
  | 'wasserstein'
  | 'matthews'
  | 'unified';

/** The sums of one group and class, in the order of the library. */
export const sumNames = ['I', 'P', 'T', 'V', 'W', 'E', 'U', 'F'] as const;
/** a: how often the class of this group counts, once if it is not given. */
export type Sums<X> = Record<(typeof sumNames)[number], X> & { a?: number };

export interface Value {
  value: Float64Array;
  /** [value, 3]: overlap, cross-entropy, focal. */
  parts: Float64Array;
  perClass: Float64Array;
}

const sumsOverClasses = (loss: LossName, { average = 'macro' }: ReferenceOptions) =>
  loss === 'generalized' || loss === 'wasserstein' || (loss === 'matthews' && average !== 'macro');

/** The options of the Unified Focal loss as those of its parts; of other losses as they are. */
export function partsOf(loss: LossName, options: ReferenceOptions): ReferenceOptions {
  if (loss !== 'unified') return options;
  const { lambda = 0.5, delta = 0.6, gamma = 0.5, asymmetric = true } = options;
  return {
    ...options,
    delta,
    gamma,
    asymmetric,
    alpha: 1 - delta,
    beta: delta,
    overlapWeight: 1 - lambda,
    ...(lambda > 0 && { focal: { gamma, weight: lambda } }),
    ...(lambda > 0 && asymmetric && { crossEntropy: { weight: lambda } }),
  };
}

/** One number per group for `'none'`, instead of one per group and class. */
const isPerGroup = (loss: LossName, options: ReferenceOptions): boolean =>
  sumsOverClasses(loss, options) ||
  options.crossEntropy !== undefined ||
  options.focal !== undefined;

/** The shape of the value. */
export function valueShape(loss: LossName, given: ReferenceOptions, N: number, C: number) {
  const options = partsOf(loss, given);
  if (options.reduction !== 'none') return [];
  return [...(options.batch ? [] : [N]), ...(isPerGroup(loss, options) ? [] : [C])];
}

/** The value, and in the slopes of the sums what it (times upstream) changes by when they do. */
export function valueOfSums(
  loss: LossName,
  options: ReferenceOptions,
  groups: readonly (readonly Sums<Variable>[])[],
  upstream: ArrayLike<number> | undefined,
): Value {
  const { reduction = 'mean', overlapWeight = 1, crossEntropy, focal } = options;
  const scopes = reduction === 'none' ? groups.map((group) => [group]) : [groups];
  const perGroup = isPerGroup(loss, options);
  const value: Variable[] = [];
  const parts: Variable[] = [];
  for (const scope of scopes) {
    const overlaps = overlapOf(loss, options, scope, perGroup);
    for (const overlap of overlaps) {
      const ce = crossEntropy ? crossEntropyOf(loss, options, scope) : sum();
      const fl = focal ? focalOf(loss, options, scope) : sum();
      parts.push(overlap, ce, fl);
      value.push(
        sum(
          product(overlapWeight, overlap),
          product(crossEntropy?.weight ?? 1, ce),
          product(focal?.weight ?? 1, fl),
        ),
      );
    }
  }
  value.forEach((x, i) => {
    backward(x, reduction === 'none' && upstream ? (upstream[i] as number) : 1);
  });
  const perClass = groups.flatMap((group) => {
    if (!sumsOverClasses(loss, options))
      return group.map((_, c) => lossOf(loss, options, group, c).value);
    return new Array<number>(group.length).fill(lossOf(loss, options, group, 0).value);
  });
  const numbers = (list: Variable[]) => Float64Array.from(list, (x) => x.value);
  return { value: numbers(value), parts: numbers(parts), perClass: Float64Array.from(perClass) };
}

/** The overlap losses of these groups, weighted and reduced; of one group with 'none' all its classes. */
function overlapOf(
  loss: LossName,
  options: ReferenceOptions,
  scope: readonly (readonly Sums<Variable>[])[],
  perGroup: boolean,
): Variable[] {
  const { reduction = 'mean', classWeights } = options;
  const losses: { term: Variable; isCounted: boolean; a: number }[] = scope.flatMap((group) =>
    sumsOverClasses(loss, options)
      ? [
          {
            term: lossOf(loss, options, group, 0),
            isCounted: group.some((sums, c) => isCounted(loss, options, sums, c)),
            a: 1,
          },
        ]
      : group.map((sums, c) => ({
          term: product(weightOf(classWeights, sums, c), lossOf(loss, options, group, c)),
          isCounted: isCounted(loss, options, sums, c),
          a: sums.a ?? 1,
        })),
  );
  if (reduction === 'none' && !perGroup) {
    return losses.map(({ term, isCounted }) => (isCounted ? term : sum()));
  }
  const counted = losses.filter(({ isCounted }) => isCounted);
  const total = sum(...counted.map(({ term }) => term));
  if (reduction === 'sum') return [total];
  const times = counted.reduce((all, { a }) => all + a, 0);
  return [times === 0 ? sum() : quotient(total, times)];
}

/** The weight of a class, as often as it counts. */
const weightOf = (weights: ArrayLike<number> | undefined, { a = 1 }: { a?: number }, c: number) =>
  a * (weights?.[c] ?? 1);

function isCounted(
  loss: LossName,
  { background = true, ...options }: ReferenceOptions,
  { V, a }: Sums<Variable>,
  c: number,
): boolean {
  if (a === 0) return false;
  if (loss === 'wasserstein') return true;
  return (background || c > 0) && !(absentOf(loss, options) === 'skip' && V.value === 0);
}

const absentOf = (loss: LossName, { absent, transform }: ReferenceOptions) =>
  absent ?? (transform === 'log' && loss !== 'generalized' ? 'skip' : 'formula');

/** L of class c of a group, or of the group. */
function lossOf(
  loss: LossName,
  options: ReferenceOptions,
  group: readonly Sums<Variable>[],
  c: number,
): Variable {
  const {
    smoothNumerator: sn = 0,
    smoothDenominator: sd = 1e-7,
    alpha = 0.5,
    beta = 0.5,
  } = options;
  const { I, P, T, V } = group[c] as Sums<Variable>;
  if (loss === 'generalized') {
    const ratio = generalized(options, group);
    return ratio ? transformed(options, ratio) : sum();
  }
  if (loss === 'wasserstein') return transformed(options, wasserstein(options, group));
  if (sumsOverClasses(loss, options)) return matthewsOfGroup(options, group);
  const absent = absentOf(loss, options);
  if (V.value === 0 && absent === 'perfect') return sum();
  if (V.value === 0 && absent === 'worst') return sum(1);
  if (loss === 'matthews')
    return transformed(options, correlation([tableOf(options, group[c] as Sums<Variable>)]));
  if (loss === 'dice') {
    return transformed(options, ratio(sum(product(2, I), sn), sum(P, T, sd)));
  }
  if (loss === 'jaccard') {
    return transformed(options, ratio(sum(I, sn), sum(difference(sum(P, T), I), sd)));
  }
  const [TP, FP, FN] = [I, difference(P, I), difference(T, I)];
  const r = ratio(sum(TP, sn), sum(TP, product(alpha, FP), product(beta, FN), sd));
  if (loss !== 'unified') return transformed(options, r);
  const enhanced = c > 0 || !options.asymmetric;
  return transformed({ gamma: enhanced ? 1 / (1 - (options.gamma as number)) : 1 }, r);
}

/** A, X and Y of Matthews' correlation. */
interface Table {
  A: Variable;
  X: Variable;
  Y: Variable;
}

function tableOf({ smooth: s = 0 }: ReferenceOptions, { I, P, T, W }: Sums<Variable>): Table {
  const TP = sum(I, s);
  const FP = sum(difference(P, I), s);
  const FN = sum(difference(T, I), s);
  const TN = sum(difference(difference(W, P), difference(T, I)), s);
  return {
    A: difference(product(TP, TN), product(FP, FN)),
    X: product(sum(TP, FP), sum(TN, FN)),
    Y: product(sum(TP, FN), sum(TN, FP)),
  };
}

function correlation(tables: readonly Table[]): Variable {
  const root = (x: Variable) => {
    const value = Math.sqrt(Math.max(x.value, 0));
    return applied(x, value, value === 0 ? 0 : 0.5 / value);
  };
  const X = root(sum(...tables.map(({ X }) => X)));
  const Y = root(sum(...tables.map(({ Y }) => Y)));
  return ratio(sum(...tables.map(({ A }) => A)), product(X, Y));
}

function matthewsOfGroup(options: ReferenceOptions, group: readonly Sums<Variable>[]): Variable {
  const counted = group.flatMap((sums, c) => {
    const k = weightOf(options.classWeights, sums, c);
    return isCounted('matthews', options, sums, c) ? [{ sums, k }] : [];
  });
  if (counted.length === 0) return sum();
  if (options.average === 'micro') {
    const total = (name: 'I' | 'P' | 'T' | 'W') =>
      sum(...counted.map(({ sums, k }) => product(k, sums[name])));
    const all = { I: total('I'), P: total('P'), T: total('T'), W: total('W') };
    return transformed(options, correlation([tableOf(options, all as Sums<Variable>)]));
  }
  const tables = counted.map(({ sums, k }) => {
    const { A, X, Y } = tableOf(options, sums);
    return { A: product(k, A), X: product(k, X), Y: product(k, Y) };
  });
  return transformed(options, correlation(tables));
}

/** r; 0, whatever the sums do, where there is nothing to divide by. */
const ratio = (above: Variable, below: Variable): Variable =>
  Math.abs(below.value) < 1e-30 ? sum() : quotient(above, below);

function generalized(
  options: ReferenceOptions,
  group: readonly Sums<Variable>[],
): Variable | undefined {
  const { smoothNumerator: sn = 0, smoothDenominator: sd = 1e-7, classWeights } = options;
  const counted = group.flatMap((sums, c) =>
    isCounted('generalized', options, sums, c)
      ? [{ ...sums, k: weightOf(classWeights, sums, c) }]
      : [],
  );
  if (counted.length === 0) return undefined;
  const present = counted.filter(({ V }) => V.value > 0);
  const weights = present.map(({ V }) => volumeWeight(options, V));
  const most = Math.max(...weights.map((w) => w.value));
  const ties = weights.filter((w) => w.value === most);
  const heaviest = ties.length === 0 ? 1 : quotient(sum(...ties), ties.length); // each moves it by its part
  const terms = counted
    .filter(({ k }) => k !== 0)
    .map((sums) => {
      const w = sums.V.value > 0 ? (weights[present.indexOf(sums)] as Variable) : heaviest;
      return { ...sums, w: product(sums.k, w) };
    });
  return ratio(
    sum(...terms.map(({ w, I }) => product(2, product(w, I))), sn),
    sum(...terms.map(({ w, P, T }) => product(w, sum(P, T))), sd),
  );
}

function volumeWeight({ weighting = 'square' }: ReferenceOptions, V: Variable): Variable {
  const volume = V.value < 1 ? 1 : V;
  if (weighting === 'uniform') return sum(1);
  return quotient(1, weighting === 'simple' ? volume : product(volume, volume));
}

function wasserstein(options: ReferenceOptions, group: readonly Sums<Variable>[]): Variable {
  const { smoothNumerator: sn = 0, smoothDenominator: sd = 1e-7, classWeights } = options;
  const { distances = [], backgroundIndex: b = 0, weighting, measuredFrom } = options;
  const largest = Math.max(...distances.flatMap((row) => Array.from(row)));
  const all = weighting === 'GDL';
  const terms = group.map(({ I, V }, c) => {
    const toBackground = (distances[c] as ArrayLike<number>)[b] as number;
    const D = all || measuredFrom === 'largest' ? largest : toBackground;
    const k = classWeights?.[c] ?? 1;
    const u = all ? quotient(k, sum(V, 1)) : 1;
    const found = c === b && !all ? 0 : product(all ? u : k, difference(product(D, V), I));
    return { found, error: product(u, I) };
  });
  const A = sum(...terms.map(({ found }) => found));
  const errors = sum(...terms.map(({ error }) => error));
  return ratio(sum(product(2, A), sn), sum(product(2, A), errors, sd));
}

function transformed(options: ReferenceOptions, r: Variable): Variable {
  const { transform = 'none', gamma = 1 } = options;
  const x = 1 - r.value;
  if (transform === 'log-cosh') {
    return applied(r, Math.log1p(2 * Math.sinh(x / 2) ** 2), -Math.tanh(x));
  }
  if (transform === 'log') {
    if (r.value >= 1) return sum();
    const clamped = r.value < 1e-12;
    const l = -Math.log(clamped ? 1e-12 : r.value);
    return applied(r, l ** gamma, clamped ? 0 : (-gamma * l ** (gamma - 1)) / r.value);
  }
  if (gamma === 1) return difference(1, r);
  if (x <= 0) return sum();
  return applied(r, x ** (1 / gamma), (-1 / gamma) * x ** (1 / gamma - 1));
}

/** The sum of a part of the Unified Focal loss, whose classes have these factors, over the voxels. */
function unifiedPart(
  options: ReferenceOptions,
  scope: readonly (readonly Sums<Variable>[])[],
  name: 'E' | 'F',
  [ofFirst, ofOthers]: readonly [number, number],
): Variable {
  const all = scope.flatMap((group) =>
    group.map((sums, c) => {
      const k = weightOf(options.classWeights, sums, c) * (c === 0 ? ofFirst : ofOthers);
      const W = product(sums.a ?? 1, quotient(sums.W, group.length));
      return { term: product(k, sums[name]), W };
    }),
  );
  return averaged(options, sum(...all.map(({ term }) => term)), sum(...all.map(({ W }) => W)));
}

function crossEntropyOf(
  loss: LossName,
  options: ReferenceOptions,
  scope: readonly (readonly Sums<Variable>[])[],
): Variable {
  if (loss === 'unified') return unifiedPart(options, scope, 'E', [0, options.delta as number]);
  const { activation, classWeights, crossEntropy } = options;
  const s = crossEntropy?.labelSmoothing ?? 0;
  const weights = crossEntropy?.classWeights ?? classWeights;
  const all = scope.flatMap((group) =>
    group.map((sums, c) => ({ ...sums, k: weightOf(weights, sums, c), C: group.length })),
  );
  const total = sum(
    ...all.map(({ E, U, k, C }) => {
      const share = activation === 'sigmoid' ? s : s / C;
      return product(k, sum(product(1 - s, E), product(share, U)));
    }),
  );
  return averaged(
    options,
    total,
    sum(...all.map(({ V, W, k }) => product(k, activation === 'sigmoid' ? W : V))),
  );
}

function focalOf(
  loss: LossName,
  options: ReferenceOptions,
  scope: readonly (readonly Sums<Variable>[])[],
): Variable {
  if (loss === 'unified') {
    const delta = options.delta as number;
    return unifiedPart(options, scope, 'F', [1 - delta, options.asymmetric ? 0 : delta]);
  }
  const all = scope.flatMap((group) =>
    group.map((sums, c) => ({ ...sums, k: weightOf(options.classWeights, sums, c) })),
  );
  return averaged(
    options,
    sum(...all.map(({ F, k }) => product(k, F))),
    sum(...all.map(({ W, k }) => product(k, W))),
  );
}

function averaged({ reduction }: ReferenceOptions, total: Variable, by: Variable): Variable {
  if (reduction === 'sum') return total;
  return by.value === 0 ? sum() : quotient(total, by);
}
