// Times TopKCrossEntropyLoss beside nnU-Net's TopKLoss, value and gradient, float32, in turns in one run:
//   node test/peers/top-k-speed.mjs [--threads 1] [--rounds 5]
// Prints the smallest times. Build first.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { setThreads, TopKCrossEntropyLoss } from '../../dist/index.js';
import { cannotRun, pythonWithPeers } from './environment.mjs';

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '5' },
  },
});
const python = pythonWithPeers();
if (python === undefined) process.exit(cannotRun);
setThreads(Number(values.threads));
const script = path.join(import.meta.dirname, 'top_k_speed.py');
const peer = spawn(python, ['-W', 'ignore', script, values.threads], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();

console.log(`value and gradient, ${values.threads} thread(s), the smallest of ${values.rounds}`);
for (const shape of [
  [4, 4, 256, 256],
  [1, 3, 96, 96, 96],
]) {
  const [n, c, ...size] = shape;
  const voxels = size.reduce((a, b) => a * b);
  const logits = Float32Array.from({ length: n * c * voxels }, () => 4 * Math.random() - 2);
  const labels = Uint8Array.from({ length: n * voxels }, () => Math.floor(c * Math.random()));
  const loss = new TopKCrossEntropyLoss({ batch: true });
  const plan = loss.plan({ data: logits, shape }, { data: labels, shape: [n, ...size] });
  const [ours, theirs] = [[], []];
  for (let round = 0; round <= Number(values.rounds); round++) {
    const start = process.hrtime.bigint();
    plan.execute();
    const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
    peer.stdin.write(`${JSON.stringify(shape)}\n`);
    const answer = JSON.parse((await answers.next()).value);
    if (round === 0) continue; // the first is for warming up
    ours.push(milliseconds);
    theirs.push(answer);
  }
  const [a, b] = [Math.min(...ours), Math.min(...theirs)];
  console.log(
    `  [${shape}]: theirs ${b.toFixed(1)} ms, ours ${a.toFixed(1)} ms: ${(b / a).toFixed(2)} times as fast`,
  );
}
peer.stdin.end();
