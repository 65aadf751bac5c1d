// Right arguments for the calls of the other files: problems, options of calls, losses.
import * as warpdice from '../../dist/index.js';

const { Device, Tensor } = warpdice;

/** Where allocations fail (fuzz.mjs), all is on the CPU. */
const withGpu = process.env.WARPDICE_FUZZ_FAILURES === undefined;

/** Logits, or probabilities when there is no activation, of N samples, C classes and 2 spatial axes. */
export function problem(random, anyDevice = true) {
  const samples = 1 + random.below(2);
  const classes = 1 + random.below(4);
  const spatial = [1 + random.below(4), 1 + random.below(6)];
  const shape = [samples, classes, ...spatial];
  const voxels = spatial[0] * spatial[1];
  const data = Float32Array.from({ length: samples * classes * voxels }, () => random.number());
  const labels = Uint8Array.from({ length: samples * voxels }, () =>
    random.below(Math.max(2, classes)),
  );
  const mask = [samples, ...spatial];
  const gpu =
    anyDevice && withGpu && Device.list().length > 1 && random.chance(0.7)
      ? Device.cuda(0)
      : undefined;
  const asInput = (values, sizes) => input(values, sizes, gpu ?? random.chance(0.5));
  return {
    asInput,
    samples,
    classes,
    shape,
    mask,
    predictions: asInput(data, shape),
    target: asInput(labels, mask),
    weight: (mayBeOfClasses) =>
      !mayBeOfClasses || random.chance(0.7)
        ? asInput(new Float32Array(labels.length).fill(1), mask)
        : asInput(new Float32Array(data.length).fill(1), shape),
    grad: () => asInput(new Float32Array(data.length), shape),
  };
}

/** A tensor on a GPU, a Tensor on the host (true) or a plain object (false). */
function input(data, shape, where) {
  if (where === false) return { data, shape: [...shape] };
  const tensor = Tensor.from(data, shape);
  return where === true ? tensor : tensor.to(where);
}

export function callOptions(p, random, gradients, weightsOfClasses = true) {
  const options = {};
  if (random.chance(0.2)) options.weight = p.weight(weightsOfClasses);
  if (gradients && random.chance(0.2)) options.gradScale = 2;
  if (gradients && random.chance(0.2)) {
    options.out = { grad: p.grad() };
    if (random.chance(0.5)) options.accumulate = true;
  }
  return options;
}

/** A right loss for a right problem: what is not itself to be spoiled. */
export function ready(random, anyDevice = true) {
  const p = problem(random, anyDevice);
  const activation = p.classes > 1 ? random.pick(['none', 'sigmoid', 'softmax']) : 'sigmoid';
  return {
    p,
    loss: new warpdice.DiceLoss({ activation, absent: random.pick(['formula', 'skip']) }),
  };
}

/** A call of a method; `by` is what it is called on. */
export const method = (receiver, name, args) => ({
  args,
  receiver,
  call: (by, ...given) => Reflect.apply(receiver[name], by, given),
});
