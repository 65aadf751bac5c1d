// The losses in TensorFlow.js (cpu backend) against the same formula composed from its own operations.
import { beforeAll, describe, expect, test } from '@jest/globals';
import { DiceLoss, JaccardLoss, type LossOptions } from '../../lib/index.js';
import { tfLoss } from '../../lib/tfjs.js';
import { Random } from '../support/random.js';
import * as tf from '../support/tensorflow.js';

const { abs, max } = Math;

beforeAll(async () => {
  tf.env().set('IS_TEST', true); // no advice to install tfjs-node
  await tf.setBackend('cpu');
});

const classes = { dice: DiceLoss, jaccard: JaccardLoss } as const;
type Kind = keyof typeof classes;

/** The loss from TensorFlow.js operations, channels last. `target` is one-hot, zero where a voxel is ignored. */
function composed(kind: Kind, o: LossOptions, target: tf.Tensor, z: tf.Tensor, mask?: tf.Tensor) {
  const C = z.shape.at(-1) as number;
  const activated =
    o.activation === 'softmax' ? tf.softmax(z) : o.activation === 'sigmoid' ? tf.sigmoid(z) : z;
  const p = mask ? tf.mul(activated, mask) : activated;
  const power = (x: tf.Tensor) => (o.denominator === 'linear' ? x : tf.square(x));
  const axes = [...z.shape.keys()].slice(o.batch ? 0 : 1, -1);
  const sum = (x: tf.Tensor) => (axes.length === 0 ? x : tf.sum(x, axes));
  const I = sum(tf.mul(p, target));
  const PT = tf.add(sum(power(p)), sum(power(target)));
  const sn = o.smoothNumerator ?? 0;
  const sd = o.smoothDenominator ?? 1e-7;
  const ratio =
    kind === 'dice'
      ? tf.div(tf.add(tf.mul(I, 2), sn), tf.add(PT, sd))
      : tf.div(tf.add(I, sn), tf.add(tf.sub(PT, I), sd));
  const counted = Array.from({ length: C }, (_, c): number =>
    o.background === false && c === 0 ? 0 : 1,
  );
  const weights = counted.map((one, c): number => one * (o.classWeights?.[c] ?? 1));
  const L = tf.mul(tf.sub(1, ratio), tf.tensor1d(weights));
  if (o.reduction === 'none') return L;
  const groups = o.batch ? 1 : (z.shape[0] as number);
  const number = groups * counted.reduce((a, b) => a + b, 0);
  return tf.div(tf.sum(L), o.reduction === 'sum' ? 1 : number);
}

/** yPred of a shape, and class indices for it. */
function problem(shape: readonly number[], seed: number, activation?: string) {
  const random = new Random(seed);
  const C = shape.at(-1) as number;
  const size = shape.reduce((a, b) => a * b, 1);
  const raw = Float32Array.from({ length: size }, () => random.uniform());
  const z = tf.tensor(activation ? raw.map((x) => 6 * x - 3) : raw, [...shape]);
  const indices = Int32Array.from({ length: size / C }, () => random.integer(C));
  return { z, indices, labels: tf.tensor(indices, shape.slice(0, -1), 'int32'), C };
}

/** Largest difference, as a part of the largest value. */
function difference(a: tf.Tensor, b: tf.Tensor): number {
  expect(a.shape).toEqual(b.shape);
  const x = a.dataSync();
  const y = b.dataSync();
  let most = 1e-30;
  let off = 0;
  for (let i = 0; i < y.length; i++) {
    most = max(most, abs(y[i] as number));
    const d = abs((x[i] as number) - (y[i] as number));
    if (!(d <= off)) off = d;
  }
  return off / most;
}

describe('equal to the formula composed from TensorFlow.js operations', () => {
  const cases: [Kind, readonly number[], LossOptions][] = [
    ['dice', [2, 5, 4, 3], {}],
    ['dice', [2, 5, 4, 3], { activation: 'softmax' }],
    ['dice', [2, 5, 4, 3], { activation: 'sigmoid', denominator: 'linear' }],
    ['dice', [2, 5, 4, 3], { activation: 'softmax', batch: true, background: false }],
    ['dice', [3, 17, 2], { activation: 'softmax', classWeights: [0.5, 3], reduction: 'sum' }],
    ['dice', [2, 3, 4, 5, 4], { activation: 'softmax', smoothNumerator: 1, smoothDenominator: 1 }],
    ['dice', [2, 5, 4, 3], { activation: 'softmax', reduction: 'none', background: false }],
    ['dice', [2, 5, 4, 3], { activation: 'softmax', reduction: 'none', batch: true }],
    ['dice', [4, 3], { activation: 'softmax' }],
    ['dice', [2, 9, 9, 1], { activation: 'sigmoid' }],
    ['jaccard', [2, 5, 4, 3], { activation: 'softmax' }],
    ['jaccard', [2, 5, 4, 3], { denominator: 'linear', reduction: 'none' }],
    ['jaccard', [1, 40, 19], { activation: 'softmax', batch: true, background: false }],
  ];

  test.each(cases)('%s %j %j', (kind, shape, options) => {
    tf.tidy(() => {
      const { z, indices, C } = problem(shape, shape.length, options.activation);
      const mask = indices.map((_, i) => i % 2); // with one class the labels are a mask
      const labels = tf.tensor(C === 1 ? mask : indices, shape.slice(0, -1), 'int32');
      const dense =
        C === 1
          ? tf.cast(tf.reshape(labels, [...shape]), 'float32')
          : tf.cast(tf.oneHot(labels, C), 'float32');
      const loss = tfLoss(tf, classes[kind], options);
      const reference = tf.valueAndGrad((x: tf.Tensor) => composed(kind, options, dense, x));
      const expected = reference(z);
      for (const target of [labels, dense, tf.cast(dense, 'int32'), tf.cast(dense, 'bool')]) {
        const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => loss(target, x))(z);
        expect(difference(value, expected.value)).toBeLessThan(1e-6);
        expect(difference(grad, expected.grad)).toBeLessThan(1e-5);
        expect(value.dtype).toBe('float32');
      }
    });
  });

  test('a soft target', () => {
    tf.tidy(() => {
      const { z } = problem([2, 5, 4, 3], 1);
      const soft = tf.softmax(problem([2, 5, 4, 3], 2).z);
      const loss = tfLoss(tf, DiceLoss);
      const ours = tf.valueAndGrad((x: tf.Tensor) => loss(soft, x))(z);
      const theirs = tf.valueAndGrad((x: tf.Tensor) => composed('dice', {}, soft, x))(z);
      expect(difference(ours.value, theirs.value)).toBeLessThan(1e-6);
      expect(difference(ours.grad, theirs.grad)).toBeLessThan(1e-5);
    });
  });

  test.each([[255], [[255, -1]]])('ignoreIndex: %j', (ignoreIndex) => {
    tf.tidy(() => {
      const { z, indices, C } = problem([2, 5, 4, 3], 3, 'softmax');
      const ignored = [ignoreIndex].flat();
      const labels = tf.tensor(
        indices.map((c, i) => (i % 3 ? c : (ignored[i % ignored.length] as number))),
        [2, 5, 4],
        'int32',
      );
      const options = { activation: 'softmax' } as const;
      const dense = tf.cast(tf.oneHot(labels, C), 'float32'); // a row of zeros for what is ignored
      const counts = indices.map((_, i) => Number(i % 3 > 0));
      const mask = tf.tensor(Float32Array.from(counts), [2, 5, 4, 1]);
      const loss = tfLoss(tf, DiceLoss, { ...options, ignoreIndex });
      const ours = tf.valueAndGrad((x: tf.Tensor) => loss(labels, x))(z);
      const theirs = tf.valueAndGrad((x: tf.Tensor) => composed('dice', options, dense, x, mask))(
        z,
      );
      expect(difference(ours.value, theirs.value)).toBeLessThan(1e-6);
      expect(difference(ours.grad, theirs.grad)).toBeLessThan(1e-5);
    });
  });

  test("layout: 'channels-first'", () => {
    tf.tidy(() => {
      const { z, labels } = problem([2, 5, 4, 3], 4, 'softmax');
      const options = { activation: 'softmax' } as const;
      const last = tfLoss(tf, DiceLoss, options);
      const first = tfLoss(tf, DiceLoss, { ...options, layout: 'channels-first' });
      const move = (x: tf.Tensor) => tf.transpose(x, [0, 3, 1, 2]);
      const a = tf.valueAndGrad((x: tf.Tensor) => last(labels, x))(z);
      for (const target of [labels, move(tf.oneHot(labels, 3))]) {
        const b = tf.valueAndGrad((x: tf.Tensor) => first(target, x))(move(z));
        expect(difference(b.value, a.value)).toBeLessThan(1e-6);
        expect(difference(b.grad, move(a.grad))).toBeLessThan(1e-6);
      }
    });
  });

  test('the example of the documentation', () => {
    tf.tidy(() => {
      const loss = tfLoss(tf, DiceLoss);
      const yTrue = tf.tensor1d([1, 1, 0, 1, 0]);
      const yPred = tf.tensor1d([0.9, 0.8, 0.2, 0.7, 0.1]);
      expect(loss(yTrue, yPred).dataSync()[0]).toBeCloseTo(0.0380761715816, 7);
      const grad = tf
        .grad((p) => loss(yTrue, p))(yPred)
        .dataSync();
      expect(grad[0]).toBeCloseTo((2 * (4.8 * 0.9 - 4.99)) / 4.99 ** 2, 6);
      expect(grad[2]).toBeCloseTo((2 * 4.8 * 0.2) / 4.99 ** 2, 6);
    });
  });
});

describe('the upstream gradient', () => {
  test('of a scalar loss', () => {
    tf.tidy(() => {
      const { z, labels } = problem([2, 5, 4, 3], 5, 'softmax');
      const loss = tfLoss(tf, DiceLoss, { activation: 'softmax' });
      const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => loss(labels, x))(z);
      const tripled = tf.grad((x) => tf.mul(loss(labels, x), 3))(z);
      expect(difference(tripled, tf.mul(grad, 3))).toBeLessThan(1e-6);
      const squared = tf.grad((x) => tf.square(loss(labels, x)))(z);
      expect(difference(squared, tf.mul(grad, tf.mul(value, 2)))).toBeLessThan(1e-6);
      const given = tf.grad((x) => loss(labels, x))(z, tf.scalar(-0.25));
      expect(difference(given, tf.mul(grad, -0.25))).toBeLessThan(1e-6);
      const zero = tf.grad((x) => tf.mul(loss(labels, x), 0))(z);
      expect(zero.dataSync().every((g) => g === 0)).toBe(true);
    });
  });

  test.each([false, true])("of reduction: 'none', batch: %p", (batch) => {
    tf.tidy(() => {
      const { z, labels } = problem([2, 5, 4, 3], 6, 'softmax');
      const options = { activation: 'softmax', reduction: 'none', batch } as const;
      const loss = tfLoss(tf, DiceLoss, options);
      const dense = tf.cast(tf.oneHot(labels, 3), 'float32');
      const weights = batch ? tf.tensor1d([1, -2, 3]) : tf.tensor2d([1, -2, 3, 0, 0.5, 7], [2, 3]);
      const ours = tf.grad((x) => loss(labels, x))(z, weights);
      const theirs = tf.grad((x) => composed('dice', options, dense, x))(z, weights);
      expect(difference(ours, theirs)).toBeLessThan(1e-5);
      const summed = tf.grad((x) => tf.sum(tf.mul(loss(labels, x), weights)))(z);
      expect(difference(summed, theirs)).toBeLessThan(1e-5);
    });
  });

  test('a loss used twice, of predictions used twice', () => {
    tf.tidy(() => {
      const { z, labels } = problem([2, 5, 4, 3], 7, 'softmax');
      const dice = tfLoss(tf, DiceLoss, { activation: 'softmax' });
      const jaccard = tfLoss(tf, JaccardLoss, { activation: 'softmax' });
      const both = tf.grad((x) => tf.add(dice(labels, x), jaccard(labels, x)))(z);
      const a = tf.grad((x) => dice(labels, x))(z);
      const b = tf.grad((x) => jaccard(labels, x))(z);
      expect(difference(both, tf.add(a, b))).toBeLessThan(1e-6);
    });
  });

  test.each(['int32', 'float32'] as const)('zeros for a target of %s', (dtype) => {
    tf.tidy(() => {
      const { z, labels } = problem([2, 5, 4, 3], 8, 'softmax');
      const target = dtype === 'int32' ? labels : tf.cast(tf.oneHot(labels, 3), 'float32');
      const loss = tfLoss(tf, DiceLoss, { activation: 'softmax' });
      const [forTrue, forPred] = tf.grads(loss)([target, z]) as [tf.Tensor, tf.Tensor];
      expect(forTrue.shape).toEqual(target.shape);
      expect(forTrue.dataSync().every((g) => g === 0)).toBe(true);
      expect(difference(forPred, tf.grad((x) => loss(target, x))(z))).toBe(0);
    });
  });
});

/** Images [N, H, W, 1] and class indices that follow from them. */
function pictures(N: number, C: number) {
  const random = new Random(11);
  const values = Float32Array.from({ length: N * 8 * 8 }, () => random.uniform());
  const indices = Int32Array.from(values, (v) => Math.min(C - 1, Math.floor(v * C)));
  return {
    images: tf.tensor4d(values, [N, 8, 8, 1]),
    labels: tf.tensor3d(indices, [N, 8, 8], 'int32'),
  };
}

function network(C: number) {
  const layer = (filters: number, seed: number, rest = {}) =>
    tf.layers.conv2d({
      filters,
      kernelSize: 1,
      kernelInitializer: tf.initializers.glorotUniform({ seed }),
      ...rest,
    });
  const model = tf.sequential();
  model.add(layer(8, 1, { inputShape: [8, 8, 1], activation: 'relu' }));
  model.add(layer(C, 2));
  return model;
}

test('allReduce: the statistics that it returns are those of the value and of the gradient', () => {
  const { z, labels } = problem([1, 6, 3], 5, 'softmax');
  const alone = tfLoss(tf, DiceLoss, { activation: 'softmax', smoothDenominator: 1 });
  const doubled = tfLoss(tf, DiceLoss, {
    activation: 'softmax',
    smoothDenominator: 2,
    allReduce: (statistics) => statistics.add(statistics),
  });
  // Twice the sums and twice the smoothing: the same ratio, and half the gradient for each part.
  const value = (loss: typeof alone) => loss(labels, z).dataSync()[0] as number;
  expect(value(doubled)).toBeCloseTo(value(alone), 6);
  const gradient = (loss: typeof alone) => tf.grad((x) => loss(labels, x))(z);
  expect(difference(tf.mul(gradient(doubled), 2), gradient(alone))).toBeLessThan(1e-5);
});

describe('training', () => {
  test.each(['labels', 'dense'])('optimizer.minimize with %s', (kind) => {
    const { images, labels } = pictures(2, 2);
    const target = kind === 'labels' ? labels : tf.oneHot(labels, 2);
    const model = network(2);
    const loss = tfLoss(tf, DiceLoss, { activation: 'softmax' });
    const optimizer = tf.train.adam(0.05);
    const step = () => {
      const value = optimizer.minimize(() => loss(target, model.apply(images) as tf.Tensor), true);
      const number = value?.dataSync()[0] as number;
      value?.dispose();
      return number;
    };
    const first = step();
    const numTensors = tf.memory().numTensors; // after the optimizer made its own
    let last = first;
    for (let i = 0; i < 40; i++) last = step();
    expect(last).toBeLessThan(0.5 * first);
    expect(tf.memory().numTensors).toBe(numTensors);
    for (const thing of [model, optimizer, images, labels, target]) thing.dispose();
  });

  test('tf.variableGrads', () => {
    tf.tidy(() => {
      const { z, labels } = problem([2, 5, 4, 3], 9, 'softmax');
      const variable = tf.variable(z);
      const loss = tfLoss(tf, DiceLoss, { activation: 'softmax' });
      const { grads } = tf.variableGrads(() => loss(labels, variable), [variable]);
      const expected = tf.grad((x) => loss(labels, x))(z);
      expect(difference(grads[variable.name] as tf.Tensor, expected)).toBe(0);
      variable.dispose();
    });
  });

  test.each(['mean', 'none'] as const)(
    "model.compile and fit, reduction: '%s'",
    async (reduction) => {
      const { images, labels } = pictures(6, 3);
      const target = tf.oneHot(labels, 3);
      const model = network(3);
      const options = { activation: 'softmax', reduction } as const;
      const loss = tfLoss(tf, DiceLoss, options);
      const metric = tfLoss(tf, JaccardLoss, { activation: 'softmax' });
      model.compile({ optimizer: tf.train.adam(0.03), loss, metrics: [metric] });
      const settings = { epochs: 1, batchSize: 3, shuffle: false };
      await model.fit(images, target, settings); // the optimizer makes its own tensors
      const numTensors = tf.memory().numTensors;
      const { history } = await model.fit(images, target, { ...settings, epochs: 12 });
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(Object.keys(history).sort()).toEqual(['jaccardLoss', 'loss']); // a metric's key is its name
      const losses = history.loss as number[];
      expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] as number));

      const [value] = model.evaluate(images, target, { batchSize: 6 }) as tf.Scalar[];
      const mean = tf.mean(
        composed('dice', options, tf.cast(target, 'float32'), model.predict(images) as tf.Tensor),
      );
      expect(value?.dataSync()[0]).toBeCloseTo(mean.dataSync()[0] as number, 5);
      model.dispose();
    },
  );
});

describe('memory', () => {
  test('no tensor is left behind', () => {
    const { z, labels } = problem([2, 5, 4, 3], 10, 'softmax');
    const dense = tf.oneHot(labels, 3);
    const wrong = tf.cast(z, 'int32');
    const loss = tfLoss(tf, DiceLoss, { activation: 'softmax' });
    const before = tf.memory();
    for (const target of [labels, dense]) {
      for (let i = 0; i < 3; i++) {
        const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => loss(target, x))(z);
        value.dispose();
        grad.dispose();
        loss(target, z).dispose();
        for (const grad of tf.grads(loss)([target, z])) grad.dispose();
        expect(() => loss(wrong, z)).toThrow(/first/);
        expect(() => tf.grads(loss)([wrong, z])).toThrow(/first/);
      }
    }
    expect(tf.memory()).toEqual(before);
  });

  test('gradients share no memory with each other or the inputs', () => {
    tf.tidy(() => {
      const { z, labels } = problem([2, 5, 4, 3], 12, 'softmax');
      const loss = tfLoss(tf, DiceLoss, { activation: 'softmax' });
      const before = z.dataSync().slice();
      const gradient = tf.grad((x) => loss(labels, x));
      const first = gradient(z).dataSync();
      const kept = first.slice();
      const second = gradient(tf.mul(z, 2)).dataSync();
      expect(first).toEqual(kept);
      expect(second).not.toEqual(kept);
      expect(z.dataSync()).toEqual(before);
      expect(new Set([first.buffer, second.buffer, z.dataSync().buffer]).size).toBe(3);
    });
  });
});
