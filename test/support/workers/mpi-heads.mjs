// linearLogits and DeepSupervision over ranks: value and gradient of each rank's samples are those of one process that has all.
import assert from 'node:assert/strict';

const { DeepSupervision, Device, DiceCELoss, linearLogits, Tensor } = await import(
  '../../../dist/index.js'
);

const [N, C, K, S] = [4, 5, 3, 60];
const wave = (length, step) => Float32Array.from({ length }, (_, i) => 2 * Math.sin(step * i + 1));
const features = wave(N * S * K, 1.1);
const weight = wave(C * K, 0.7);
const bias = wave(C, 0.3);
const fine = wave(N * S * C, 1.3);
const coarse = wave((N * S * C) / 2, 0.9);
const labels = Uint8Array.from({ length: N * S }, (_, i) => (7 * i + (i >> 2)) % C);

const options = { activation: 'softmax', layout: 'channels-last', batch: true };

/** Samples [first, last). */
function inputs(first, last, device = Device.cpu) {
  const tensor = (data, ...shape) => {
    const per = data.length / N;
    const own = data.slice(first * per, last * per);
    return Tensor.from(own, [last - first, ...shape]).to(device);
  };
  return {
    logits: linearLogits(
      tensor(features, S, K),
      Tensor.from(weight, [C, K]).to(device),
      Tensor.from(bias, [C]).to(device),
    ),
    scales: [tensor(fine, S, C), tensor(coarse, S / 2, C)],
    labels: tensor(labels, S),
  };
}

/** The gradient of all, at these samples. */
const ofSamples = (grad, first, last) =>
  grad.data.subarray((grad.size / N) * first, (grad.size / N) * last);

async function close(name, got, expected, tolerance) {
  const numbers = await got.read();
  assert.equal(numbers.length, expected.length, name);
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  for (const [i, x] of expected.entries()) {
    const off = Math.abs(numbers[i] - x);
    assert.ok(off <= tolerance * scale, `${name}[${i}]: ${numbers[i]} for ${x}`);
  }
}

/**
 * hooks: for calls that are synchronous, and for Async ones. sum: adds a tensor of all ranks in place. device: the tensors' own.
 */
export async function checkHeads({ rank, size }, hooks, sum, device) {
  const all = inputs(0, N);
  const plain = new DiceCELoss(options);
  const weights = [0.7, 0.3];
  const expected = plain.valueAndGrad(all.logits, all.labels);
  const expectedScales = new DeepSupervision(plain, weights).valueAndGrad(all.scales, all.labels);

  const edge = (r) => Math.floor((N * r) / size);
  const samples = [edge(rank), edge(rank + 1)];
  const own = inputs(...samples, device);
  const now = new DiceCELoss({ ...options, allReduce: hooks.now });
  const later = new DiceCELoss({ ...options, allReduce: hooks.later });

  const checkLogits = async (how, { value, grad }) => {
    await close(`linearLogits, ${how}`, value, expected.value.data, 1e-7);
    const expectedFeatures = ofSamples(expected.grad.features, ...samples);
    await close(`features, ${how}`, grad.features, expectedFeatures, 1e-5);
    // Each rank has the gradient of its own voxels.
    for (const part of ['weight', 'bias']) {
      await sum(grad[part]);
      await close(`${part}, ${how}`, grad[part], expected.grad[part].data, 1e-5);
    }
  };
  await checkLogits('sync', now.valueAndGrad(own.logits, own.labels));
  await checkLogits('async', await later.valueAndGradAsync(own.logits, own.labels));
  const plan = now.plan(own.logits, own.labels);
  await checkLogits('plan', plan.execute());
  plan.dispose();

  const checkScales = async (how, { value, scales }) => {
    await close(`DeepSupervision, ${how}`, value, expectedScales.value.data, 1e-7);
    for (const [i, { grad }] of scales.entries()) {
      const expectedGrad = ofSamples(expectedScales.scales[i].grad, ...samples);
      await close(`scale ${i}, ${how}`, grad, expectedGrad, 1e-5);
    }
  };
  await checkScales('sync', new DeepSupervision(now, weights).valueAndGrad(own.scales, own.labels));
  const pending = new DeepSupervision(later, weights).valueAndGradAsync(own.scales, own.labels);
  await checkScales('async', await pending);
}
