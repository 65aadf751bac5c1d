// Times losses that know where voxels lie beside MONAI's and SciPy's, value and gradient, round by round in one run:
//   node bench/peers/spatial.mjs [--threads 1] [--rounds 5] [--python python]
// Prints the smallest times and their ratio. Build first.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import * as library from '../../dist/index.js';
import { cannotRun, pythonWithPeers } from '../../test/peers/environment.mjs';

const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '5' },
  },
});
const python = values.python ?? pythonWithPeers();
if (python === undefined) process.exit(cannotRun);
library.setThreads(Number(values.threads));

const shapes = [
  [4, 1, 256, 256],
  [1, 1, 96, 96, 96],
];
const sigmoid = { activation: 'sigmoid' };
/** Each with the options that give the same as spatial_peer.py. */
const losses = {
  boundary: () => new library.BoundaryLoss(sigmoid),
  hausdorff: () => new library.HausdorffLoss(sigmoid),
  cldice: () => new library.SoftClDiceLoss({ ...sigmoid, smoothHarmonic: 1e-4 }),
};

const peer = spawn(
  python,
  ['-W', 'ignore', path.join(import.meta.dirname, 'spatial_peer.py'), values.threads],
  { stdio: ['pipe', 'pipe', 'inherit'] },
);
const answers = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
/** Seconds and the value of one step. */
const ask = async (question) => {
  peer.stdin.write(`${JSON.stringify(question)}\n`);
  return JSON.parse((await answers.next()).value);
};

/** A ball in each sample, and logits that find most of it: the same as in spatial_peer.py. */
function problem([n, c, ...size]) {
  const S = size.reduce((a, b) => a * b);
  const logits = new Float32Array(n * c * S);
  const labels = new Uint8Array(n * S);
  for (let i = 0; i < n * S; i++) {
    let [rest, square] = [i % S, 0];
    for (const length of size.toReversed()) {
      square += ((rest % length) / length - 0.5) ** 2;
      rest = Math.floor(rest / length);
    }
    labels[i] = square < 0.09 ? 1 : 0;
    const noise = ((Math.imul(i, 2654435761) >>> 0) / 2 ** 32 - 0.5) * 2;
    const at = Math.floor(i / S) * c * S + (i % S);
    logits[at + (c - 1) * S] = (0.3 - Math.sqrt(square)) * 20 + noise;
  }
  return [
    { data: logits, shape: [n, c, ...size] },
    { data: labels, shape: [n, ...size] },
  ];
}

console.log(`value and gradient, ${values.threads} thread(s), the smallest of ${values.rounds}`);
for (const shape of shapes) {
  const [x, y] = problem(shape);
  for (const [name, make] of Object.entries(losses)) {
    const plan = make().plan(x, y);
    const [ours, theirs] = [[], []];
    let value;
    for (let round = 0; round <= Number(values.rounds); round++) {
      const start = process.hrtime.bigint();
      plan.execute();
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      const answer = await ask({ loss: name, shape });
      value = answer.value;
      if (round === 0) continue; // the first is for warming up
      ours.push(seconds);
      theirs.push(answer.seconds);
    }
    const mine = plan.value.itemSync();
    if (Math.abs(mine - value) > 1e-4 * Math.max(1, Math.abs(value))) {
      throw new Error(`${name} of ${shape}: ${mine} here, ${value} there`);
    }
    const [a, b] = [Math.min(...ours), Math.min(...theirs)];
    const ms = (seconds) => `${(seconds * 1e3).toFixed(1)} ms`;
    console.log(
      `  ${name} [${shape}]: theirs ${ms(b)}, ours ${ms(a)}: ${(b / a).toFixed(1)} times as fast`,
    );
  }
}
peer.stdin.end();
