// Fuzzes the package in dist/:
//   node test/fuzz/main.mjs [--calls 10000] [--seed 1] [--workers 0] [--terminate] [--trace]
// With --workers the calls are made in so many worker threads beside the main one; --terminate ends others at random
// moments meanwhile. --trace prints each call before it is made, to find the one that ends the process.
// Prints what was done as JSON; the exit status is 1 when there was a finding.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { fuzz } from './fuzz.mjs';
import { Random } from './random.mjs';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '0' },
    terminate: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
});
const calls = Number(values.calls);
const first = Number(values.seed);
const workers = Number(values.workers);
process.removeAllListeners('warning').on('warning', () => {});

const start = (from, count) =>
  new Worker(new URL('fuzz.mjs', import.meta.url), {
    workerData: { fuzz: { first: from, count } },
  });

const outcomeOf = (worker) =>
  new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });

let running = true;
/** Ends threads in the middle of their calls. */
async function terminating() {
  const random = new Random(first);
  let ended = 0;
  while (running) {
    const worker = start(first + 1e7 + ended * 1000, 1e6);
    worker.on('error', () => {});
    await sleep(random.below(300));
    await worker.terminate();
    ended++;
  }
  return ended;
}

const ending = values.terminate ? terminating() : Promise.resolve(0);
const share = Math.ceil(calls / (workers + 1));
const trace = values.trace ? (seed, what) => writeSync(1, `${seed} ${what}\n`) : undefined;
const outcomes = await Promise.all([
  ...Array.from({ length: workers }, (_, i) => outcomeOf(start(first + (i + 1) * share, share))),
  fuzz(first, share, trace),
]);
running = false;
const terminated = await ending;

const sum = (name) => outcomes.reduce((total, outcome) => total + outcome[name], 0);
const findings = outcomes.flatMap((outcome) => outcome.findings);
console.log(
  JSON.stringify(
    {
      calls: sum('calls'),
      done: sum('done'),
      refused: sum('refused'),
      terminated,
      entries: outcomes[0].entries,
      findings,
    },
    null,
    1,
  ),
);
if (findings.length > 0) process.exitCode = 1;
