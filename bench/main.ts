// npm run bench: measures the parts that are asked for, or reads a saved run, prints tables, saves JSON when asked, and ends with the exit code.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { compare, readSaved } from './compare.js';
import { exitCode, hasFigures } from './exit-code.js';
import { describeMachine, root } from './machine.js';
import { extentOf, help, type Options, readOptions } from './options.js';
import {
  endedEarly,
  isThere,
  measureMemory,
  measurePeers,
  measureScaling,
  measureTimes,
} from './parts.js';
import { processorsFor } from './pin.js';
import { endProgress } from './progress.js';
import {
  boundsText,
  comparisonText,
  machineText,
  memoryText,
  peersText,
  scalingText,
  serverText,
  timesText,
  verdictsText,
} from './report.js';
import type { Saved } from './results.js';
import { memoryVerdict, peerVerdicts, scalingVerdicts, timeVerdicts } from './targets.js';
import type { Budget } from './timing.js';

/** A section, unless nothing of it was selected. */
function print(text: string): void {
  if (text) console.log(text);
}

/** The tables of some parts. */
function show(found: Partial<Saved>, threads: number): void {
  const { results = [], peers = [], memory = [], scaling = [], server = [] } = found;
  for (const result of results) {
    print(timesText(result));
    print(boundsText(result));
  }
  print(peersText(peers));
  print(memoryText(memory, threads));
  print(scalingText(scaling, threads));
  print(serverText(server, threads));
}

/** Of those asked for; only the first where the times of others are not wanted. */
async function targetsThere({ quick, parts, simd }: Options): Promise<string[]> {
  const there: string[] = [];
  for (const name of simd) {
    if (there.length > 0 && (quick || !parts.includes('times'))) break;
    if (await isThere(name)) there.push(name);
    else console.log(`\n${name}: skipped, this machine or this build does not have it`);
  }
  return there;
}

/** Undefined: none of the SIMD targets is there. */
async function measureAll(options: Options): Promise<Saved | undefined> {
  const machine = describeMachine();
  console.log(machineText(machine));
  const { quick, all, parts, filter, threads } = options;
  const budget: Budget = quick
    ? { seconds: 1.5, leastRounds: 5 }
    : { seconds: 7.5, leastRounds: 8 };
  const visits = quick ? 1 : 2;
  const times = parts.includes('times');
  const processors = processorsFor(threads);
  if (times && processors) console.log(`times taken on processors ${processors.join()} alone`);
  const targets = await targetsThere(options);
  const [first] = targets;
  if (!first) {
    for (const what of endedEarly) console.log(`ENDED EARLY: ${what}`);
    return undefined;
  }
  const settings = { threads, filter, quick, all, budget };
  const results = times ? await measureTimes(targets, settings, visits, processors) : [];
  show({ results }, threads);
  const peers = parts.includes('peers') ? await measurePeers(first, options) : [];
  show({ peers }, threads);
  const memory = parts.includes('memory') ? await measureMemory(options) : [];
  show({ memory }, threads);
  const growth = parts.includes('scaling') ? await measureScaling(first, options) : undefined;
  const { scaling, server } = growth ?? { scaling: [], server: [] };
  show({ scaling, server }, threads);
  const stated = { quick, all, parts, filter, threads, processors, simd: first };
  return judged({ machine, options: stated, results, peers, memory, scaling, server, endedEarly });
}

/** With the targets, which are printed. */
function judged(found: Omit<Saved, 'verdicts'>): Saved {
  const { results, peers, memory, scaling, options } = found;
  const { threads } = options;
  const verdicts = [
    ...results.flatMap(timeVerdicts),
    ...peerVerdicts(peers, results[0]),
    ...memoryVerdict(memory, threads),
    ...scalingVerdicts(scaling),
  ];
  print(verdictsText(verdicts));
  for (const what of found.endedEarly ?? []) console.log(`ENDED EARLY: ${what}`);
  if (threads !== 2) console.log(`The targets are stated for 2 threads; this run had ${threads}.`);
  return { ...found, verdicts };
}

/** What an earlier run found, by the targets of today. */
function judgedAgain(saved: Saved): Saved {
  console.log(machineText(saved.machine));
  show(saved, saved.options.threads);
  return judged(saved);
}

function save(found: Saved, options: Options): void {
  const { cpu, date } = found.machine;
  const folder = path.join(root, 'bench', 'results');
  const name = cpu.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const file = path.join(folder, `${name}-${date.slice(0, 10)}${extentOf(options)}.json`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
  console.log(`\nSaved ${path.relative(process.cwd(), file)}`);
}

async function main(options: Options, saved?: Saved, before?: Saved): Promise<void> {
  const found = saved ? judgedAgain(saved) : await measureAll(options);
  if (found && options.save) save(found, options);
  if (!found || !hasFigures(found)) console.error('\nNothing was measured.');
  const comparison = before && found && compare(before, found);
  if (comparison) console.log(comparisonText(comparison));
  process.exitCode = exitCode(found, comparison);
}

let options: Options;
let saved: Saved | undefined;
let before: Saved | undefined;
try {
  options = readOptions(process.argv.slice(2));
  if (options.from !== undefined) saved = readSaved(options.from);
  if (options.compare) before = readSaved(options.compare);
} catch (error) {
  console.error(`${(error as Error).message}\n\n${help}`);
  process.exit(2);
}
process.once('SIGINT', () => {
  endProgress();
  process.exit(130);
});
if (options.help) console.log(help);
else await main(options, saved, before);
