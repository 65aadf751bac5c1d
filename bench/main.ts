// npm run bench: measures the parts that are asked for, prints tables, saves JSON when asked, and ends with the exit code.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { compare, readSaved } from './compare.js';
import { exitCode, hasFigures } from './exit-code.js';
import { describeMachine, type Machine, root } from './machine.js';
import { extentOf, help, type Options, readOptions } from './options.js';
import { measureMemory, measurePeers, measureScaling, measureTimes } from './parts.js';
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
import type { Saved, SimdResult } from './results.js';
import { memoryVerdict, peerVerdicts, scalingVerdicts, timeVerdicts } from './targets.js';
import type { Budget } from './timing.js';

/** A section, unless nothing of it was selected. */
function print(text: string): void {
  if (text) console.log(text);
}

/** Undefined: none of the SIMD targets is there. */
async function measureAll(machine: Machine, options: Options): Promise<Saved | undefined> {
  const { quick, all, parts, filter, threads } = options;
  const budget: Budget = quick ? { seconds: 2, leastRounds: 7 } : { seconds: 15, leastRounds: 15 };
  const times = parts.includes('times');
  const processors = processorsFor(threads);
  if (times && processors) console.log(`times taken on processors ${processors.join()} alone`);
  const results: SimdResult[] = [];
  let first: string | undefined;
  for (const simd of options.simd) {
    if (first && (quick || !times)) break;
    const settings = { simd, threads, filter, quick, all, times, budget };
    const result = await measureTimes(settings, processors);
    if (!result) {
      console.log(`\n${simd}: skipped, this machine or this build does not have it`);
      continue;
    }
    first ??= simd;
    if (!times) continue;
    results.push(result);
    console.log(timesText(result));
    print(boundsText(result));
  }
  if (!first) return undefined;
  const peers = parts.includes('peers') ? await measurePeers(first, options) : [];
  print(peersText(peers));
  const memory = parts.includes('memory') ? await measureMemory(options) : [];
  print(memoryText(memory, threads));
  const growth = parts.includes('scaling') ? await measureScaling(first, options) : undefined;
  const { scaling, server } = growth ?? { scaling: [], server: [] };
  print(scalingText(scaling, threads));
  print(serverText(server, threads));
  const verdicts = [
    ...results.flatMap(timeVerdicts),
    ...peerVerdicts(peers, results[0]),
    ...memoryVerdict(memory, threads),
    ...scalingVerdicts(scaling),
  ];
  print(verdictsText(verdicts));
  if (threads !== 2) console.log(`The targets are stated for 2 threads; this run had ${threads}.`);
  const stated = { quick, all, parts, filter, threads, processors, simd: first };
  return { machine, options: stated, results, peers, memory, scaling, server, verdicts };
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

async function main(options: Options, before: Saved | undefined): Promise<void> {
  const machine = describeMachine();
  console.log(machineText(machine));
  const found = await measureAll(machine, options);
  if (found && options.save) save(found, options);
  if (!found || !hasFigures(found)) console.error('\nNothing was measured.');
  const comparison = before && found && compare(before, found);
  if (comparison) console.log(comparisonText(comparison));
  process.exitCode = exitCode(found, comparison);
}

let options: Options;
let before: Saved | undefined;
try {
  options = readOptions(process.argv.slice(2));
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
else await main(options, before);
