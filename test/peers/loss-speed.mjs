// Times losses beside the libraries that have them, value and gradient, float32, in turns in one run:
//   node test/peers/loss-speed.mjs [--threads 1] [--rounds 5]
// nnU-Net's TopKLoss, smp's LovaszLoss and MCCLoss, MONAI's AsymmetricUnifiedFocalLoss. Prints the smallest times. Build first.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import * as library from '../../dist/index.js';
import { cannotRun, pythonWithPeers } from './environment.mjs';

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '5' },
  },
});
const python = pythonWithPeers();
if (python === undefined) process.exit(cannotRun);
library.setThreads(Number(values.threads));

const smoothing = { smoothNumerator: 1e-7, smoothDenominator: 1e-7 };
/** Each with the options that give theirs, which is `scale` times ours. */
const losses = {
  topK: { loss: new library.TopKCrossEntropyLoss({ batch: true }) },
  lovasz: { loss: new library.LovaszLoss() },
  matthews: {
    loss: new library.MatthewsLoss({
      activation: 'softmax',
      average: 'micro',
      batch: true,
      smooth: 1e-5,
    }),
  },
  unified: {
    loss: new library.UnifiedFocalLoss({ lambda: 1 / 3, delta: 0.7, gamma: 0.5, ...smoothing }),
    scale: 3 / 4,
  },
};
const shapes = [
  [4, 2, 256, 256],
  [1, 2, 96, 96, 96],
];

const script = path.join(import.meta.dirname, 'loss_speed.py');
const peer = spawn(python, ['-W', 'ignore', script, values.threads], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
const ask = async (question) => {
  peer.stdin.write(`${JSON.stringify(question)}\n`);
  return JSON.parse((await answers.next()).value);
};

/** From 0 to 1: the same as in loss_speed.py. */
const number = (i, factor) => (Math.imul(i, factor) >>> 0) / 2 ** 32;

console.log(`value and gradient, ${values.threads} thread(s), the smallest of ${values.rounds}`);
for (const shape of shapes) {
  const [n, c, ...size] = shape;
  const voxels = n * size.reduce((a, b) => a * b);
  const logits = Float32Array.from({ length: c * voxels }, (_, i) => 4 * number(i, 2654435761) - 2);
  const labels = Uint8Array.from({ length: voxels }, (_, i) => c * number(i, 2246822519));
  for (const [name, { loss, scale = 1 }] of Object.entries(losses)) {
    const plan = loss.plan({ data: logits, shape }, { data: labels, shape: [n, ...size] });
    const [ours, theirs] = [[], []];
    for (let round = 0; round <= Number(values.rounds); round++) {
      const start = process.hrtime.bigint();
      plan.execute();
      const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
      const answer = await ask({ loss: name, shape });
      const mine = scale * plan.value.itemSync();
      if (Math.abs(mine - answer.value) > 1e-4 * Math.max(1, Math.abs(answer.value))) {
        throw new Error(`${name} of ${shape}: ${mine} here, ${answer.value} there`);
      }
      if (round === 0) continue; // the first is for warming up
      ours.push(milliseconds);
      theirs.push(answer.milliseconds);
    }
    const [a, b] = [Math.min(...ours), Math.min(...theirs)];
    console.log(
      `  ${name} [${shape}]: theirs ${b.toFixed(1)} ms, ours ${a.toFixed(1)} ms: ${(b / a).toFixed(2)} times as fast`,
    );
  }
}
peer.stdin.end();
