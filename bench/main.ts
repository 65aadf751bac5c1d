// npm run bench: starts one process per SIMD target and per memory figure, prints tables, and saves JSON when asked.
import { execFile, fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { select } from './cases.js';
import { compare, readSaved } from './compare.js';
import { describeMachine, type Machine, root } from './machine.js';
import type { MeasureMessage, MeasureSettings } from './measure-child.js';
import type { MemorySettings } from './memory-child.js';
import { names } from './names.js';
import { extentOf, help, type Options, readOptions } from './options.js';
import type { PeersMessage } from './peers-child.js';
import { processorsFor } from './pin.js';
import { endProgress, showProgress } from './progress.js';
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
import {
  type CaseResult,
  faultsOf,
  type MemoryResult,
  type PeerTimes,
  type Saved,
  type ScalingResult,
  type ServerResult,
  type SimdResult,
} from './results.js';
import type { ScalingMessage } from './scaling-child.js';
import { memoryVerdict, peerVerdicts, scalingVerdicts, timeVerdicts } from './targets.js';
import type { Budget } from './timing.js';

const childFile = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const nodeFlags = ['--expose-gc', '--max-old-space-size=4096'];

/** Runs a file with its settings in a process of its own, on these processors where given, which sends what it finds. */
function runChild<Message>(
  file: string,
  settings: MeasureSettings,
  receive: (message: Message) => void,
  processors?: readonly number[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const pinned = processors && ['-c', processors.join(), process.execPath];
    const child = fork(childFile(file), [JSON.stringify(settings)], {
      ...(pinned && { execPath: 'taskset' }),
      execArgv: [...(pinned ?? []), ...nodeFlags],
      env: { ...process.env, WARPDICE_SIMD: settings.simd },
    });
    child.on('message', (message) => receive(message as Message));
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`Measuring ${settings.simd} ended with ${signal ?? code}`));
    });
  });
}

/** The cases, or undefined when this machine cannot run the target. */
async function measure(
  settings: MeasureSettings,
  processors: readonly number[] | undefined,
): Promise<CaseResult[] | undefined> {
  const cases: CaseResult[] = [];
  let unavailable = false;
  const receive = (message: MeasureMessage) => {
    if (message.type === 'cases') cases.push(...message.cases);
    else if (message.type === 'skipped')
      endProgress(`\n${message.group}: skipped, ${message.reason}`);
    else if (message.type === 'unavailable') unavailable = true;
    else showProgress(`${settings.simd} ${message.group}`, message.stage, message.share);
  };
  await runChild('measure-child.js', settings, receive, processors);
  return unavailable ? undefined : cases;
}

async function measurePeers(
  simd: string,
  { quick, all, threads, filter }: Options,
): Promise<PeerTimes[]> {
  const peers: PeerTimes[] = [];
  const settings: MeasureSettings = {
    simd,
    threads,
    filter,
    budget: quick ? { seconds: 0.5, leastRounds: 5 } : { seconds: 3, leastRounds: 15 },
    quick,
    all,
    times: false,
  };
  await runChild<PeersMessage>('peers-child.js', settings, (message) => {
    if (message.type === 'peers') peers.push(...message.peers);
    else showProgress(`peers ${message.group}`, message.stage, message.share);
  });
  return peers;
}

async function measureMemory({
  quick,
  all: more,
  filter,
  threads,
}: Options): Promise<MemoryResult[]> {
  const all = select({ filter, all: more })
    .filter(({ extent }) => extent !== 'tiny')
    .flatMap((group) => group.cases.map((c, i) => ({ group, c, isBase: i === 0 })))
    .filter(({ isBase }) => isBase || !quick)
    .flatMap(({ group, c, isBase }) =>
      (isBase ? [names.valueAndGrad, names.allocating] : [names.valueAndGrad]).map((call) => ({
        group: group.name,
        case: c.name,
        call,
        threads,
      })),
    );
  const children = quick ? 1 : 3;
  const results: MemoryResult[] = [];
  for (const [done, settings] of all.entries()) {
    const runs: { resident: number; peak?: number }[] = [];
    for (let i = 0; i < children; i++) {
      const share = (done + i / children) / all.length;
      showProgress(`memory ${settings.group}`, settings.case, share);
      runs.push(await memoryOf(settings));
    }
    const peaks = runs.map(({ peak }) => peak).filter((peak) => peak !== undefined);
    results.push({
      group: settings.group,
      case: settings.case,
      call: settings.call,
      resident: middle(runs.map(({ resident }) => resident)) as number,
      peak: middle(peaks),
      children,
    });
  }
  return results;
}

async function memoryOf(settings: MemorySettings): Promise<{ resident: number; peak?: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...nodeFlags,
    childFile('memory-child.js'),
    JSON.stringify(settings),
  ]);
  return JSON.parse(stdout);
}

function middle(values: number[]): number | undefined {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** A section, unless nothing of it was selected. */
function print(text: string): void {
  if (text) console.log(text);
}

interface Growth {
  readonly scaling: readonly ScalingResult[];
  readonly server: readonly ServerResult[];
}

async function measureScaling(
  simd: string,
  { quick, all, threads }: Options,
): Promise<Growth | undefined> {
  let found: Growth | undefined;
  const budget = { seconds: 0, leastRounds: 0 }; // it has its own
  const settings = { simd, threads, quick, all, times: false, budget };
  await runChild<ScalingMessage>('scaling-child.js', settings, (message) => {
    if (message.type === 'scaling') found = message;
    else showProgress('scaling', message.stage, message.share);
  });
  return found;
}

/** Undefined: none of the SIMD targets is there. */
async function measureAll(machine: Machine, options: Options): Promise<Saved | undefined> {
  const { quick, all, parts, filter, threads } = options;
  const budget: Budget = quick ? { seconds: 2, leastRounds: 7 } : { seconds: 15, leastRounds: 25 };
  const times = parts.includes('times');
  const processors = processorsFor(threads);
  if (times && processors) console.log(`times taken on processors ${processors.join()} alone`);
  const results: SimdResult[] = [];
  let first: string | undefined;
  for (const simd of options.simd) {
    if (first && (quick || !times)) break;
    const cases = await measure({ simd, threads, filter, quick, all, times, budget }, processors);
    endProgress();
    if (!cases) {
      console.log(`\n${simd}: skipped, this machine or this build does not have it`);
      continue;
    }
    first ??= simd;
    if (!times) continue;
    const result = { simd, threads, cases };
    results.push(result);
    console.log(timesText(result));
    print(boundsText(result));
  }
  if (!first) return undefined;
  const peers = parts.includes('peers') ? await measurePeers(first, options) : [];
  endProgress();
  print(peersText(peers));
  const memory = parts.includes('memory') ? await measureMemory(options) : [];
  endProgress();
  print(memoryText(memory, threads));
  const growth = parts.includes('scaling') ? await measureScaling(first, options) : undefined;
  endProgress();
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
  const stated = { quick, all, parts, filter, threads, processors };
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
  if (!found) {
    process.exitCode = 1;
    return;
  }
  if (options.save) save(found, options);
  if (faultsOf(found).length > 0) process.exitCode = 1;
  if (before) {
    const comparison = compare(before, found);
    console.log(comparisonText(comparison));
    if (comparison.changes.some(({ verdict }) => verdict === 'slower')) process.exitCode = 1;
  }
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
