// Right calls of the losses that have kernels of their own and no sums, for calls.mjs.
import * as warpdice from '../../dist/index.js';
import { method, problem } from './problem.mjs';

/** Each class with right options that it alone has, or shares with some others. */
const losses = [
  { Loss: warpdice.LovaszLoss, own: () => ({ batch: true }) },
  { Loss: warpdice.BoundaryLoss, own: () => ({ spacing: [1, 2] }) },
  {
    Loss: warpdice.HausdorffLoss,
    own: () => ({ batch: true, spacing: [1, 2], alpha: 2, log: true }),
  },
  {
    Loss: warpdice.SoftClDiceLoss,
    own: () => ({
      batch: true,
      iterations: 2,
      alpha: 0.5,
      smoothNumerator: 0,
      smoothDenominator: 1,
      smoothHarmonic: 1e-3,
    }),
  },
];

/** A right direct loss for a right problem. */
function ready(random) {
  const p = problem(random, false);
  const { Loss } = random.pick(losses);
  const activation = p.classes > 1 ? random.pick(['none', 'sigmoid', 'softmax']) : 'sigmoid';
  return { p, loss: new Loss({ activation }) };
}

export const directEntries = {
  directConstruct(random) {
    const { Loss, own } = random.pick(losses);
    const options = {
      activation: random.pick(['none', 'sigmoid', 'softmax']),
      absent: random.pick(['skip', 'formula']),
      reduction: random.pick(['none', 'mean', 'sum']),
      ...own(),
    };
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
