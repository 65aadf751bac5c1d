// Right calls of the losses that are computed from sums, for calls.mjs.
import * as warpdice from '../../dist/index.js';
import { callOptions, method, problem, ready } from './problem.mjs';

const { Statistics } = warpdice;

const losses = [
  warpdice.DiceLoss,
  warpdice.JaccardLoss,
  warpdice.TverskyLoss,
  warpdice.GeneralizedDiceLoss,
  warpdice.MatthewsLoss,
  warpdice.DiceCELoss,
  warpdice.DiceFocalLoss,
];
function lossOptions({ classes }, random) {
  const options = {
    activation: classes > 1 ? random.pick(['none', 'sigmoid', 'softmax']) : 'sigmoid',
  };
  if (random.chance(0.2)) options.batch = true;
  if (random.chance(0.2)) options.classWeights = new Array(classes).fill(1);
  if (random.chance(0.1)) options.transform = random.pick(['log', 'log-cosh']);
  if (random.chance(0.1)) options.absent = random.pick(['skip', 'worst', 'perfect', 'formula']);
  if (random.chance(0.1)) options.ignoreIndex = random.pick([1, [1, 255], Uint8Array.of(255, 7)]);
  if (random.chance(0.1)) options.smoothDenominator = 1;
  return options;
}

/** Now and then weights of the classes of each sample. */
function pairOptions({ samples, classes, asInput }, random) {
  if (random.chance(0.7)) return {};
  const Numbers = random.pick([Float64Array, Float32Array, Uint8Array]);
  const weights = new Numbers(samples * classes).fill(1);
  weights[random.below(weights.length)] = 0;
  return { sampleClassWeight: asInput(weights, [samples, classes]) };
}

export const lossEntries = {
  construct(random) {
    const p = problem(random);
    const Loss = random.pick(losses);
    const options = lossOptions(p, random);
    if (/CE|Focal/.test(Loss.name) && options.activation === 'none') options.activation = 'sigmoid';
    const likelihood = options.activation !== 'none' && random.chance(0.3);
    if (likelihood && options.activation === 'sigmoid') {
      options.crossEntropy = { positiveWeight: 2 };
      options.focal = { alpha: 0.25 };
    } else if (likelihood) {
      options.crossEntropy = { classWeights: new Array(p.classes).fill(2) };
      options.focal = { alpha: new Array(p.classes).fill(2) };
    }
    if (Loss === warpdice.GeneralizedDiceLoss) delete options.absent;
    if (Loss === warpdice.MatthewsLoss) {
      // It has one `smooth`, and only 'macro' can give a single class another value.
      delete options.smoothDenominator;
      options.smooth = 1;
      options.average = random.pick(['macro', 'micro', 'multiclass']);
      if (options.average !== 'macro') delete options.absent;
    }
    return { args: [options], call: (_by, given) => new Loss(given) };
  },
  constructOfVoxels(random) {
    const { classes } = problem(random);
    const Loss = random.pick([warpdice.CrossEntropyLoss, warpdice.FocalLoss]);
    const options = {
      activation: classes > 1 ? random.pick(['sigmoid', 'softmax']) : 'sigmoid',
      reduction: random.pick(['none', 'mean', 'sum']),
    };
    if (random.chance(0.3)) options.classWeights = new Array(classes).fill(1);
    if (random.chance(0.2)) options.ignoreIndex = [0, 255];
    if (Loss === warpdice.FocalLoss) {
      options.gamma = 2;
      options.alpha = options.activation === 'sigmoid' ? 0.25 : new Array(classes).fill(0.5);
    } else {
      options.labelSmoothing = 0.1;
      if (options.activation === 'sigmoid') options.positiveWeight = new Array(classes).fill(2);
    }
    return { args: [options], call: (_by, given) => new Loss(given) };
  },
  constructUnified(random) {
    const options = { lambda: 0.5, delta: 0.6, gamma: 0.5, asymmetric: random.chance(0.5) };
    if (random.chance(0.2)) options.absent = 'skip';
    if (random.chance(0.2)) options.batch = true;
    return { args: [options], call: (_by, given) => new warpdice.UnifiedFocalLoss(given) };
  },
  ofVoxels(random) {
    const p = problem(random);
    const Loss = random.pick([
      warpdice.CrossEntropyLoss,
      warpdice.FocalLoss,
      ...(p.classes > 1 ? [warpdice.UnifiedFocalLoss] : []),
    ]);
    const ignoreIndex = random.pick([undefined, [1, 255, -1]]);
    const loss = new Loss({ activation: p.classes > 1 ? 'softmax' : 'sigmoid', ignoreIndex });
    const name = random.pick(['valueAndGrad', 'valueAndGradAsync']);
    return method(loss, name, [p.predictions, p.target, callOptions(p, random, true)]);
  },
  wasserstein(random) {
    const distances = [
      [0, 1],
      [1, 0],
    ];
    const Loss = warpdice.GeneralizedWassersteinDiceLoss;
    const more = random.chance(0.5) ? { weighting: 'GDL' } : { measuredFrom: 'largest' };
    return {
      args: [{ distances, activation: 'softmax', ...more }],
      call: (_by, options) => new Loss(options),
    };
  },
  value(random) {
    const { p, loss } = ready(random);
    const name = random.pick(['value', 'valueAsync']);
    const options = { ...callOptions(p, random, false), ...pairOptions(p, random) };
    return method(loss, name, [p.predictions, p.target, options]);
  },
  valueAndGrad(random) {
    const { p, loss } = ready(random);
    const name = random.pick(['valueAndGrad', 'valueAndGradAsync']);
    const options = { ...callOptions(p, random, true), ...pairOptions(p, random) };
    return method(loss, name, [p.predictions, p.target, options]);
  },
  statistics(random) {
    const { p, loss } = ready(random);
    const name = random.pick(['statistics', 'statisticsAsync']);
    return method(loss, name, [p.predictions, p.target, callOptions(p, random, false)]);
  },
  gradient(random) {
    const { p, loss } = ready(random);
    const sums = loss.statistics(p.predictions, p.target);
    const name = random.pick(['gradient', 'gradientAsync', 'targetGradient']);
    const target =
      name === 'targetGradient'
        ? p.asInput(new Float32Array(p.shape.reduce((a, b) => a * b)), p.shape)
        : p.target;
    return method(loss, name, [p.predictions, target, sums, pairOptions(p, random)]);
  },
  fromStatistics(random) {
    const { p, loss } = ready(random);
    const sums = loss.statistics(p.predictions, p.target);
    return method(loss, 'fromStatistics', [sums, pairOptions(p, random)]);
  },
  sizesOfStatistics(random) {
    const { p, loss } = ready(random);
    return random.chance(0.5)
      ? method(loss, 'emptyStatistics', [p.classes, p.samples])
      : method(warpdice.Loss, 'runVoxels', [p.classes]);
  },
  statisticsMethods(random) {
    const { p, loss } = ready(random, false);
    const sums = loss.statistics(p.predictions, p.target);
    const name = random.pick(['add', 'concat', 'fromJSON', 'fromArray', 'toJSON', 'read']);
    if (name === 'add') return method(sums, 'add', [loss.statistics(p.predictions, p.target)]);
    if (name === 'concat') return method(Statistics, 'concat', [[sums, sums]]);
    if (name === 'fromJSON') return method(Statistics, 'fromJSON', [sums.toJSON()]);
    if (name === 'fromArray') return method(Statistics, 'fromArray', [sums.toArray()]);
    return method(sums, name === 'read' ? 'toString' : name, []);
  },
  plan(random) {
    const { p, loss } = ready(random);
    return {
      args: [p.predictions, p.target, callOptions(p, random, true)],
      call(_by, ...given) {
        const plan = loss.plan(...given);
        plan.execute();
        plan.execute();
        plan.dispose();
      },
    };
  },
  bind(random) {
    const { p, loss } = ready(random);
    const plan = loss.plan(p.predictions, p.target);
    return {
      args: [p.predictions, p.target],
      call(_by, ...given) {
        plan.bind(...given);
        plan.execute();
      },
    };
  },
  deepSupervision(random) {
    const { p, loss } = ready(random);
    const name = random.pick(['value', 'valueAndGrad', 'valueAsync', 'valueAndGradAsync']);
    const coarse = [...p.shape.slice(0, 2), 1, 1];
    const small = p.asInput(new Float32Array(p.samples * p.classes), coarse);
    return {
      args: [[1, 0.5], [p.predictions, small], p.target, {}],
      call: (_by, weights, ...given) => new warpdice.DeepSupervision(loss, weights)[name](...given),
    };
  },
};
