// npm run bench: starts one process per SIMD target and per memory figure, prints tables, and saves JSON when asked.
import { execFile, fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { select } from './cases.js';
import { names } from './contenders.js';
import { describeMachine, root } from './machine.js';
import type { MeasureMessage, MeasureSettings } from './measure-child.js';
import type { MemorySettings } from './memory-child.js';
import type { PeersMessage } from './peers-child.js';
import { endProgress, showProgress } from './progress.js';
import {
  boundsText,
  machineText,
  memoryText,
  peersText,
  timesText,
  verdictsText,
} from './report.js';
import type { CaseResult, MemoryResult, PeerTimes, SimdResult } from './results.js';
import { memoryVerdict, peerVerdicts, timeVerdicts } from './targets.js';
import type { Budget } from './timing.js';

const help = `npm run bench -- [options]

  --quick          under 2 minutes: fewer rounds, the main shapes, the first SIMD target there is, no peer that takes
                   seconds a call, memory of the first case of each shape
  --filter TEXT    only cases whose shape and name hold TEXT, such as "4,4,512" or "float16"
  --simd LIST      SIMD targets, by commas: avx512, avx2, baseline, neon (default avx512,avx2; neon on arm64)
  --threads N      default 2, for which the targets are stated
  --no-peers       without the other implementations (bench/peers/install.sh installs them)
  --save           also writes bench/results/<cpu>-<date>.json
  --help

bench/README.md says what each number means.`;

interface Options {
  quick: boolean;
  filter: string | undefined;
  simd: string[];
  threads: number;
  peers: boolean;
  save: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      filter: { type: 'string' },
      simd: { type: 'string', default: process.arch === 'arm64' ? 'neon' : 'avx512,avx2' },
      threads: { type: 'string', default: '2' },
      'no-peers': { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    process.exit(0);
  }
  const threads = Number(values.threads);
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new RangeError(`Expected 1 to 256 for --threads but received ${values.threads}`);
  }
  const simd = values.simd.split(',');
  for (const name of simd) {
    if (['avx512', 'avx2', 'baseline', 'neon'].includes(name)) continue;
    throw new TypeError(
      `Expected avx512, avx2, baseline or neon for --simd but received "${name}"`,
    );
  }
  if (select(values).length === 0) {
    throw new RangeError(
      `Expected text that a case holds for --filter but received "${values.filter}"`,
    );
  }
  return { ...values, filter: values.filter, simd, threads, peers: !values['no-peers'] };
}

const childFile = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const nodeFlags = ['--expose-gc', '--max-old-space-size=4096'];

/** Runs a file with its settings in a process of its own, which sends what it finds. */
function runChild<Message>(
  file: string,
  settings: MeasureSettings,
  receive: (message: Message) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(childFile(file), [JSON.stringify(settings)], {
      execArgv: nodeFlags,
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
async function measure(settings: MeasureSettings): Promise<CaseResult[] | undefined> {
  const cases: CaseResult[] = [];
  let unavailable = false;
  await runChild<MeasureMessage>('measure-child.js', settings, (message) => {
    if (message.type === 'cases') cases.push(...message.cases);
    else if (message.type === 'unavailable') unavailable = true;
    else showProgress(`${settings.simd} ${message.group}`, message.stage, message.share);
  });
  return unavailable ? undefined : cases;
}

async function measurePeers(
  simd: string,
  { quick, threads, filter }: Options,
): Promise<PeerTimes[]> {
  const peers: PeerTimes[] = [];
  const settings: MeasureSettings = {
    simd,
    threads,
    filter,
    budget: quick ? { seconds: 0.5, leastRounds: 5 } : { seconds: 3, leastRounds: 15 },
    quick,
  };
  await runChild<PeersMessage>('peers-child.js', settings, (message) => {
    if (message.type === 'peers') peers.push(...message.peers);
    else showProgress(`peers ${message.group}`, message.stage, message.share);
  });
  return peers;
}

async function measureMemory({ quick, filter, threads }: Options): Promise<MemoryResult[]> {
  const all = select({ filter, quick })
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

async function main(options: Options): Promise<void> {
  const machine = describeMachine();
  console.log(machineText(machine));
  const budget: Budget = options.quick
    ? { seconds: 3, leastRounds: 7 }
    : { seconds: 20, leastRounds: 25 };

  const results: SimdResult[] = [];
  const { filter, threads } = options;
  for (const simd of options.simd) {
    if (options.quick && results.length > 0) break;
    const cases = await measure({ simd, threads, filter, quick: options.quick, budget });
    endProgress();
    if (!cases) {
      console.log(`\n${simd}: skipped, this machine or this build does not have it`);
      continue;
    }
    const result = { simd, threads, cases };
    results.push(result);
    console.log(timesText(result));
    print(boundsText(result));
  }
  const peers = results[0] && options.peers ? await measurePeers(results[0].simd, options) : [];
  endProgress();
  print(peersText(peers));
  const memory = await measureMemory(options);
  endProgress();
  print(memoryText(memory, threads));
  const verdicts = [
    ...results.flatMap(timeVerdicts),
    ...peerVerdicts(peers),
    ...memoryVerdict(memory, threads),
  ];
  print(verdictsText(verdicts));
  if (threads !== 2) console.log(`The targets are stated for 2 threads; this run had ${threads}.`);

  if (options.save) {
    const folder = path.join(root, 'bench', 'results');
    const cpu = machine.cpu.toLowerCase().replace(/[^a-z0-9]+/g, '-');
    const file = path.join(folder, `${cpu}-${machine.date.slice(0, 10)}.json`);
    mkdirSync(folder, { recursive: true });
    const { quick } = options;
    const saved = {
      machine,
      options: { quick, filter, threads },
      results,
      peers,
      memory,
      verdicts,
    };
    writeFileSync(file, `${JSON.stringify(saved, null, 2)}\n`);
    console.log(`\nSaved ${path.relative(process.cwd(), file)}`);
  }
  const wrong = results.some(({ cases }) => cases.some(({ faults }) => faults.length > 0));
  if (wrong || results.length === 0) process.exitCode = 1;
}

let options: Options;
try {
  options = readOptions();
} catch (error) {
  console.error(`${(error as Error).message}\n\n${help}`);
  process.exit(2);
}
process.once('SIGINT', () => {
  endProgress();
  process.exit(130);
});
await main(options);
