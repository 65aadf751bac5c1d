// A call with linearLogits as two calls: the 1x1 convolution in plain float64, then the loss of its result. The loss of logits in
// memory has tests of its own; here it is what linearLogits must agree with.
import { expect } from '@jest/globals';
import { type Loss, linearLogits, type Tensor } from '../../lib/index.js';
import { Random } from '../support/random.js';
import { type DType, type FloatDType, numbers, type Typed, tensor } from '../support/tensors.js';

export interface HeadCase {
  N: number;
  K: number;
  C: number;
  size: readonly number[];
  channelsLast?: boolean;
  bias?: boolean;
  dtype?: FloatDType;
  /** Of weight and bias; default that of the features. */
  weightDtype?: FloatDType;
  labels?: DType;
  dense?: DType;
  ignore?: number;
  /** 'classes': one for each class of a voxel. */
  voxelWeights?: boolean | 'classes';
  seed?: number;
}

export interface HeadData {
  features: Typed;
  weight: Typed;
  bias: Typed | undefined;
  target: Typed;
  voxelWeight: Typed | undefined;
}

const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);

export function makeData(of: HeadCase): HeadData {
  const { N, K, C, size, channelsLast = false, dtype = 'float32', weightDtype = dtype } = of;
  const random = new Random(of.seed ?? 7);
  const S = product(size);
  const withChannels = (channels: number) =>
    channelsLast ? [N, ...size, channels] : [N, channels, ...size];
  const ofClasses = of.voxelWeights === 'classes';
  const normal = () => random.normal();
  const label = () =>
    of.ignore !== undefined && random.uniform() < 0.2 ? of.ignore : random.integer(Math.max(C, 2));
  const target =
    of.dense === undefined
      ? tensor(random.array(N * S, label), [N, ...size], of.labels ?? 'uint8')
      : tensor(
          random.array(N * C * S, () =>
            of.dense === 'uint8' ? random.integer(2) : random.uniform(),
          ),
          withChannels(C),
          of.dense,
        );
  return {
    features: tensor(random.array(N * K * S, normal), withChannels(K), dtype),
    weight: tensor(
      random.array(C * K, () => normal() / Math.sqrt(K)),
      [C, K],
      weightDtype,
    ),
    bias: of.bias === false ? undefined : tensor(random.array(C, normal), [C], weightDtype),
    target,
    voxelWeight: of.voxelWeights
      ? tensor(
          random.array(N * S * (ofClasses ? C : 1), () =>
            random.uniform() < 0.2 ? 0 : random.uniform(),
          ),
          ofClasses ? withChannels(C) : [N, ...size],
        )
      : undefined,
  };
}

export interface Composed {
  value: Tensor;
  features: Float64Array;
  weight: Float64Array;
  bias: Float64Array;
  logits: Float64Array;
}

/** Where number k of voxel s of sample n is. */
const placeOf =
  (of: HeadCase, channels: number) =>
  (n: number, k: number, s: number): number => {
    const S = product(of.size);
    return of.channelsLast ? (n * S + s) * channels + k : (n * channels + k) * S + s;
  };

/** The logits, in float64. */
export function convolve(of: HeadCase, data: HeadData): Float64Array {
  const { N, K, C, size } = of;
  const S = product(size);
  const [x, w] = [numbers(data.features), numbers(data.weight)];
  const b = data.bias && numbers(data.bias);
  const [xAt, zAt] = [placeOf(of, K), placeOf(of, C)];
  const z = new Float64Array(N * C * S);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      for (let s = 0; s < S; s++) {
        let sum = b === undefined ? 0 : (b[c] as number);
        for (let k = 0; k < K; k++) sum += (w[c * K + k] as number) * (x[xAt(n, k, s)] as number);
        z[zAt(n, c, s)] = sum;
      }
    }
  }
  return z;
}

/** The shape of the logits. */
export const logitsShape = ({ N, C, size, channelsLast }: HeadCase): number[] =>
  channelsLast ? [N, ...size, C] : [N, C, ...size];

export function composed(loss: Loss, of: HeadCase, data: HeadData, options: object = {}): Composed {
  const { N, K, C, size } = of;
  const S = product(size);
  const logits = convolve(of, data);
  const weight = data.voxelWeight && { weight: data.voxelWeight };
  const predictions = { data: logits, shape: logitsShape(of) };
  const { value, grad } = loss.valueAndGrad(predictions, data.target, {
    ...weight,
    ...options,
    gradDtype: 'float64',
  });
  const dz = grad.data as Float64Array;
  const [x, w] = [numbers(data.features), numbers(data.weight)];
  const [xAt, zAt] = [placeOf(of, K), placeOf(of, C)];
  const features = new Float64Array(N * K * S);
  const ofWeight = new Float64Array(C * K);
  const bias = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      for (let s = 0; s < S; s++) {
        const slope = dz[zAt(n, c, s)] as number;
        bias[c] = (bias[c] as number) + slope;
        for (let k = 0; k < K; k++) {
          const at = xAt(n, k, s);
          features[at] = (features[at] as number) + slope * (w[c * K + k] as number);
          ofWeight[c * K + k] = (ofWeight[c * K + k] as number) + slope * (x[at] as number);
        }
      }
    }
  }
  return { value, features, weight: ofWeight, bias, logits };
}

export const parts = ['features', 'weight', 'bias'] as const;

/** How far from float64 results may be, of the largest. */
const tolerance: Record<FloatDType, number> = {
  float64: 1e-12,
  float32: 2e-5,
  float16: 2e-3,
  bfloat16: 2e-2,
};

export function expectNear(
  got: ArrayLike<number>,
  wanted: ArrayLike<number>,
  share: number,
  name: string,
) {
  expect(got.length).toBe(wanted.length);
  let largest = 0;
  for (let i = 0; i < wanted.length; i++)
    largest = Math.max(largest, Math.abs(wanted[i] as number));
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) {
    const off = Math.abs((got[i] as number) - (wanted[i] as number));
    if (!(off <= worst)) worst = off;
  }
  if (!(worst <= share * largest)) throw new Error(`${name}: ${worst} off, of ${largest}`);
}

export function expectLikeComposed(loss: Loss, of: HeadCase, options: object = {}) {
  const data = makeData(of);
  const wanted = composed(loss, of, data, options);
  const weight = data.voxelWeight && { weight: data.voxelWeight };
  const logits = linearLogits(data.features, data.weight, data.bias);
  const got = loss.valueAndGrad(logits, data.target, { ...weight, ...options });
  const dtype = of.dtype ?? 'float32';
  expectNear(
    got.value.data as Float64Array,
    wanted.value.data as Float64Array,
    dtype === 'float64' ? 1e-12 : 1e-5,
    'value',
  );
  for (const part of parts) {
    const grad = got.grad[part];
    if (part === 'bias' && of.bias === false) {
      expect(grad).toBeNull();
      continue;
    }
    const like = part === 'features' ? data.features : part === 'weight' ? data.weight : data.bias;
    expect([...(grad?.shape ?? [])]).toEqual(like?.shape);
    const share = Math.max(tolerance[dtype], tolerance[of.weightDtype ?? dtype]);
    expectNear(numbers(grad as never), wanted[part], share, part);
  }
  return { got, data, logits };
}
