// Right calls of the losses that have kernels of their own and no sums, for calls.mjs.
import * as warpdice from '../../dist/index.js';
import { method, problem } from './problem.mjs';

const activations = ['none', 'sigmoid', 'softmax'];

/** Right options that most of them have. */
const shared = (random) => ({
  activation: random.pick(activations),
  absent: random.pick(['skip', 'formula']),
});

/** Each class with right options, but for those that all have. */
const losses = [
  { Loss: warpdice.LovaszLoss, own: (random) => ({ ...shared(random), batch: true }) },
  { Loss: warpdice.BoundaryLoss, own: (random) => ({ ...shared(random), spacing: [1, 2] }) },
  {
    Loss: warpdice.HausdorffLoss,
    own: (random) => ({ ...shared(random), batch: true, spacing: [1, 2], alpha: 2, log: true }),
  },
  {
    Loss: warpdice.SoftClDiceLoss,
    own: (random) => ({
      ...shared(random),
      batch: true,
      iterations: 2,
      alpha: 0.5,
      smoothNumerator: 0,
      smoothDenominator: 1,
      smoothHarmonic: 1e-3,
    }),
  },
  {
    Loss: warpdice.TopKCrossEntropyLoss,
    own: () => ({
      k: 20,
      batch: true,
      labelSmoothing: 0.1,
      classWeights: [1, 2],
      ignoreIndex: [1, 255],
    }),
  },
];

/** A right direct loss for a right problem. */
function ready(random) {
  const p = problem(random, false);
  const { Loss } = random.pick(losses);
  if (Loss === warpdice.TopKCrossEntropyLoss) {
    return p.classes > 1 ? { p, loss: new Loss() } : ready(random); // it has only a softmax
  }
  const activation = p.classes > 1 ? random.pick(activations) : 'sigmoid';
  return { p, loss: new Loss({ activation }) };
}

export const directEntries = {
  directConstruct(random) {
    const { Loss, own } = random.pick(losses);
    const options = { reduction: random.pick(['none', 'mean', 'sum']), ...own(random) };
    return { args: [options], call: (_by, given) => new Loss(given) };
  },
  direct(random) {
    const { p, loss } = ready(random);
    const name = random.pick(['value', 'valueAsync', 'valueAndGrad', 'valueAndGradAsync']);
    const options = {};
    if (name.startsWith('valueAndGrad') && random.chance(0.4)) {
      options.out = { grad: p.grad() };
      options.gradScale = 2;
      if (random.chance(0.5)) options.accumulate = true;
    }
    return method(loss, name, [p.predictions, p.target, options]);
  },
  directPlan(random) {
    const { p, loss } = ready(random);
    return {
      args: [p.predictions, p.target, p.predictions, p.target],
      call(_by, predictions, target, ...others) {
        const plan = loss.plan(predictions, target);
        plan.execute();
        plan.bind(...others);
        plan.execute();
        plan.dispose();
      },
    };
  },
};
