// Cases for the metrics, and what is to be counted in them: voxel by voxel, the slow and obvious way.
import { expect } from '@jest/globals';
import { type MetricsOptions, SegmentationMetrics, type Tensor } from '../../lib/index.js';
import { Random } from './random.js';
import { type FloatDType, type Typed, tensor } from './tensors.js';

export interface Sample {
  tp: number;
  fp: number;
  fn: number;
  tn: number;
}

export interface Case {
  N: number;
  C: number;
  S: number;
  last: boolean;
  decision: 'argmax' | 'threshold' | 'labels';
  dense: boolean;
  dtype: FloatDType;
  labelDtype: 'uint8' | 'int32' | 'int64';
  /** 'classes': each class of a voxel has a weight of its own. */
  weighted: boolean | 'classes';
  ignoreIndex?: number;
  NaNs: boolean;
}

/** Classes of a voxel, decided the slow and obvious way. */
function chosen(values: number[], decision: Case['decision'], threshold: number): boolean[] {
  if (decision === 'threshold') return values.map((value) => value > threshold);
  const largest = Math.max(...values); // NaN when one is
  const first = values.indexOf(largest);
  return values.map((_, c) => c === first);
}

/** Random predictions and target of a case, and what is to be counted. */
export function make(k: Case, seed = 1) {
  const { N, C, S } = k;
  const random = new Random(seed);
  const at = (n: number, c: number, s: number) =>
    k.last ? (n * S + s) * C + c : (n * C + c) * S + s;
  const shape = k.last ? [N, S, C] : [N, C, S];
  // A grid of values, so that ties are common: of logits or, for the threshold 0.5, of probabilities.
  const logits = k.decision !== 'threshold';
  const values = random.array(N * C * S, () => {
    const value = (random.integer(9) - 3) / 4;
    return logits ? value : Math.min(Math.max(value, 0), 1);
  });
  if (k.NaNs) {
    for (let i = 0; logits && i < values.length; i += 7) values[i] = i % 2 ? Infinity : -Infinity;
    for (let i = 0; i < values.length; i += 13) values[i] = Number.NaN;
  }
  const predictions =
    k.decision === 'labels'
      ? tensor(
          random.array(N * S, () => random.integer(Math.max(C, 2))),
          [N, S],
          k.labelDtype,
        )
      : tensor(values, shape, k.dtype);
  let labels = random.array(N * S, () => random.integer(Math.max(C, 2)));
  if (k.ignoreIndex !== undefined) {
    labels = labels.map((label) => (random.integer(4) === 0 ? (k.ignoreIndex as number) : label));
  }
  const bits = random.array(N * C * S, () => random.integer(2));
  const target = k.dense ? tensor(bits, shape, 'uint8') : tensor(labels, [N, S], k.labelDtype);
  const ofClasses = k.weighted === 'classes';
  const weights = random.array(N * S * (ofClasses ? C : 1), () =>
    random.integer(3) === 0 ? 0 : 0.25,
  );
  const weight = k.weighted ? tensor(weights, ofClasses ? shape : [N, S], 'float32') : undefined;

  const counts = Array.from({ length: N }, () =>
    Array.from({ length: C }, (): Sample => ({ tp: 0, fp: 0, fn: 0, tn: 0 })),
  );
  const confusion = new Float64Array(C * C);
  const classes = Array.from({ length: C }, (_, c) => c);
  const named = (label: number) => classes.map((c) => (C === 1 ? label === 1 : label === c));
  for (let n = 0; n < N; n++)
    for (let s = 0; s < S; s++) {
      const voxel = n * S + s;
      if (k.weighted === true && weights[voxel] === 0) continue;
      if (!k.dense && labels[voxel] === k.ignoreIndex) continue;
      const across = (from: Float64Array) => classes.map((c) => from[at(n, c, s)] as number);
      const p =
        k.decision === 'labels'
          ? named(Number(predictions.data[voxel]))
          : chosen(across(values), k.decision, 0.5);
      let t = named(labels[voxel] as number);
      if (k.dense) {
        t = across(bits).map((bit) => bit === 1);
        if (k.decision === 'argmax') t = t.map((bit, c) => bit && c === t.indexOf(true));
      }
      for (let c = 0; c < C; c++) {
        if (ofClasses && weights[at(n, c, s)] === 0) continue;
        const one = (counts[n] as Sample[])[c] as Sample;
        if (t[c] && p[c]) one.tp++;
        if (!t[c] && p[c]) one.fp++;
        if (t[c] && !p[c]) one.fn++;
        if (!t[c] && !p[c]) one.tn++;
        if (!t[c]) continue;
        for (let d = 0; d < C; d++)
          if (p[d]) confusion[c * C + d] = (confusion[c * C + d] as number) + 1;
      }
    }
  const options: MetricsOptions = {
    classes: C,
    decision: k.decision,
    layout: k.last ? 'channels-last' : 'channels-first',
    ...(k.decision === 'threshold' && { threshold: 0.5 }),
    ...(k.ignoreIndex !== undefined && { ignoreIndex: k.ignoreIndex }),
  };
  return { predictions, target, call: weight ? { weight } : {}, counts, confusion, options };
}

export const small: Case = {
  N: 2,
  C: 3,
  S: 131,
  last: false,
  decision: 'argmax',
  dense: false,
  dtype: 'float32',
  labelDtype: 'uint8',
  weighted: false,
  NaNs: false,
};

export function total(counts: Sample[][]): Sample[] {
  return (counts[0] as Sample[]).map((_, c) => {
    const sum = { tp: 0, fp: 0, fn: 0, tn: 0 };
    for (const sample of counts)
      for (const key of ['tp', 'fp', 'fn', 'tn'] as const) sum[key] += (sample[c] as Sample)[key];
    return sum;
  });
}

/** Counts a case, its tensors placed by `place`, and compares the counts. */
export function checkCounts(k: Case, place: (tensor: Typed) => Typed | Tensor = (t) => t): void {
  const { predictions, target, call, counts, confusion, options } = make(k);
  const metrics = new SegmentationMetrics({ ...options, aggregate: 'samples' });
  const weight = call.weight ? { weight: place(call.weight) } : {};
  metrics.update(place(predictions), place(target), weight);
  const { perSample } = metrics.toJSON();
  try {
    expect(metrics.counts()).toEqual(total(counts));
    expect(perSample).toEqual(counts.flat().flatMap(({ tp, fp, fn, tn }) => [tn, fp, fn, tp]));
    if (k.decision !== 'threshold') expect([...metrics.confusion()]).toEqual([...confusion]);
  } catch (error) {
    throw new Error(`${JSON.stringify(k)}: ${(error as Error).message}`, { cause: error });
  }
}

/** Every combination of decision, kind of target, weights, ignored label, NaN and layout that can be counted. */
export function* combinations() {
  for (const decision of ['argmax', 'threshold', 'labels'] as const)
    for (const dense of [false, true])
      for (const weighted of [false, true, 'classes'] as const)
        for (const ignoreIndex of [undefined, 255, 1])
          for (const NaNs of [false, true])
            for (const last of [false, true]) {
              if (dense && (ignoreIndex !== undefined || decision === 'labels')) continue;
              if (decision === 'labels' && ignoreIndex === 1) continue;
              if (decision !== 'threshold' && weighted === 'classes') continue;
              const ignore = ignoreIndex === undefined ? {} : { ignoreIndex };
              yield { decision, dense, weighted, NaNs, last, ...ignore };
            }
}
