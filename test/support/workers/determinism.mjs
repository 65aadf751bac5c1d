// Solves large problems with 1, 2 and 7 threads, each several times, and compares the bits. Prints, as JSON, the SIMD target, what
// differed, and the values and a sample of the gradients for comparison with other targets.
import { DiceLoss, setThreads, simdTarget } from '../../../dist/index.js';

let state = 1;
const uniform = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

/** Voxels: a quarter of them unless all tests are run; no vector, block or partition divides either number. */
const part = (voxels) => (process.env.WARPDICE_TEST_ALL ? voxels : (voxels >> 2) | 1);
// 25 to 120 partitions of at most 32768 elements, or 7 to 30.
const cases = {
  binary: { shape: [1, 1, part(2_000_003)], options: { activation: 'sigmoid' } },
  'four classes': {
    shape: [2, 4, part(500_009)],
    options: { activation: 'softmax', ignoreIndex: 3 },
  },
  'many classes, channels last': {
    shape: [1, part(60_013), 19],
    options: { activation: 'softmax', layout: 'channels-last' },
  },
  'probabilities, dense, weighted': {
    shape: [3, 2, part(200_003)],
    options: { batch: true, denominator: 'linear' },
    dense: true,
    weighted: true,
  },
  float64: { shape: [1, 3, part(300_007)], options: { activation: 'softmax' }, type: Float64Array },
  bfloat16: { shape: [1, 3, part(300_007)], options: { activation: 'softmax' }, type: Uint16Array },
};

const different = [];
const results = {};
for (const [name, { shape, options, dense, weighted, type = Float32Array }] of Object.entries(
  cases,
)) {
  const last = options.layout === 'channels-last';
  const voxels = last ? shape.slice(0, -1) : [shape[0], ...shape.slice(2)];
  const C = last ? shape.at(-1) : shape[1];
  const size = (sizes) => sizes.reduce((a, b) => a * b, 1);
  const data = new type(size(shape));
  for (let i = 0; i < data.length; i++) {
    const z = options.activation ? 8 * uniform() - 4 : uniform();
    // The upper half of a float32 is a bfloat16: numbers from 1 to 4 and their negatives.
    data[i] = type === Uint16Array ? (z < 0 ? 0xbf80 : 0x3f80) + ((z * 100) & 0xff) : z;
  }
  const predictions = { data, shape, ...(type === Uint16Array ? { dtype: 'bfloat16' } : {}) };
  const mask = new Uint8Array(size(dense ? shape : voxels));
  for (let i = 0; i < mask.length; i++) mask[i] = uniform() * (dense || C === 1 ? 2 : C);
  const target = { data: mask, shape: dense ? shape : voxels };
  const call = { gradScale: 1000, ...(type === Uint16Array ? { gradDtype: 'float32' } : {}) };
  if (weighted)
    call.weight = { data: Float32Array.from(new Array(size(voxels)), uniform), shape: voxels };

  const loss = new DiceLoss(options);
  let expected;
  for (const threads of [1, 2, 7, 2, 7, 1]) {
    setThreads(threads);
    const { value, perClass, grad } = loss.valueAndGrad(predictions, target, call);
    const bits = [value, perClass, grad].map((x) =>
      Buffer.from(x.data.buffer, x.data.byteOffset, x.data.byteLength),
    );
    expected ??= bits;
    if (!bits.every((b, i) => b.equals(expected[i]))) different.push(`${name}, ${threads} threads`);
    if (threads === 1 && !results[name]) {
      const largest = grad.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const sample = Array.from(
        { length: 2000 },
        (_, i) => grad.data[(i * 7919) % grad.data.length],
      );
      results[name] = { value: value.itemSync(), perClass: [...perClass.data], largest, sample };
    }
  }
}
console.log(JSON.stringify({ target: simdTarget(), different, results }));
