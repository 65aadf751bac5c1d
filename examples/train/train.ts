// Trains a small U-Net. jax-js runs the network forward and backward; warpdice computes the loss
// from the logits, and the gradient with which the backward pass begins. With `head` the loss takes
// the last layer too: the logits are then never in memory.
import { setImmediate } from 'node:timers/promises';
import { numpy as np, vjp } from '@jax-js/jax';
import {
  type Loss,
  type LossValueAndGrad,
  linearLogits,
  type TensorLike,
  type ValueAndGradOptions,
} from 'warpdice';
import { Adam } from './adam.js';
import { type Slices, sampler } from './data.js';
import {
  backbone,
  classNames,
  featureCount,
  initialWeights,
  toParams,
  unet,
  type Weights,
} from './model.js';
import { seededRandom } from './random.js';
import type { Team } from './ranks.js';

interface TrainLoss {
  valueAndGrad(
    logits: TensorLike,
    labels: TensorLike,
    options: ValueAndGradOptions,
  ): LossValueAndGrad;
}

interface TrainOptions {
  loss: TrainLoss; // new DiceLoss({ activation: 'softmax' }), or one called like it
  head?: Loss | undefined; // in its place: takes the features and the last layer
  steps: number;
  batch: number;
  seed: number;
  learningRate: number; // rises to this over ten steps and falls to zero at the last, in straight lines
  signal: AbortSignal; // no further step begins once it is aborted
  onStep(step: number, loss: number, weights: Weights): void;
  team?: Team; // the other ranks of `--ranks`; each has its part of every batch
}

export async function train(slices: Slices, options: TrainOptions) {
  const { loss, head, steps, batch, seed, learningRate, signal, onStep, team } = options;
  const { height, width } = slices;
  const random = seededRandom(seed);
  const weights = initialWeights(random);
  const nextBatch = sampler(slices, batch, random);
  const adam = new Adam(weights);
  let lossSeconds = 0;

  // Labels are class indices, never one-hot; logits are [N, C, H, W]. The buffers for the loss's
  // results are allocated here, once, and reused in every step.
  const wholeImages = new Float32Array(batch * height * width);
  const wholeLabels = new Uint8Array(wholeImages.length);
  const [first, end] = partOf(batch, team);
  const area = height * width;
  const images = wholeImages.subarray(first * area, end * area);
  const labelData = wholeLabels.subarray(first * area, end * area);
  const labels = { data: labelData, shape: [end - first, height, width] };
  const channels = head ? featureCount : classNames.length; // of what the network gives
  const shape = [end - first, channels, height, width];
  const value = { data: new Float64Array(1), shape: [] };
  const grad = { data: new Float32Array(channels * images.length), shape };
  const { 'logits.weight': weight, 'logits.bias': bias, ...others } = weights;
  const last = [weight, { data: bias.data, shape: [classNames.length] }] as const;
  const lastGrad = last.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
  const network = head ? backbone : unet;

  for (let step = 1; step <= steps && !signal.aborted; step++) {
    nextBatch(wholeImages, wholeLabels); // every rank draws the same slices
    const x = np.array(images).reshape(labels.shape);
    const params = toParams(head ? others : weights);
    const [output, backward] = vjp((params) => network(params, x), [params]);

    const data = output.dataSync();
    const start = performance.now();
    if (head) {
      const [weight, bias] = lastGrad;
      const out = { value, grad: { features: grad, weight, bias } };
      head.valueAndGrad(linearLogits({ data, shape }, ...last), labels, { out });
    } else {
      loss.valueAndGrad({ data, shape }, labels, { out: { value, grad } });
    }
    lossSeconds += (performance.now() - start) / 1000;

    const [ownGradients] = backward(np.array(grad.data).reshape(shape));
    backward.dispose();
    const gradients = read(ownGradients);
    if (head) {
      gradients['logits.weight'] = lastGrad[0].data;
      gradients['logits.bias'] = lastGrad[1].data;
    }
    if (team) addUp(gradients, team);
    adam.update(
      (name) => gradients[name],
      learningRate * Math.min(step / 10, 1 - (step - 1) / steps),
    );

    onStep(step, value.data[0], weights);
    await setImmediate(); // lets the handler of Ctrl-C run
  }
  return { weights, lossSeconds };
}

type Gradients = Record<string, Float32Array>;

const read = (arrays: Record<string, np.Array>): Gradients =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, array]) => [name, array.dataSync() as Float32Array]),
  );

/** The gradients of all ranks, in one call: the loss is of the whole batch, and each rank has the gradient of its part. */
function addUp(gradients: Gradients, team: Team): void {
  const all = Float32Array.from(Object.values(gradients).flatMap((array) => [...array]));
  team.sum(all);
  let at = 0;
  for (const [name, { length }] of Object.entries(gradients)) {
    gradients[name] = all.subarray(at, at + length);
    at += length;
  }
}

/** The slices [first, end) of a batch that this rank has. */
function partOf(batch: number, { rank, size } = { rank: 0, size: 1 }): [number, number] {
  return [Math.floor((rank * batch) / size), Math.floor(((rank + 1) * batch) / size)];
}
