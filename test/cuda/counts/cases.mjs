// What is counted: shapes, dtypes and losses.

const dtypes = { float32: 4, float16: 2, bfloat16: 2 };
const targets = { uint8: 1, int32: 4, int64: 8, dense: 4 };

/** A large shape of so many classes, 8 samples. */
const large = (classes) =>
  classes > 256
    ? [8, classes, 512, 128]
    : [8, classes, ...(classes > 64 ? [512, 512] : [1024, 1024])];

function one(classes, more = {}) {
  const layout = more.layout ?? 'channels-first';
  const shape = more.shape ?? large(classes);
  return {
    classes,
    shape: layout === 'channels-last' ? [shape[0], ...shape.slice(2), classes] : shape,
    dtype: more.dtype ?? 'float32',
    labels: more.labels ?? 'uint8',
    layout,
    loss: more.loss ?? 'dice',
    voxelWeights: more.voxelWeights ?? 'none', // 'ignore': an ignoreIndex
    channels: more.channels ?? 0, // of a head
  };
}

const some = [1, 2, 4, 8, 9, 16, 19, 32, 64, 117, 150, 1000];
const few = [1, 4, 8, 19, 32];

/** Every row of the table. */
export const cases = [
  ...some.map((classes) => one(classes)),
  // Where the number of threads that share a voxel changes, and between.
  ...[
    3, 5, 6, 10, 11, 20, 21, 25, 40, 41, 50, 80, 81, 100, 160, 161, 200, 256, 320, 321, 400, 640,
    641,
  ].map((classes) => one(classes)),
  one(4, { shape: [4, 4, 512, 512] }),
  one(1, { shape: [4, 1, 512, 512] }),
  ...[2, 4, 8, 19, 32, 64, 150].map((classes) => one(classes, { layout: 'channels-last' })),
  ...few.map((classes) => one(classes, { dtype: 'float16' })),
  ...few.map((classes) => one(classes, { dtype: 'bfloat16' })),
  one(117, { dtype: 'float16' }),
  one(19, { dtype: 'bfloat16', layout: 'channels-last' }),
  ...[1, 4, 8, 19, 32, 64, 150].map((classes) => one(classes, { loss: 'dice-ce' })),
  one(4, { loss: 'dice-ce', dtype: 'float16' }),
  ...[1, 4, 19, 150].map((classes) => one(classes, { labels: 'int64' })),
  ...[1, 4, 19].map((classes) => one(classes, { labels: 'dense' })),
  ...[1, 4, 19].map((classes) => one(classes, { voxelWeights: 'weight' })),
  ...[1, 4, 19].map((classes) => one(classes, { voxelWeights: 'ignore' })),
  one(117, { shape: [8, 117, 128, 128], channels: 32 }),
  one(117, { shape: [8, 117, 128, 128], channels: 32, loss: 'dice-ce' }),
  one(19, { shape: [4, 19, 256, 256], channels: 64 }),
  one(117, { shape: [8, 117, 128, 128], channels: 32, dtype: 'float16' }),
  one(117, { shape: [8, 117, 128, 128], channels: 32, dtype: 'bfloat16' }),
].sort((a, b) => order(a) - order(b) || a.classes - b.classes);

/** The rows that are counted for other architectures too, with the kernels of teams.cu. */
export const everywhere = [
  ...[1, 2, 3, 4, 8, 19, 64, 150].map((classes) => one(classes)),
  ...[4, 19].map((classes) => one(classes, { layout: 'channels-last' })),
];

/** Of which step 2 is counted. */
export const finishes = [
  ...[1, 2, 4, 8, 19, 32, 64, 150].map((classes) => one(classes)),
  one(4, { shape: [4, 4, 512, 512] }),
  ...[4, 32, 150].map((classes) => one(classes, { loss: 'dice-ce' })),
];

/** A loss of float32 logits and uint8 labels, channels first, by the number of classes: what counts.svg shows. */
export const everyClass = Array.from({ length: 1000 }, (_, i) => ({
  ...one(i + 1),
  byRounds: true,
}));

function order({ dtype, layout, loss, labels, voxelWeights, channels }) {
  return (
    Object.keys(dtypes).indexOf(dtype) +
    (layout === 'channels-last' ? 10 : 0) +
    (loss === 'dice-ce' ? 20 : 0) +
    (labels === 'uint8' ? 0 : 40) +
    (voxelWeights === 'none' ? 0 : 80) +
    (channels > 0 ? 160 : 0)
  );
}

/** As launches.cc reads it. */
export function argumentOf({
  classes,
  shape,
  dtype,
  labels,
  layout,
  loss,
  voxelWeights,
  channels,
}) {
  const voxels = shape.slice(1).reduce((product, size) => product * size) / classes;
  const activation = classes === 1 ? 'sigmoid' : 'softmax';
  return [
    ...[shape[0], classes, voxels],
    ...[
      layout === 'channels-last' ? 'last' : 'first',
      dtype,
      labels,
      activation,
      loss,
      voxelWeights,
      channels,
    ],
  ].join(':');
}

/** What a launch must move: bytes of an element and of a voxel. */
export function traffic({ classes, dtype, labels, voxelWeights, channels }, kernel) {
  const size = dtypes[dtype];
  const ofVoxel =
    (labels === 'dense' ? targets.dense * classes : targets[labels]) +
    (voxelWeights === 'weight' ? 4 : 0);
  const passes = kernel === 'gradient' ? 2 : 1;
  return size * passes * (channels > 0 ? channels / classes : 1) + ofVoxel / classes;
}

/** In one line, for people. */
export function titleOf(of) {
  const { classes, shape, dtype, labels, layout, loss, voxelWeights, channels = 0 } = of;
  const words = [`C = ${classes}`, `[${shape}]`, dtype, labels, loss];
  if (channels > 0) words.push(`from ${channels} features`);
  if (layout === 'channels-last') words.push('channels last');
  if (voxelWeights !== 'none') words.push(voxelWeights === 'ignore' ? 'ignoreIndex' : 'weights');
  return words.join(' ');
}
