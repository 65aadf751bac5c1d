// Calls the private binding with numbers that no call of lib/ passes, one or two of them wrong at a time. A wrong number may give
// an error or nothing, but must not end the process. Prints how many calls were made, and how many of them threw.
import { createRequire } from 'node:module';

const addon = createRequire(import.meta.url)(process.argv[2]);
const rounds = Number(process.argv[3]);
const hostile = [
  0,
  -1,
  -2,
  1,
  2,
  3,
  7,
  0.5,
  2 ** 20,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 53,
  2 ** 60,
  2 ** 62,
  2 ** 63,
  -(2 ** 63),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  undefined,
];

let state = 1;
const below = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};

const bytes = new ArrayBuffer(4096);
const arrays = [
  new Float32Array(8),
  new Float64Array(8),
  new Float64Array(600),
  new Uint8Array(8),
  new Uint8Array(bytes, 1, 256), // not aligned
  Object.defineProperty(new Uint8Array(bytes, 3, 256), Symbol.toStringTag, {
    value: 'Float64Array',
  }),
  new Int32Array(4),
  new BigInt64Array(4),
  new Uint16Array(8),
  new Int16Array(8),
  new Uint8Array(0),
];

const lossOptions = {
  kind: 0,
  reduction: 1,
  activation: 2,
  pooled: false,
  background: true,
  squared: true,
  channelsLast: false,
  smoothNumerator: 0,
  smoothDenominator: 0,
};
const losses = [
  lossOptions,
  { ...lossOptions, pooled: true },
  { ...lossOptions, ignoreIndex: Float64Array.of(1, 255, -7) },
  { ...lossOptions, reduction: 0 },
  { ...lossOptions, activation: 1, crossEntropyFactor: 1, focalFactor: 1 },
  { ...lossOptions, kind: 3, channelsLast: true, absent: 1 },
  { ...lossOptions, classWeights: new Float64Array(2) },
  ...[1, 3, 4, 5].map((direct) => ({ ...lossOptions, direct, iterations: 2, pooled: direct > 3 })),
].map((options) => new addon.Loss(options));

const calls = {
  call: {
    steps: 7,
    samples: 1,
    classes: 2,
    voxels: 4,
    predictions: arrays[0],
    target: arrays[3],
    targetType: 4,
    targetIsLabels: true,
    statistics: arrays[2],
    statisticsSamples: 0,
    sampleOffset: 0,
    upstream: new Float64Array(8),
    scale: 1,
    value: new Float64Array(8),
    perClass: new Float64Array(8),
    parts: new Float64Array(24),
    grad: new Float32Array(8),
    targetGrad: new Float64Array(8),
    accumulate: false,
    channels: 0,
    sizes: [2, 2],
    spacing: [1, 0.5],
  },
  count: {
    decision: 0,
    threshold: 0.5,
    samples: 1,
    classes: 2,
    voxels: 4,
    channelsLast: false,
    predictions: arrays[0],
    target: arrays[3],
    targetType: 4,
    targetIsLabels: true,
    oneHotAxes: 3,
    channels: 0,
  },
  resampling: {
    from: arrays[0],
    elementBytes: 4,
    outer: 1,
    fromSizes: [8],
    toSizes: [4],
    inner: 1,
    to: new Float32Array(8),
  },
};
const isNumber = (name) =>
  /^(steps|samples|classes|voxels|statisticsSamples|sampleOffset|scale|decision|threshold|elementBytes|outer|inner|ignoreIndex|oneHotAxes|channels)$|Type$/.test(
    name,
  );
const isArray = (name) =>
  /^(predictions|target|weight|statistics|upstream|pairs|value|perClass|parts|grad|targetGrad|counts|from|to)$/.test(
    name,
  );

let made = 0;
let threw = 0;
function attempt(call) {
  made++;
  try {
    call();
  } catch (error) {
    threw++;
    if (!(error instanceof Error)) throw new Error(`threw ${error}`);
  }
}

const ignoring = [
  ...hostile,
  ...[[1, 255], [], [Number.NaN], [1, 1e300], new Array(17)].map((list) => Float64Array.from(list)),
  new Uint8Array(2),
];

/** Values of which one or two are wrong. */
function spoilt(names, good) {
  const values = { ...good };
  for (let i = 0; i <= below(2); i++) {
    const name = names[below(names.length)];
    if (name === 'ignoreIndex') values[name] = ignoring[below(ignoring.length)];
    else if (isNumber(name))
      values[name] =
        /Type$|^steps$/.test(name) && below(2) ? below(16) : hostile[below(hostile.length)];
    else if (isArray(name)) values[name] = arrays[below(arrays.length)];
    else if (name === 'names') values[name] = lists[below(lists.length)];
    else if (/sizes$|^spacing$/i.test(name))
      values[name] = Array.from({ length: below(4) }, () => hostile[below(hostile.length)]);
    else values[name] = [true, false, undefined, 2 ** 31, -3][below(5)];
  }
  return listed(names, values);
}

/** By decision, and with and without counts of each sample: those with them have thresholds or regions. */
const all = [0, 0, 1, 1, 2, 2].map((decision, i) => {
  const more = decision === 1 ? [undefined, [0.2, 0.7]] : [[[1], [0, 1], []]];
  return new addon.Counts(decision, 2, i % 2 === 1, ...(i % 2 ? more : []));
});
const lists = [undefined, ['a'], ['a', ''], [[1]], [[-1, 9]], [['a']], [NaN], Array(3), {}, 'ab'];

const { call: callNames, count: countNames, resampling } = addon.contract.arguments;
// The calls as they are work: what is refused below is refused for what was changed.
const listed = (names, values) =>
  names.map((name) => values[name] ?? (/Type$/.test(name) ? 0 : undefined));
losses[0].run(...listed(callNames, calls.call));
all[0].count(...listed(countNames, calls.count));
for (let i = 0; i < rounds; i++) {
  const loss = losses[below(losses.length)];
  const steps = [1, 2, 4, 6, 7, 8, 15, 0][below(8)];
  const values = spoilt(callNames, { ...calls.call, steps });
  attempt(() => loss.run(...values));
  attempt(() => loss.check(...values));
  const decision = below(3);
  const labels = decision === 2;
  const counts = all[decision * 2 + below(2)];
  const [predictions, predictionsType] = labels ? [arrays[3], 4] : [arrays[0], 0];
  const batch = { ...calls.count, decision, predictions, predictionsType };
  attempt(() => counts.count(...spoilt(countNames, batch)));
  const list = () => lists[below(lists.length)];
  const number = () => hostile[below(hostile.length)];
  const array = () => arrays[below(arrays.length)];
  attempt(
    [
      () => counts.set(number(), array(), array(), list()),
      () => counts.read(array(), array()),
      () => counts.classes(array()),
      () => counts.confusion(array()),
      () => counts.add(array(), number(), false, list()),
      () => counts.names(),
      () => counts.merge(all[below(6)]),
      () => counts.reset(),
      () => new addon.Counts(below(4), number(), below(2) === 1, list(), list()),
    ][below(9)],
  );
  attempt(() => addon.resampleNearest(...spoilt(resampling, calls.resampling)));
}
// The two that ended the process before sizes were checked.
const zeroVoxels = { ...calls.call, steps: 2, voxels: 0 };
attempt(() => losses[0].run(...listed(callNames, zeroVoxels)));
const zeroClasses = { ...calls.count, decision: 2, classes: 0, predictions: arrays[3] };
attempt(() => all[4].count(...listed(countNames, { ...zeroClasses, predictionsType: 4 })));
console.log(JSON.stringify({ made, threw }));
