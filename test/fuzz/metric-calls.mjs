// Right calls of the metrics and of their report, for calls.mjs.
import * as warpdice from '../../dist/index.js';
import { callOptions, method, problem } from './problem.mjs';

const scores = [
  'dice',
  'iou',
  'precision',
  'recall',
  'specificity',
  'accuracy',
  'volumeSimilarity',
];

/** The two kinds of metrics of single samples: a class, the names of its scores, and right options of its own. */
const sampleMetrics = [
  {
    Metrics: warpdice.SurfaceMetrics,
    names: ['hausdorff', 'hausdorffPercentile', 'averageDistance', 'surfaceDice', 'boundaryIou'],
    own: (scored, random) => ({
      surface: random.pick(['voxels', 'elements']),
      percentile: 95,
      tolerance: random.chance(0.5) ? 1 : new Array(scored).fill(1),
      boundaryDistance: 1,
      worstDistance: 9,
    }),
  },
  {
    Metrics: warpdice.ComponentMetrics,
    names: ['regionDice', 'lesionDice', 'lesionRecall', 'lesionPrecision', 'lesionF1'],
    own: (_scored, random) => ({ connectivity: random.pick(['corners', 'faces']) }),
  },
];

const labels = () => ({ data: Uint8Array.of(0, 1, 1, 0, 0, 0), shape: [1, 2, 3] });

/** Metrics of two classes that have counted one sample. */
function counted(Metrics, options = {}) {
  const metrics = new Metrics({ classes: 2, decision: 'labels', ...options });
  return metrics.update(labels(), labels(), options.aggregate === 'global' ? {} : { sample: 'a' });
}

const named = (count, letter) => Array.from({ length: count }, (_, i) => `${letter}${i}`);

/** Updates new metrics by `name`, then does `end` with them, at once or when they are done. */
function updated(Metrics, name, [options, ...given], end) {
  const metrics = new Metrics(options);
  const result = metrics[name](...given);
  return result instanceof Promise ? result.then(() => end(metrics)) : end(metrics);
}

const copied = (Metrics, metrics) => Metrics.fromJSON(JSON.parse(JSON.stringify(metrics)));

export const metricEntries = {
  metrics(random) {
    const p = problem(random);
    const decision = p.classes > 1 ? 'argmax' : 'threshold';
    const options = {
      classes: p.classes,
      decision,
      ...(decision === 'threshold' && { threshold: 0.5 }),
      ...(random.chance(0.3) && { ignoreIndex: [0, 255] }),
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
  namesAndRegions(random) {
    const p = problem(random);
    const Metrics = warpdice.SegmentationMetrics;
    const options = {
      classes: p.classes,
      aggregate: 'samples',
      absent: random.pick(['skip', 'agree']),
      classNames: named(p.classes, 'c'),
    };
    const several = p.classes === 1 || random.chance(0.3);
    if (several) Object.assign(options, { decision: 'threshold', threshold: [0.25, 0.5] });
    else options.regions = { one: [0], two: [0, 1] };
    const name = random.pick(['update', 'updateAsync']);
    return {
      args: [options, p.predictions, p.target, { sample: named(p.samples, 's') }, 0.25],
      call: (_by, given, predictions, target, sample, threshold) =>
        updated(Metrics, name, [given, predictions, target, sample], (metrics) => {
          if (several) metrics.at(threshold).perClass('dice');
          else metrics.perSample('dice');
          copied(Metrics, metrics);
        }),
    };
  },
  samples(random) {
    const p = problem(random, false);
    const { Metrics, names, own } = random.pick(sampleMetrics);
    const options = { classes: p.classes, spacing: [1, 2], classNames: named(p.classes, 'c') };
    if (p.classes === 1) Object.assign(options, { decision: 'threshold', threshold: 0.5 });
    else if (random.chance(0.3)) options.regions = { all: [0, 1] };
    Object.assign(options, own(options.regions ? 1 : p.classes, random));
    const name = random.pick(['update', 'updateAsync']);
    const sample = p.samples === 1 && random.chance(0.5) ? 'a' : named(p.samples, 's');
    return {
      args: [options, p.predictions, p.target, { spacing: [2, 1], sample }, random.pick(names)],
      call: (_by, given, predictions, target, more, score) =>
        updated(Metrics, name, [given, predictions, target, more], (metrics) => {
          metrics.perClass(score);
          metrics.average(score);
          copied(Metrics, metrics);
        }),
    };
  },
  stateOfSamples(random) {
    const { Metrics, names } = random.pick(sampleMetrics);
    const metrics = counted(Metrics);
    const name = random.pick(['fromJSON', 'merge', 'perClass', 'perSample', 'average']);
    if (name === 'fromJSON') return method(Metrics, name, [JSON.parse(JSON.stringify(metrics))]);
    if (name === 'merge')
      return method(metrics, name, [new Metrics({ classes: 2, decision: 'labels' })]);
    const out = name === 'perClass' ? [{ out: new Float64Array(2) }] : [];
    return method(metrics, name, [names[0], ...out]);
  },
  report(random) {
    const aggregate = random.pick(['samples', 'global']);
    const classNames = ['a', 'b'];
    const several = random.chance(0.5);
    const count = (aggregate) => counted(warpdice.SegmentationMetrics, { aggregate, classNames });
    const others = sampleMetrics.map(({ Metrics }) => counted(Metrics, { classNames }));
    return {
      args: [
        several ? [count('samples'), ...others] : count(aggregate),
        { scores: ['dice', 'iou'] },
        { samples: false },
      ],
      call(_by, given, options, shown) {
        const made = warpdice.report(given, options);
        made.toString(shown);
        made.toCsv();
        JSON.stringify(made);
        if (several || aggregate === 'samples') made.toSvg();
      },
    };
  },
};
