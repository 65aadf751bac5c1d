// Trains a small U-Net. jax-js runs the network forward and backward; warpdice computes the loss
// from the logits, and the gradient with which the backward pass begins.
import { setImmediate } from 'node:timers/promises';
import { numpy as np, vjp } from '@jax-js/jax';
import type { LossValueAndGrad, TensorLike, ValueAndGradOptions } from 'warpdice';
import { Adam } from './adam.js';
import { type Slices, sampler } from './data.js';
import { classNames, initialWeights, toParams, unet, type Weights } from './model.js';
import { seededRandom } from './random.js';

interface TrainLoss {
  valueAndGrad(
    logits: TensorLike,
    labels: TensorLike,
    options: ValueAndGradOptions,
  ): LossValueAndGrad;
}

interface TrainOptions {
  loss: TrainLoss; // new DiceLoss({ activation: 'softmax' }), or one called like it
  steps: number;
  batch: number;
  seed: number;
  learningRate: number; // rises to this over ten steps and falls to zero at the last, in straight lines
  signal: AbortSignal; // no further step begins once it is aborted
  onStep(step: number, loss: number, weights: Weights): void;
}

export async function train(slices: Slices, options: TrainOptions) {
  const { loss, steps, batch, seed, learningRate, signal, onStep } = options;
  const { height, width } = slices;
  const random = seededRandom(seed);
  const weights = initialWeights(random);
  const nextBatch = sampler(slices, batch, random);
  const adam = new Adam(weights);
  let lossSeconds = 0;

  // Labels are class indices, never one-hot; logits are [N, C, H, W]. The buffers for the loss's
  // results are allocated here, once, and reused in every step.
  const images = new Float32Array(batch * height * width);
  const labels = { data: new Uint8Array(images.length), shape: [batch, height, width] };
  const classes = classNames.length;
  const shape = [batch, classes, height, width];
  const out = {
    value: { data: new Float64Array(1), shape: [] },
    grad: { data: new Float32Array(classes * images.length), shape },
  };

  for (let step = 1; step <= steps && !signal.aborted; step++) {
    nextBatch(images, labels.data);
    const x = np.array(images).reshape(labels.shape);
    const [logits, backward] = vjp((params) => unet(params, x), [toParams(weights)]);

    const logitData = logits.dataSync();
    const start = performance.now();
    loss.valueAndGrad({ data: logitData, shape }, labels, { out });
    lossSeconds += (performance.now() - start) / 1000;

    const [gradients] = backward(np.array(out.grad.data).reshape(shape));
    backward.dispose();
    adam.update(
      (name) => gradients[name].dataSync() as Float32Array,
      learningRate * Math.min(step / 10, 1 - (step - 1) / steps),
    );

    onStep(step, out.value.data[0], weights);
    await setImmediate(); // lets the handler of Ctrl-C run
  }
  return { weights, lossSeconds };
}
