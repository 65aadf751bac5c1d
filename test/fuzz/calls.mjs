// Every public entry with arguments that are right, made anew for each call: what the fuzzer then spoils.
import * as warpdice from '../../dist/index.js';

const { Device, Statistics, Tensor } = warpdice;

const losses = [
  warpdice.DiceLoss,
  warpdice.JaccardLoss,
  warpdice.TverskyLoss,
  warpdice.GeneralizedDiceLoss,
  warpdice.MatthewsLoss,
  warpdice.DiceCELoss,
  warpdice.DiceFocalLoss,
];
const scores = [
  'dice',
  'iou',
  'precision',
  'recall',
  'specificity',
  'accuracy',
  'volumeSimilarity',
];

/** Where allocations fail (fuzz.mjs), all is on the CPU. */
const withGpu = process.env.WARPDICE_FUZZ_FAILURES === undefined;

/** Logits, or probabilities when there is no activation, of N samples, C classes and 2 spatial axes. */
function problem(random, anyDevice = true) {
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

function lossOptions({ classes }, random) {
  const options = {
    activation: classes > 1 ? random.pick(['none', 'sigmoid', 'softmax']) : 'sigmoid',
  };
  if (random.chance(0.2)) options.batch = true;
  if (random.chance(0.2)) options.classWeights = new Array(classes).fill(1);
  if (random.chance(0.1)) options.transform = random.pick(['log', 'log-cosh']);
  if (random.chance(0.1)) options.absent = random.pick(['skip', 'worst', 'perfect', 'formula']);
  if (random.chance(0.1)) options.ignoreIndex = 1;
  if (random.chance(0.1)) options.smoothDenominator = 1;
  return options;
}

function callOptions(p, random, gradients, weightsOfClasses = true) {
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
function ready(random, anyDevice = true) {
  const p = problem(random, anyDevice);
  const activation = p.classes > 1 ? random.pick(['none', 'sigmoid', 'softmax']) : 'sigmoid';
  return {
    p,
    loss: new warpdice.DiceLoss({ activation, absent: random.pick(['formula', 'skip']) }),
  };
}

/** A call of a method; `by` is what it is called on. */
const method = (receiver, name, args) => ({
  args,
  receiver,
  call: (by, ...given) => Reflect.apply(receiver[name], by, given),
});

const entries = {
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
    return { args: [options], call: (_by, given) => new Loss(given) };
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
    return method(loss, name, [p.predictions, p.target, callOptions(p, random, false)]);
  },
  valueAndGrad(random) {
    const { p, loss } = ready(random);
    const name = random.pick(['valueAndGrad', 'valueAndGradAsync']);
    return method(loss, name, [p.predictions, p.target, callOptions(p, random, true)]);
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
    return method(loss, name, [p.predictions, target, sums, {}]);
  },
  fromStatistics(random) {
    const { p, loss } = ready(random);
    return method(loss, 'fromStatistics', [loss.statistics(p.predictions, p.target), {}]);
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
  metrics(random) {
    const p = problem(random);
    const decision = p.classes > 1 ? 'argmax' : 'threshold';
    const options = {
      classes: p.classes,
      decision,
      ...(decision === 'threshold' && { threshold: 0.5 }),
    };
    const name = random.pick(['update', 'updateAsync']);
    return {
      // Pairs of classes are counted by voxels.
      args: [
        options,
        p.predictions,
        p.target,
        callOptions(p, random, false, decision === 'threshold'),
      ],
      call: (_by, given, ...rest) => new warpdice.SegmentationMetrics(given)[name](...rest),
    };
  },
  scores(random) {
    const p = problem(random);
    const name = random.pick([
      'perClass',
      'perSample',
      'average',
      'confusion',
      'merge',
      'fromJSON',
      'counts',
    ]);
    const aggregate =
      name === 'perSample'
        ? 'samples'
        : name === 'confusion'
          ? 'global'
          : random.pick(['samples', 'global']);
    const metrics = new warpdice.SegmentationMetrics({ classes: 2, aggregate });
    const two = [p.samples, 2, ...p.shape.slice(2)];
    const labels = { data: new Uint8Array(p.mask.reduce((a, b) => a * b)), shape: p.mask };
    metrics.update({ data: new Float32Array(two.reduce((a, b) => a * b)), shape: two }, labels);
    if (name === 'merge') return method(metrics, 'merge', [metrics]);
    if (name === 'fromJSON')
      return method(warpdice.SegmentationMetrics, 'fromJSON', [metrics.toJSON()]);
    if (name === 'average') return method(metrics, 'average', [random.pick(scores), 'macro']);
    if (name === 'counts' || name === 'confusion') return method(metrics, name, []);
    return method(metrics, name, [random.pick(scores)]);
  },
  tensor(random) {
    const name = random.pick(['from', 'copyOf', 'empty', 'view', 'to', 'read']);
    const { shape } = problem(random);
    const data = new Float32Array(shape.reduce((a, b) => a * b));
    if (name === 'from' || name === 'copyOf') return method(Tensor, name, [data, shape, {}]);
    if (name === 'empty') return method(Tensor, name, [shape, 'float32', {}]);
    const tensor = Tensor.from(new Float32Array(12), [3, 4]);
    const one = Tensor.from(Float32Array.of(1), []);
    if (name === 'view') return method(tensor, name, [[2, 3], 6]);
    if (name === 'to') return method(tensor, name, [random.pick(Device.list())]);
    return method(
      one,
      random.pick(['read', 'readSync', 'item', 'itemSync', 'dispose', 'toString']),
      [],
    );
  },
  device(random) {
    const device = Device.list().at(-1);
    const name = random.pick([
      'setThreads',
      'cuda',
      'fromDevicePointer',
      'fromIpcHandle',
      'stream',
    ]);
    if (name === 'setThreads') return { args: [2], call: (_by, n) => warpdice.setThreads(n) };
    // What only a GPU has is refused without one, so these calls are never right. Never a made-up pointer: nobody can check it.
    if (name === 'cuda') return { wrong: true, ...method(Device, 'cuda', [0]) };
    if (name === 'stream')
      return { wrong: true, args: [device], call: (_by, d) => new warpdice.Stream(d).dispose() };
    if (name === 'fromIpcHandle')
      return { wrong: true, ...method(Tensor, name, [{}, [2], 'float32', { device }]) };
    return { wrong: true, ...method(Tensor, name, [0n, 8, [2], 'float32', { device }]) };
  },
};

const names = Object.keys(entries);

/** A right call: its name, its arguments, and a function that makes it. */
export function rightCall(random) {
  const name = random.pick(names);
  return { name, ...entries[name](random) };
}

const known = {
  predictions: { data: Float32Array.of(0.1, 0.9, 0.9, 0.1), shape: [1, 2, 2] },
  target: { data: Uint8Array.of(1, 0), shape: [1, 2] },
  loss: new warpdice.DiceLoss({ smoothDenominator: 0 }),
};

/** A value that every later call must give again, to the bit: 1 - 2 * .9 / (1 + .82). */
export const knownValue = () => known.loss.value(known.predictions, known.target).value.itemSync();
