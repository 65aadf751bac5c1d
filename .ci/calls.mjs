// calls.mjs <folder>: every kind of call, often enough for a leak to be seen.
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const url = pathToFileURL(path.resolve(process.argv[2], 'dist/index.js'));
const { DiceLoss, JaccardLoss, Statistics, Tensor } = await import(url);

const logits = { data: new Float32Array(2 * 3 * 5000).fill(0.5), shape: [2, 3, 5000] };
const labels = { data: new Uint8Array(2 * 5000).fill(1), shape: [2, 5000] };
const wrong = { data: new Uint8Array(2 * 5000).fill(7), shape: [2, 5000] };
const pending = [];
for (const Loss of [DiceLoss, JaccardLoss]) {
  const loss = new Loss({ activation: 'softmax' });
  const plan = loss.plan(logits, labels);
  for (let i = 0; i < 20; i++) {
    loss.value(logits, labels);
    const out = loss.valueAndGrad(logits, labels);
    loss.valueAndGrad(logits, labels, { out });
    const statistics = loss.statistics(logits, labels);
    Statistics.concat([statistics, statistics]);
    loss.fromStatistics(statistics);
    loss.gradient(logits, labels, statistics);
    plan.execute();
    Tensor.copyOf(logits.data, logits.shape).dispose();
    try {
      loss.value(logits, wrong);
      throw new Error('a label out of range was accepted');
    } catch (error) {
      if (error.code !== 'ERR_LABEL_RANGE') throw error;
    }
    pending.push(loss.valueAndGradAsync(logits, labels), loss.valueAsync(logits, labels));
    pending.push(loss.valueAsync(logits, wrong).catch(() => {}));
  }
}
await Promise.all(pending);
console.log('calls made');
