// try.mjs <path of warpdice's package>: what every platform must do, on the Node (Bun, Deno) that runs this. Prints JSON:
// where it ran, the SIMD target and compiler, and the bits of values and gradients, which scripts/try-prebuilt.mjs compares.
import { createHash } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const [folder] = isMainThread ? process.argv.slice(2) : [workerData];
const load = (file) => import(pathToFileURL(path.join(folder, file)).href);
const warpdice = await load('dist/index.js');
const { native } = await load('dist/native/load.js');
const {
  Device,
  DiceCELoss,
  DiceFocalLoss,
  DiceLoss,
  GeneralizedDiceLoss,
  JaccardLoss,
  MatthewsLoss,
  TverskyLoss,
  setThreads,
} = warpdice;

const losses = {
  DiceLoss,
  JaccardLoss,
  TverskyLoss,
  GeneralizedDiceLoss,
  MatthewsLoss,
  DiceCELoss,
  DiceFocalLoss,
};
const [N, C, S] = [2, 3, 20_011];

/** Numbers from integers alone, the same everywhere: k/1024 in [-2, 2). */
function inputs(FloatArray, activation) {
  let state = 1;
  const word = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 16;
  };
  const below = activation === 'none' ? 1024 : 4096;
  const from = activation === 'none' ? 0 : 2048;
  const predictions = FloatArray.from(
    { length: N * C * S },
    () => ((word() % below) - from) / 1024,
  );
  const target = Uint8Array.from({ length: N * S }, () => word() % C);
  return [predictions, target];
}

function compute() {
  const results = {};
  for (const [name, Loss] of Object.entries(losses)) {
    for (const [dtype, FloatArray] of Object.entries({
      float32: Float32Array,
      float64: Float64Array,
    })) {
      for (const activation of ['none', 'sigmoid', 'softmax']) {
        if (activation === 'none' && /CE|Focal/.test(name)) continue; // refused
        const loss = new Loss({ activation, reduction: 'mean' });
        const [predictions, target] = inputs(FloatArray, activation);
        const shape = [N, C, S];
        const { value, grad } = loss.valueAndGrad(
          { data: predictions, shape },
          { data: target, shape: [N, S] },
        );
        const gradient = grad.data;
        const bits = createHash('sha256').update(
          new Uint8Array(gradient.buffer, gradient.byteOffset, gradient.byteLength),
        );
        const some = Array.from({ length: 64 }, (_, i) => gradient[i * 1871]);
        results[`${name} ${dtype} ${activation}`] = {
          value: value.itemSync(),
          some,
          bits: bits.digest('hex'),
        };
      }
    }
  }
  return results;
}

if (!isMainThread) {
  parentPort.postMessage(compute());
} else {
  const results = compute();
  const same = (other) => JSON.stringify(other) === JSON.stringify(results);
  const problems = [];
  for (const threads of [1, 7]) {
    setThreads(threads);
    if (!same(compute())) problems.push(`other bits with ${threads} threads`);
  }
  // One after another, so that the addon is loaded and let go of several times while its pool runs.
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: folder });
    const message = await new Promise((resolve, reject) =>
      worker.on('message', resolve).on('error', reject),
    );
    if (!same(message)) problems.push('other bits in a worker');
    await worker.terminate();
  }
  setThreads(2);
  if (!same(compute())) problems.push('other bits after the workers');
  try {
    new DiceLoss().value(
      { data: new Float32Array(4), shape: [1, 1, 4] },
      { data: new Uint8Array([0, 9, 1, 0]), shape: [1, 4] },
    );
    problems.push('a label of 9 was accepted');
  } catch (error) {
    if (error.code !== 'ERR_LABEL_RANGE') problems.push(`a label of 9: ${error.message}`);
  }

  const runtime = process.versions.bun
    ? `Bun ${process.versions.bun}`
    : process.versions.deno
      ? `Deno ${process.versions.deno}`
      : `Node ${process.versions.node}`;
  await new DiceLoss().valueAsync(
    { data: new Float32Array(4), shape: [1, 1, 4] },
    { data: new Uint8Array(4), shape: [1, 4] },
  );
  console.log(
    JSON.stringify({
      runtime: `${runtime} on ${process.platform}-${process.arch}`,
      simd: warpdice.simdTarget(),
      compiler: native.compiler(),
      gpu: Device.whyNoGpu ?? 'a GPU',
      problems,
      results,
    }),
  );
}
