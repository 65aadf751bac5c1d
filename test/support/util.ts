// Builds a problem from a few words, solves it with the library and with the reference, and compares.
import { Device, type Loss } from '../../lib/index.js';
import {
  type Problem,
  type ReferenceOptions,
  reference,
  type Solution,
} from '../reference/reference.js';
import { valueShape } from '../reference/reference-value.js';
import { decodeHalf, encodeHalf, ulp } from './half.js';
import { entryOf, type LossKey, makeLoss } from './losses.js';
import { Random } from './random.js';
import { solveThere } from './there.js';

// Looked up once: under Jest a global costs 100 ns.
const { abs, floor, max } = Math;
const { isFinite: finite, isNaN: notANumber, POSITIVE_INFINITY: infinity } = Number;

export type FloatDType = 'float32' | 'float64' | 'float16' | 'bfloat16';
export type DType = FloatDType | 'uint8' | 'int32' | 'int64';

export interface Typed {
  data: Float32Array | Float64Array | Uint16Array | Uint8Array | Int32Array | BigInt64Array;
  shape: readonly number[];
  dtype: DType;
}

/** A tensor of a dtype from plain numbers, rounded to it. */
export function tensor(
  values: ArrayLike<number>,
  shape: readonly number[],
  dtype: DType = 'float32',
): Typed {
  return { data: encode(values, dtype), shape, dtype };
}

/** A tensor of `shape` full of one number. */
export function full(shape: readonly number[], value: number, dtype: DType = 'float32'): Typed {
  return tensor(new Float64Array(sizeOf(shape)).fill(value), shape, dtype);
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function encode(values: ArrayLike<number>, dtype: DType): Typed['data'] {
  switch (dtype) {
    case 'float32':
      return Float32Array.from(values);
    case 'float64':
      return Float64Array.from(values);
    case 'float16':
    case 'bfloat16':
      return Uint16Array.from(convert(values, (x) => encodeHalf(x, dtype)));
    case 'uint8':
      return Uint8Array.from(values);
    case 'int32':
      return Int32Array.from(values);
    case 'int64':
      return BigInt64Array.from(Array.from(values, BigInt));
  }
}

/** What a tensor holds, as plain numbers. */
export function numbers(from: { data: ArrayLike<number | bigint>; dtype?: DType }): Float64Array {
  const { data, dtype } = from;
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const isFloat16Array = data.constructor.name === 'Float16Array';
    if (!isFloat16Array) {
      return convert(data as ArrayLike<number>, (bits) => decodeHalf(bits, dtype));
    }
  }
  if (typeof data[0] === 'bigint') return Float64Array.from(Array.from(data, Number));
  return Float64Array.from(data as ArrayLike<number>);
}

/** Float64Array.from with a function is ten times slower. */
function convert(from: ArrayLike<number>, next: (x: number) => number): Float64Array {
  const to = new Float64Array(from.length);
  for (let i = 0; i < to.length; i++) to[i] = next(from[i] as number);
  return to;
}

/** Throws at the first element that is further from the expected than allowed. NaN equals NaN only. */
export function expectClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number | ((expected: number) => number),
): void {
  if (actual.length !== expected.length) {
    throw new Error(`${name} has ${actual.length} elements instead of ${expected.length}`);
  }
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i] as number;
    const e = expected[i] as number;
    const allowed = typeof tolerance === 'number' ? tolerance : tolerance(e);
    if (a === e || (finite(e) && abs(a - e) <= allowed) || (notANumber(a) && notANumber(e)))
      continue;
    throw new Error(
      `${name}[${i}] is ${a} instead of ${e}: off by ${abs(a - e)}, allowed ${allowed}`,
    );
  }
}

/** The first difference in bits, if any. */
export function expectSameBits(name: string, a: Typed['data'], b: Typed['data']): void {
  const bytes = (x: Typed['data']) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  const [p, q] = [bytes(a), bytes(b)];
  if (p.length !== q.length) throw new Error(`${name}: ${p.length} bytes and ${q.length} bytes`);
  const different = p.findIndex((byte, i) => byte !== q[i]);
  if (different !== -1) throw new Error(`${name}: byte ${different} of ${p.length} differs`);
}

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
    const mark = targetDtype === 'int64' ? BigInt(options.ignoreIndex) : options.ignoreIndex;
    const data = target.data as { [i: number]: number | bigint };
    for (let i = 0; i < N * S; i++) if (random.uniform() < ignored) data[i] = mark;
  }

  const weightDtype = spec.weight;
  const weight =
    weightDtype &&
    tensor(
      random.array(N * S, () =>
        weightDtype === 'uint8' ? random.integer(4) : 2 * random.uniform(),
      ),
      [N, ...spatial],
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

  return {
    spec,
    loss: makeLoss(spec.loss ?? 'dice', spec.options ?? {}),
    predictions,
    target,
    ...(weight ? { weight } : {}),
    ...(upstream ? { upstream } : {}),
    problem: {
      loss,
      N,
      C,
      S,
      predictions: numbers(predictions),
      ...(kind === 'labels' ? { labels: numbers(target) } : { dense: numbers(target) }),
      weight: weight && numbers(weight),
      upstream: upstream && numbers(upstream),
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
  ...(c.spec.gradDtype ? { gradDtype: c.spec.gradDtype as 'float32' } : {}),
  ...(c.spec.gradScale !== undefined ? { gradScale: c.spec.gradScale } : {}),
});

/** How far from the reference a value may be; `weight` is the largest class weight in it. */
export const valueTolerance =
  (dtype: FloatDType, weight = 1) =>
  (value: number): number =>
    (dtype === 'float64' ? 1e-12 : 1e-6) * max(abs(value), 0.1 * weight);

/** How far from the reference a gradient of `dtype` may be when it is stored as `stored`. */
export function gradTolerance(
  dtype: FloatDType,
  gradient: Float64Array,
  stored: DType = dtype,
): (expected: number) => number {
  const largest = gradient.reduce((a, b) => (abs(b) < infinity ? max(a, abs(b)) : a), 0);
  const absolute = (dtype === 'float64' ? 1e-12 : 1e-5) * largest;
  if (stored !== 'float16' && stored !== 'bfloat16') return () => absolute;
  return (expected) => absolute + ulp(expected, stored) / 2;
}

interface Outcome {
  value: { data: ArrayLike<number | bigint> };
  perClass: { data: ArrayLike<number | bigint> };
  parts?: { data: ArrayLike<number | bigint> };
  grad?: { data: ArrayLike<number | bigint>; dtype: DType };
}

/** Compares what the library returned with the reference. least: of the size of a value, in tenths. */
export function expectSolution(
  outcome: Outcome,
  solution: Solution,
  dtype: FloatDType,
  classWeights: ArrayLike<number> = [1],
  least = 1,
): void {
  const { value, perClass, grad } = outcome;
  const weight = least * Array.from(classWeights).reduce((a, b) => max(a, b));
  expectClose('value', numbers(value), solution.value, valueTolerance(dtype, weight));
  expectClose('perClass', numbers(perClass), solution.perClass, valueTolerance(dtype, least));
  if (outcome.parts) {
    expectClose('parts', numbers(outcome.parts), solution.parts, valueTolerance(dtype, weight));
  }
  if (!grad) return;
  const tolerance = gradTolerance(dtype, solution.gradient, grad.dtype);
  expectClose('grad', numbers(grad), solution.gradient, tolerance);
}

/** Where check() computes: on a GPU for test/cuda/gpu/suite.mjs. */
const gpu = process.env.WARPDICE_TEST_GPU === undefined ? undefined : Device.cuda(0);

/** Makes a case, solves it both ways and compares value, per-class values and gradient. */
export function check(spec: Spec): void {
  const c = makeCase(spec);
  try {
    const { dtype = 'float32', options } = spec;
    const outcome = gpu
      ? solveThere(gpu, c)
      : c.loss.valueAndGrad(c.predictions, c.target, gradOptions(c));
    // Few voxels of terms rounded by a GPU leave an error of the 1 that a loss is taken from.
    const least = gpu && c.problem.S < 100 ? 10 : 1;
    expectSolution(outcome, reference(c.problem), dtype, options?.classWeights, least);
  } catch (error) {
    throw new Error(`${JSON.stringify(spec)}: ${(error as Error).message}`, { cause: error });
  }
}
