// print-digests.mjs <path of dist/index.js> [n]: a digest of the bits of every result, group by group, as JSON; of every nth group.
// digests.test.ts compares them with digests.json: a change of the code that alters a single bit is seen.
// Inputs come from integers alone, so that they are the same wherever this runs.
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const warpdice = await import(pathToFileURL(process.argv[2]).href);
const { DeepSupervision, SegmentationMetrics, Tensor } = warpdice;

const every = Number(process.argv[3] ?? 1);
let counted = 0;
/** Whether the next group is to be computed. */
const wanted = () => counted++ % every === 0;

const tables = {
  3: [
    [0, 1, 2],
    [1, 0, 1],
    [2, 1, 0],
  ],
  5: Array.from({ length: 5 }, (_, i) => Array.from({ length: 5 }, (_, j) => Math.abs(i - j) / 4)),
};
/** Name, class, options for C classes, and the activations it is tried with. */
const losses = [
  ['dice', 'DiceLoss', () => ({})],
  ['dice linear', 'DiceLoss', () => ({ denominator: 'linear', smoothNumerator: 1 })],
  ['dice minimum', 'DiceLoss', () => ({ overlap: 'minimum' })],
  ['dice batch', 'DiceLoss', () => ({ batch: true, absent: 'skip' })],
  ['jaccard log', 'JaccardLoss', () => ({ transform: 'log', gamma: 0.3 })],
  ['tversky', 'TverskyLoss', () => ({ alpha: 0.3, beta: 0.7, gamma: 4 / 3 })],
  ['generalized', 'GeneralizedDiceLoss', () => ({})],
  ['wasserstein', 'GeneralizedWassersteinDiceLoss', (C) => ({ distances: tables[C] })],
  ['dice + ce', 'DiceCELoss', () => ({ crossEntropy: { labelSmoothing: 0.1 } })],
  ['dice + focal', 'DiceFocalLoss', () => ({ focal: { gamma: 1.5 } })],
];
/** Losses of which a few small cases are enough: most are compiled once, for all SIMD targets. */
const others = [
  ['matthews', 'MatthewsLoss', { activation: 'softmax' }],
  ['matthews R_K', 'MatthewsLoss', { activation: 'softmax', average: 'multiclass' }],
  ['unified focal', 'UnifiedFocalLoss', {}],
  ['lovasz', 'LovaszLoss', {}],
  ['lovasz hinge', 'LovaszLoss', { hinge: true, batch: true }],
  ['top k', 'TopKCrossEntropyLoss', { labelSmoothing: 0.1 }],
  ['boundary', 'BoundaryLoss', { spacing: [1, 2] }],
  ['hausdorff', 'HausdorffLoss', { alpha: 1.5 }],
  ['cldice', 'SoftClDiceLoss', { alpha: 0.5 }],
];
const shapes = [
  [1, 2, 1],
  [2, 3, 33],
  [3, 5, 997],
  [2, 3, 20_011],
  [4, 1, 4099],
];

let state = 1;
const word = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state >>> 8;
};
/** Whole numbers of 1/65536 from -low to high. */
const uniform = (low, high) => low + (word() / 2 ** 24) * (high - low);
const float16 = new Map(); // of the few values below, exactly: k/64 with |k| < 2^10
for (let k = 1; k < 1024; k++) {
  const exponent = 31 - Math.clz32(k);
  float16.set(k, ((exponent + 9) << 10) | ((k << (10 - exponent)) & 1023));
}
const halfBits = (k) => (k === 0 ? 0 : float16.get(Math.abs(k)) | (k < 0 ? 0x8000 : 0));
const bfloatBits = (x) => new Uint32Array(Float32Array.of(x).buffer)[0] >>> 16;

function floats(dtype, count, low, high) {
  const range = Math.floor(high * 64) - Math.ceil(low * 64);
  const steps = new Int32Array(count);
  for (let i = 0; i < count; i++) steps[i] = Math.ceil(low * 64) + (word() % (range + 1));
  switch (dtype) {
    case 'float16':
      return Uint16Array.from(steps, halfBits);
    case 'bfloat16':
      return Uint16Array.from(steps, (k) => bfloatBits(k / 64));
    case 'float64':
      return Float64Array.from(steps, (k) => k / 64 + word() / 2 ** 40);
    default:
      return Float32Array.from(steps, (k) => k / 64 + word() / 2 ** 34);
  }
}

/** Below `below`. */
function integers(count, below) {
  const to = new Uint8Array(count);
  for (let i = 0; i < count; i++) to[i] = word() % below;
  return to;
}

const tensor = (data, shape, dtype) => Tensor.from(data, shape, dtype ? { dtype } : {});
const groups = {};
function digest(group, ...results) {
  groups[group] ??= createHash('sha256');
  for (const result of results) {
    const data = result?.data ?? result;
    if (data === undefined) continue;
    groups[group].update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
}

function arrange([N, C, S], last) {
  return last ? [N, S, C] : [N, C, S];
}

/** Predictions and targets of one kind, made once. */
const made = new Map();
function inputsOf(dtype, logits, shape, last) {
  const key = `${dtype} ${logits} ${shape} ${last}`;
  if (made.has(key)) return made.get(key);
  state = 7;
  const [N, C, S] = shape;
  const x = tensor(
    floats(dtype, N * C * S, ...(logits ? [-6, 6] : [0, 1])),
    arrange(shape, last),
    dtype,
  );
  const labels = tensor(integers(N * S, Math.max(C, 2)), [N, S]);
  const wide = tensor(Int32Array.from(labels.data), [N, S]);
  const dense = tensor(floats(dtype, N * C * S, 0, 1), arrange(shape, last), dtype);
  const weight = tensor(
    Float32Array.from(integers(N * S, 4), (k) => k / 2),
    [N, S],
  );
  const inputs = { x, labels, wide, dense, weight };
  made.set(key, inputs);
  return inputs;
}

for (const [name, type, optionsOf] of losses) {
  for (const dtype of ['float32', 'float64', 'float16', 'bfloat16']) {
    for (const activation of ['none', 'sigmoid', 'softmax']) {
      if (!wanted()) continue;
      const group = `${name} ${dtype} ${activation}`;
      for (const shape of shapes) {
        const C = shape[1];
        if (activation === 'softmax' && C === 1) continue;
        if (activation === 'none' && name.includes('+')) continue;
        if (type.includes('Wasserstein') && (!tables[C] || activation === 'sigmoid')) continue;
        for (const last of [false, true]) {
          const layout = last ? 'channels-last' : 'channels-first';
          const options = { ...optionsOf(C), activation, layout };
          const loss = new warpdice[type](options);
          const inputs = inputsOf(dtype, activation !== 'none', shape, last);
          const { x, labels, wide, dense, weight } = inputs;
          const calls = [
            [labels, {}],
            [wide, { weight }],
            [dense, {}],
            [dense, { weight }],
          ];
          for (const [target, call] of calls) {
            const { value, perClass, parts, grad } = loss.valueAndGrad(x, target, call);
            digest(group, value, perClass, parts, grad);
            const sums = loss.statistics(x, target, call);
            digest(group, sums.data, loss.gradient(x, target, sums, call));
            if (target === dense) digest(group, loss.targetGradient(x, target, sums, call));
          }
          if (dtype === 'float16' || dtype === 'bfloat16') {
            digest(group, loss.valueAndGrad(x, labels, { gradDtype: 'float32' }).grad);
          }
          const ignoring = new warpdice[type]({ ...options, ignoreIndex: 0 });
          digest(group, ignoring.valueAndGrad(x, labels).grad);
        }
      }
    }
  }
}

for (const [name, type, options] of others) {
  for (const dtype of ['float32', 'float64']) {
    for (const last of [false, true]) {
      const [N, C, H, W] = [2, 3, 14, 23];
      const { x, labels } = inputsOf(dtype, true, [N, C, H * W], last);
      const logits = tensor(x.data, last ? [N, H, W, C] : [N, C, H, W]);
      const loss = new warpdice[type]({
        ...options,
        layout: last ? 'channels-last' : 'channels-first',
      });
      const { value, perClass, parts, grad } = loss.valueAndGrad(logits, labels.view([N, H, W]));
      digest(`${name} ${dtype}`, value, perClass, parts, grad);
    }
  }
}

// Beyond the caches: the order of the steps, what is kept and how it is written are chosen by size.
// 24 MiB of logits and gradient together is what the engine takes for the cache; two samples of three are over it.
state = 11;
const many = Float32Array.from({ length: 1 << 16 }, () => uniform(-6, 6));
for (const [activation, C] of [
  ['softmax', 3],
  ['sigmoid', 1],
  ['softmax', 19],
]) {
  for (const samples of [3, 1]) {
    const S = Math.floor(4_200_000 / C / samples) - 5;
    const x = Tensor.empty([samples, C, S]);
    for (let i = 0; i < x.data.length; i += 65_521) {
      x.data.set(many.subarray(0, Math.min(65_521, x.data.length - i)), i);
    }
    const labels = tensor(integers(samples * S, Math.max(C, 2)), [samples, S]);
    const { value, grad } = new warpdice.DiceLoss({ activation }).valueAndGrad(x, labels);
    digest(`large ${activation} ${C}`, value, grad);
  }
}

state = 13;
{
  const labels = tensor(integers(2 * 32 * 48, 3), [2, 32, 48]);
  const scales = [
    [32, 48],
    [16, 24],
    [8, 12],
  ].map(([h, w]) => tensor(floats('float32', 2 * 3 * h * w, -4, 4), [2, 3, h, w]));
  const loss = new DeepSupervision(new warpdice.DiceCELoss(), [1, 0.5, 0.25]);
  const result = loss.valueAndGrad(scales, labels);
  digest('deep supervision', result.value, ...result.scales.map(({ grad }) => grad));
  const metrics = new SegmentationMetrics({ classes: 3 });
  metrics.update(scales[0], labels);
  const scores = [
    'dice',
    'iou',
    'precision',
    'recall',
    'specificity',
    'volumeSimilarity',
    'accuracy',
  ];
  digest('metrics', Float64Array.from(scores.flatMap((score) => [...metrics.perClass(score)])));
}

const digests = Object.entries(groups).map(([name, hash]) => [
  name,
  hash.digest('hex').slice(0, 16),
]);
console.log(
  JSON.stringify({ simd: warpdice.simdTarget(), digests: Object.fromEntries(digests) }, null, 1),
);
