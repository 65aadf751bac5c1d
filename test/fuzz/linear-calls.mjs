// Right calls with linearLogits, for calls.mjs.
import * as warpdice from '../../dist/index.js';
import { method } from './problem.mjs';

const { Tensor, linearLogits } = warpdice;

/** Random numbers: a Tensor or a plain object. */
function floats(shape, random) {
  const length = shape.reduce((a, b) => a * b);
  const data = Float32Array.from({ length }, () => random.number());
  return random.chance(0.5) ? Tensor.from(data, shape) : { data, shape };
}

/** A layer with its input: features [N, K, S], weight [C, K], bias [C]; and labels [N, S]. */
function layer(random) {
  const samples = 1 + random.below(2);
  const channels = 1 + random.below(4);
  const classes = 2 + random.below(3);
  const voxels = 1 + random.below(9);
  const shapes = {
    features: [samples, channels, voxels],
    weight: [classes, channels],
    bias: [classes],
  };
  const parts = () =>
    Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, floats(shape, random)]),
    );
  const mask = [samples, voxels];
  const labels = () => ({ data: new Uint8Array(samples * voxels), shape: [...mask] });
  return { samples, classes, voxels, parts, labels };
}

const loss = new warpdice.DiceLoss({ activation: 'softmax' });

export const linearEntries = {
  linear(random) {
    const { parts, labels } = layer(random);
    const { features, weight, bias } = parts();
    const name = random.pick(['value', 'valueAndGrad', 'valueAsync', 'valueAndGradAsync']);
    const options = {};
    if (name.startsWith('valueAndGrad')) {
      options.gradScale = 2;
      if (random.chance(0.5)) options.out = { grad: parts() };
    }
    return {
      args: [features, weight, bias, labels(), options],
      call: (_by, x, w, b, ...given) => loss[name](linearLogits(x, w, b), ...given),
    };
  },
  linearPlan(random) {
    const { parts, labels } = layer(random);
    const { features, weight, bias } = parts();
    return {
      args: [features, weight, bias, labels(), { gradScale: 2 }],
      call(_by, x, w, b, ...given) {
        const plan = loss.plan(linearLogits(x, w, b), ...given);
        plan.execute();
        plan.dispose();
      },
    };
  },
  predict(random) {
    const { samples, classes, voxels, parts, labels } = layer(random);
    const { features, weight, bias } = parts();
    const logits = linearLogits(features, weight, bias);
    const name = random.pick(['argmax', 'probabilities', 'metrics']);
    if (name === 'argmax')
      return method(logits, name, [{ layout: 'channels-first', out: labels() }]);
    if (name === 'probabilities') {
      const out = floats([samples, 2, voxels], random);
      return method(logits, name, [[0, 1], { activation: 'softmax', out }]);
    }
    const update = random.pick(['update', 'updateAsync']);
    return {
      args: [{ classes }, logits, labels()],
      call: (_by, given, ...rest) => new warpdice.SegmentationMetrics(given)[update](...rest),
    };
  },
};
