// A problem from a few words, for the library and for the reference.
import type { Loss } from '../../lib/index.js';
import type { Problem, ReferenceOptions } from '../reference/reference.js';
import { valueShape } from '../reference/reference-value.js';
import { entryOf, type LossKey, makeLoss } from './losses.js';
import { Random } from './random.js';
import { type DType, type FloatDType, numbers, sizeOf, type Typed, tensor } from './tensors.js';

const { floor } = Math;

/** What is to be computed; everything that is left out is small and ordinary. */
export interface Spec {
  loss?: LossKey;
  N?: number;
  C?: number;
  spatial?: readonly number[];
  dtype?: FloatDType;
  options?: ReferenceOptions;
  target?: 'labels' | 'dense';
  targetDtype?: DType;
  /** The dtype of a weight per voxel; no weight when absent. */
  weight?: 'uint8' | FloatDType;
  gradDtype?: FloatDType;
  gradScale?: number;
  /** The chance that a voxel is ignored; options.ignoreIndex says what marks it. */
  ignored?: number;
  /** Whether the weight is one per class and voxel. */
  weightOfClasses?: boolean;
  /** The dtype of weights of the pairs of sample and class: of all classes but the last of three or more, which no sample counts. */
  sampleClassWeight?: 'uint8' | 'float32' | 'float64';
  /** A class that no voxel has. */
  missing?: number;
  seed?: number;
}

export interface Case {
  spec: Spec;
  loss: Loss;
  predictions: Typed;
  target: Typed;
  /** The weight and all that concerns the gradient, as valueAndGrad takes them. */
  weight?: Typed;
  upstream?: Typed;
  sampleClassWeight?: Typed;
  problem: Problem;
}

export function makeCase(spec: Spec): Case {
  const { N = 2, C = 3, spatial = [5, 7], dtype = 'float32' } = spec;
  const { loss, defaults } = entryOf(spec.loss ?? 'dice');
  const options = { ...defaults, ...spec.options };
  const { target: kind = 'labels', ignored = 0 } = spec;
  const { activation = 'none', layout = 'channels-first', reduction = 'mean' } = options;
  const S = sizeOf(spatial);
  const random = new Random(spec.seed ?? 10_000 * N + 100 * C + S);
  const shape = layout === 'channels-first' ? [N, C, ...spatial] : [N, ...spatial, C];

  // Never 0 or 1, where a match is perfect and no gradient is left to compare; extremes.test.ts has those.
  const probability = () => 0.02 + 0.96 * random.uniform();
  const predictions = tensor(
    random.array(N * C * S, activation === 'none' ? probability : () => 2 * random.normal()),
    shape,
    dtype,
  );

  const targetDtype = spec.targetDtype ?? (kind === 'labels' ? 'uint8' : 'float32');
  const isFloat = !['uint8', 'int32', 'int64'].includes(targetDtype);
  let target: Typed;
  if (kind === 'labels') {
    const label = () => {
      const any = random.integer(C === 1 ? 2 : C);
      return any === spec.missing ? (any + 1) % C : any;
    };
    target = tensor(random.array(N * S, label), [N, ...spatial], targetDtype);
  } else {
    const soft = isFloat ? probability : () => random.integer(2);
    const classOf = (i: number) => (layout === 'channels-first' ? floor(i / S) % C : i % C);
    const values = random.array(N * C * S, soft);
    const present = Array.from(values, (t, i) => (classOf(i) === spec.missing ? 0 : t));
    target = tensor(present, shape, targetDtype);
  }
  if (options.ignoreIndex !== undefined) {
    const marks = Array.from([options.ignoreIndex].flat() as ArrayLike<number>);
    const data = target.data as { [i: number]: number | bigint };
    for (let i = 0; i < N * S; i++) {
      if (random.uniform() >= ignored) continue;
      const mark = marks[i % marks.length] as number;
      data[i] = targetDtype === 'int64' ? BigInt(mark) : mark;
    }
  }

  const weightDtype = spec.weight;
  const weightShape = spec.weightOfClasses ? shape : [N, ...spatial];
  const weight =
    weightDtype &&
    tensor(
      random.array(sizeOf(weightShape), () =>
        weightDtype === 'uint8' ? random.integer(4) : 2 * random.uniform(),
      ),
      weightShape,
      weightDtype,
    );
  const groups = valueShape(loss, options, N, C);
  const upstream =
    reduction === 'none'
      ? tensor(
          random.array(sizeOf(groups), () => random.normal()),
          groups,
          'float64',
        )
      : undefined;

  const pairDtype = spec.sampleClassWeight;
  const sampleClassWeight =
    pairDtype &&
    tensor(
      random
        .array(N * C, () => random.integer(4) / (pairDtype === 'uint8' ? 1 : 2))
        .map((a, i) => (C > 2 && i % C === C - 1 ? 0 : a)),
      [N, C],
      pairDtype,
    );

  return {
    spec,
    loss: makeLoss(spec.loss ?? 'dice', spec.options ?? {}),
    predictions,
    target,
    ...(weight ? { weight } : {}),
    ...(upstream ? { upstream } : {}),
    ...(sampleClassWeight ? { sampleClassWeight } : {}),
    problem: {
      loss,
      N,
      C,
      S,
      predictions: numbers(predictions),
      ...(kind === 'labels' ? { labels: numbers(target) } : { dense: numbers(target) }),
      weight: weight && numbers(weight),
      upstream: upstream && numbers(upstream),
      sampleClassWeight: sampleClassWeight && numbers(sampleClassWeight),
      gradScale: spec.gradScale,
      options,
    },
  };
}

/** The options of `value` and `statistics` for a case. */
export const callOptions = ({ weight }: Case) => (weight ? { weight } : {});

/** The options of `valueAndGrad` and `gradient` for a case. */
export const gradOptions = (c: Case) => ({
  ...callOptions(c),
  ...(c.upstream ? { upstream: c.upstream } : {}),
  ...(c.sampleClassWeight ? { sampleClassWeight: c.sampleClassWeight } : {}),
  ...(c.spec.gradDtype ? { gradDtype: c.spec.gradDtype as 'float32' } : {}),
  ...(c.spec.gradScale !== undefined ? { gradScale: c.spec.gradScale } : {}),
});
