// What docs/accuracy.md says of the gradient of a float32 softmax: its error is at most 8 * 2^-24 of the largest dL/dp, to
// which a cross-entropy adds its weight per voxel. Of the gradient itself it can be more: where every voxel is decided, the
// gradient is much smaller than dL/dp.
import { expect, test } from '@jest/globals';
import { type Problem, type ReferenceOptions, reference } from '../reference/reference.js';
import { makeLoss } from '../support/losses.js';
import { Random } from '../support/random.js';
import { numbers, tensor } from '../support/tensors.js';

const { abs, exp, max } = Math;
const largest = (x: Float64Array) => x.reduce((a, b) => max(a, abs(b)), 0);

/** Of [N, C, S]. */
function softmax(z: Float64Array, N: number, C: number, S: number): Float64Array {
  const p = new Float64Array(z.length);
  for (let n = 0; n < N; n++) {
    for (let s = 0; s < S; s++) {
      const at = Array.from({ length: C }, (_, c) => (n * C + c) * S + s);
      const most = max(...at.map((i) => z[i] as number));
      const total = at.reduce((sum, i) => sum + exp((z[i] as number) - most), 0);
      for (const i of at) p[i] = exp((z[i] as number) - most) / total;
    }
  }
  return p;
}

const all = Boolean(process.env.WARPDICE_TEST_ALL);
test(`in ${all ? 2000 : 100} random cases`, () => {
  const random = new Random(11);
  for (let i = 0; i < (all ? 2000 : 100); i++) {
    const [N, C, S] = [1 + random.integer(2), 2 + random.integer(7), 20 + random.integer(100)];
    const lead = 8 * random.uniform(); // of one logit, the right one or another
    const right = random.uniform();
    const labels = random.array(N * S, () => random.integer(C));
    labels[0] = 0;
    const ahead = Array.from(labels, (y) => (random.uniform() < right ? y : random.integer(C)));
    ahead[0] = 1; // a perfect match has no scale
    const z = numbers(
      tensor(
        random
          .array(N * C * S, () => 2 * random.uniform() - 1)
          .map((x, j) => {
            const n = Math.floor(j / (C * S));
            return x + (ahead[n * S + (j % S)] === Math.floor(j / S) % C ? lead : 0);
          }),
        [N, C, S],
        'float32',
      ),
    );
    const loss = (['dice', 'jaccard', 'tversky', 'generalized'] as const)[random.integer(4)];
    const options: ReferenceOptions = {
      denominator: random.integer(2) ? 'squared' : 'linear',
      batch: random.integer(2) === 1,
      background: random.integer(4) > 0,
    };
    const weight = random.integer(2);
    const name = loss as 'dice';
    const problem: Problem = {
      loss: name,
      N,
      C,
      S,
      predictions: z,
      labels,
      options: {
        ...options,
        activation: 'softmax',
        ...(weight && { crossEntropy: { weight } }),
      },
    };
    const predictions = tensor(z, [N, C, S], 'float32');
    const { grad } = makeLoss(name, problem.options as ReferenceOptions).valueAndGrad(
      predictions,
      tensor(labels, [N, S], 'uint8'),
    );
    const overlap = { ...problem, predictions: softmax(z, N, C, S), options };
    const scale = largest(reference(overlap).gradient) + weight / (N * S);
    const { gradient } = reference(problem);
    const errors = numbers(grad).map((g, j) => g - (gradient[j] as number));
    expect(largest(errors) / (2 ** -24 * scale)).toBeLessThanOrEqual(8);
  }
});
