// A small U-Net in jax-js: three resolutions, about 22 thousand parameters.
//
// Arrays inside the network are [C, N, H, W]. With the channels outermost, a convolution is one
// matrix product over all pixels of the batch. Only the logits come out as [N, C, H, W], the usual
// channels-first layout. jax-js counts references: an argument is used up by the call, and `.ref`
// keeps it for one more use.
import { nn, numpy as np } from '@jax-js/jax';

export const classNames = ['outside', 'grey matter and everything else', 'white matter'] as const;

/** The parameters as they are kept between steps: plain arrays, changed in place by Adam. */
export type Weights = Record<string, { data: Float32Array; shape: number[] }>;
type Params = Record<string, np.Array>;

/** [outputs, inputs, kernel side] of every convolution. */
const layers: Record<string, [number, number, number]> = {
  full1: [8, 1, 3],
  full2: [8, 8, 3],
  half1: [16, 8, 3],
  half2: [16, 16, 3],
  quarter1: [32, 16, 3],
  quarter2: [32, 32, 3],
  toHalf: [16, 32, 1],
  half3: [16, 16, 3],
  toFull: [8, 16, 1],
  full3: [8, 17, 1],
  logits: [classNames.length, 8, 1],
};

/** He initialisation from `random`, which gives numbers in [0, 1). Biases start at zero. */
export function initialWeights(random: () => number): Weights {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const weights: Weights = {};
  for (const [name, [outputs, inputs, side]] of Object.entries(layers)) {
    const fanIn = inputs * side * side;
    const data = Float32Array.from(
      { length: outputs * fanIn },
      () => normal() * Math.sqrt(2 / fanIn),
    );
    weights[`${name}.weight`] = { data, shape: [outputs, fanIn] };
    weights[`${name}.bias`] = { data: new Float32Array(outputs), shape: [outputs, 1] };
  }
  return weights;
}

/** The parameters as jax-js arrays, which `unet` uses up. */
export function toParams(weights: Weights): Params {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { data, shape }]) => [name, np.array(data).reshape(shape)]),
  );
}

/** Features of a pixel, from which the last layer makes the logits. */
export const featureCount = layers.logits[1];

/** Images [N, H, W] to logits [N, C, H, W]. H and W are multiples of 4: two poolings. */
export function unet(params: Params, images: np.Array): np.Array {
  return convolve(allButLast(params, images), params, 'logits').transpose([1, 0, 2, 3]);
}

/** The same without the last layer, whose parameters `params` must not have: [N, features, H, W]. */
export function backbone(params: Params, images: np.Array): np.Array {
  return allButLast(params, images).transpose([1, 0, 2, 3]);
}

function allButLast(params: Params, images: np.Array): np.Array {
  const [n, h, w] = images.shape;
  const conv = (x: np.Array, name: string) => convolve(neighbours(x), params, name);
  // Brightness tells the tissues apart, so nothing is normalised at full resolution.
  const atFull = (x: np.Array, name: string) => nn.relu(conv(x, name));
  const below = (x: np.Array, name: string) => nn.relu(normalise(conv(x, name)));

  const image = images.reshape([1, n, h, w]);
  const full = atFull(atFull(image.ref, 'full1'), 'full2');
  const half = below(below(halve(full.ref), 'half1'), 'half2');
  const quarter = below(below(halve(half.ref), 'quarter1'), 'quarter2');
  // Skip connections from the way down: added at half resolution; at full resolution joined with
  // the image itself as more channels.
  const halfUp = below(half.add(double(convolve(quarter, params, 'toHalf'))), 'half3');
  const all = np.concatenate([image, full, double(convolve(halfUp, params, 'toFull'))]);
  return nn.relu(convolve(all, params, 'full3'));
}

/** [C, N, H, W] to [outputs, N, H, W]: a matrix product over the channels, plus the bias. */
function convolve(x: np.Array, params: Params, name: string): np.Array {
  const [c, n, h, w] = x.shape;
  const y = np.matmul(params[`${name}.weight`], x.reshape([c, n * h * w]));
  return y.add(params[`${name}.bias`]).reshape([-1, n, h, w]);
}

/**
 * [C, N, H, W] to [9C, N, H, W]: the 3 x 3 neighbourhood of every pixel, zeros outside.
 * This plus a matrix product is lax.conv(x, k, [1, 1], 'SAME'); in jax-js 0.1 on the wasm backend
 * its forward and backward pass together take a quarter of the time.
 */
function neighbours(x: np.Array): np.Array {
  const [, , h, w] = x.shape;
  const rows = np.pad(x, [
    [0, 0],
    [0, 0],
    [1, 1],
    [0, 0],
  ]);
  const three = np.concatenate([0, 1, 2].map((i) => rows.ref.slice([], [], [i, i + h])));
  rows.dispose();
  const columns = np.pad(three, [
    [0, 0],
    [0, 0],
    [0, 0],
    [1, 1],
  ]);
  const nine = np.concatenate([0, 1, 2].map((i) => columns.ref.slice([], [], [], [i, i + w])));
  columns.dispose();
  return nine;
}

/** Mean 0 and deviation 1 of every channel of every slice (instance normalisation). */
function normalise(x: np.Array): np.Array {
  const centred = x.ref.sub(np.mean(x, [2, 3], { keepdims: true }));
  const variance = np.mean(np.square(centred.ref), [2, 3], { keepdims: true });
  return centred.mul(np.reciprocal(np.sqrt(variance.add(1e-5))));
}

/** Half the resolution: the maximum of every 2 x 2 pixels. */
function halve(x: np.Array): np.Array {
  const [c, n, h, w] = x.shape;
  return x.reshape([c, n, h / 2, 2, w / 2, 2]).max([3, 5]);
}

/** Twice the resolution: every pixel four times. */
function double(x: np.Array): np.Array {
  const [c, n, h, w] = x.shape;
  return np
    .broadcastTo(x.reshape([c, n, h, 1, w, 1]), [c, n, h, 2, w, 2])
    .reshape([c, n, 2 * h, 2 * w]);
}
