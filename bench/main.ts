// npm run bench: measures the parts that are asked for, or reads a saved run, prints tables, and ends with the exit code.
import path from 'node:path';
import type { HeadMessage } from './measure/head-child.js';
import { describeMachine, root } from './measure/machine.js';
import { measureMemory } from './measure/memory.js';
import type { PeersMessage } from './measure/peers-child.js';
import { endedEarly, isThere, runChild } from './measure/processes.js';
import { measureRanks } from './measure/ranks.js';
import type { ScalingMessage } from './measure/scaling-child.js';
import { measureTimes } from './measure/times.js';
import { extentOf, help, type Options, readOptions } from './options.js';
import { exitCode, hasFigures } from './report/exit-code.js';
import type { HeadResult, PeerTimes, Saved, ScalingResult } from './report/results.js';
import { readSaved, writeSaved } from './report/saved.js';
import { machineText, tables, targetsText } from './report/tables.js';
import { targetsOf } from './report/targets.js';

function show(found: Partial<Saved>, threads: number): void {
  for (const text of tables(found, threads)) console.log(text);
}

/** Of those asked for; only the first where the times of others are not wanted. */
function targetsThere({ quick, parts, simd }: Options): string[] {
  const there: string[] = [];
  for (const name of simd) {
    if (there.length > 0 && (quick || !parts.includes('times'))) break;
    if (isThere(name)) there.push(name);
    else console.log(`\n${name}: skipped, this machine does not have it`);
  }
  return there;
}

/** Shows each part when it is done. Undefined: none of the SIMD targets is there. */
async function measure(options: Options): Promise<Saved | undefined> {
  const machine = describeMachine();
  console.log(machineText(machine));
  const { quick, all, parts, filter, threads } = options;
  const targets = targetsThere(options);
  const [simd] = targets;
  if (!simd) return undefined;
  const settings = { threads, filter, quick, all };
  const ofPart = { ...settings, simd, budget: quick ? budgets.quickPeers : budgets.peers };

  const budget = quick ? budgets.quick : budgets.whole;
  const results = parts.includes('times')
    ? await measureTimes(targets, { ...settings, budget }, quick ? 1 : 2)
    : [];
  show({ results }, threads);

  const peers: PeerTimes[] = [];
  if (parts.includes('peers')) {
    console.error('peers');
    const receive = (message: PeersMessage) => void peers.push(...message.peers);
    await runChild('measure/peers-child.js', ofPart, receive);
  }
  show({ peers }, threads);

  if (parts.includes('memory')) console.error('memory');
  const memory = parts.includes('memory') ? await measureMemory({ ...settings, filter }) : [];
  show({ memory }, threads);

  const scaling: ScalingResult[] = [];
  if (parts.includes('scaling')) {
    console.error('scaling');
    const receive = (message: ScalingMessage) => void scaling.push(...message.scaling);
    await runChild('measure/scaling-child.js', ofPart, receive);
  }
  show({ scaling }, threads);
  if (parts.includes('ranks')) console.error('ranks');
  const ranks = parts.includes('ranks') ? await measureRanks(quick) : [];
  show({ ranks }, threads);
  const head: HeadResult[] = [];
  if (parts.includes('head')) {
    console.error('head');
    const receive = (message: HeadMessage) => void head.push(...message.head);
    await runChild('measure/head-child.js', ofPart, receive);
  }
  show({ head }, threads);
  const stated = { quick, all, parts, filter, threads, simd };
  return { machine, options: stated, results, peers, memory, scaling, ranks, head, endedEarly };
}

/** Of one shape, or of a peer. */
const budgets = {
  whole: { seconds: 4, leastRounds: 8 },
  quick: { seconds: 1.5, leastRounds: 5 },
  peers: { seconds: 1.5, leastRounds: 9 },
  quickPeers: { seconds: 0.5, leastRounds: 5 },
};

async function main(options: Options, saved: Saved | undefined): Promise<void> {
  if (saved) {
    console.log(machineText(saved.machine));
    show(saved, saved.options.threads);
  }
  const start = performance.now();
  const found = saved ?? (await measure(options));
  if (!saved)
    console.log(`\nMeasured in ${((performance.now() - start) / 60_000).toFixed(1)} minutes.`);
  const text = found ? targetsText(targetsOf(found)) : '';
  if (text) console.log(text);
  for (const what of found?.endedEarly ?? endedEarly) console.log(`ENDED EARLY: ${what}`);
  if (found && found.options.threads !== 2) {
    console.log(`The targets are stated for 2 threads; this run had ${found.options.threads}.`);
  }
  if (found && options.save) {
    const folder = path.join(root, 'bench', 'results');
    const file = writeSaved(found, folder, extentOf(found.options));
    console.log(`\nSaved ${path.relative(process.cwd(), file)}`);
  }
  if (!found || !hasFigures(found)) console.error('\nNothing was measured.');
  process.exitCode = exitCode(found);
}

let options: Options;
let saved: Saved | undefined;
try {
  options = readOptions(process.argv.slice(2));
  if (options.from !== undefined) saved = readSaved(options.from);
} catch (error) {
  console.error(`${(error as Error).message}\n\n${help}`);
  process.exit(2);
}
if (options.help) console.log(help);
else await main(options, saved);
