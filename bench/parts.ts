// The parts of a run, each measured in processes of its own, whose progress is shown.
import { type ExecFileException, execFile, fork } from 'node:child_process';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { lacksMemory, select } from './cases.js';
import type { MeasureMessage, MeasureSettings } from './measure-child.js';
import type { MemorySettings } from './memory-child.js';
import { names } from './names.js';
import type { Options } from './options.js';
import type { PeersMessage } from './peers-child.js';
import { endProgress, showProgress } from './progress.js';
import type {
  MemoryResult,
  PeerTimes,
  ScalingResult,
  ServerResult,
  SimdResult,
  SkippedGroup,
} from './results.js';
import type { ScalingMessage } from './scaling-child.js';
import { summariesOf } from './summaries.js';
import type { Visit } from './visits.js';

const noBudget = { seconds: 0, leastRounds: 0 };
const childFile = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const nodeFlags = ['--expose-gc', '--max-old-space-size=4096'];

/** Processes that ended before their work was done. What they had sent counts, and the other parts go on: a whole run takes long. */
export const endedEarly: string[] = [];

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
      if (code !== 0) endedEarly.push(`${file} of ${settings.simd} ended with ${signal ?? code}`);
      resolve();
    });
  });
}

/** Have this machine and this build the SIMD target? */
export async function isThere(simd: string): Promise<boolean> {
  let there = true;
  const before = endedEarly.length;
  const settings = { simd, threads: 1, quick: true, all: false, times: false, budget: noBudget };
  await runChild<MeasureMessage>('measure-child.js', settings, ({ type }) => {
    if (type === 'unavailable') there = false;
  });
  return there && endedEarly.length === before;
}

/**
 * Visits every shape so many times, by a process each. All SIMD targets have had a visit before one has its next: so the visits of
 * a shape lie as far apart as the run allows.
 */
export async function measureTimes(
  targets: readonly string[],
  settings: Omit<MeasureSettings, 'simd' | 'times'>,
  visits: number,
  processors: readonly number[] | undefined,
): Promise<SimdResult[]> {
  const found = targets.map(() => new Map<string, Visit[]>());
  const lacking = targets.map(() => new Map<string, SkippedGroup>());
  for (let visit = 1; visit <= visits; visit++) {
    for (const [i, simd] of targets.entries()) {
      const name = visits > 1 ? `${simd}, visit ${visit} of ${visits},` : simd;
      const receive = (message: MeasureMessage) => {
        if (message.type === 'visit') {
          const { group } = message;
          found[i].set(group, [...(found[i].get(group) ?? []), message.visit]);
        } else if (message.type === 'skipped') {
          lacking[i].set(message.skipped.group, message.skipped);
        } else if (message.type === 'progress') {
          showProgress(`${name} ${message.group}`, message.stage, message.share);
        }
      };
      await runChild('measure-child.js', { ...settings, simd, times: true }, receive, processors);
    }
  }
  endProgress();
  const groups = select(settings);
  return targets.map((simd, i) => ({
    simd,
    threads: settings.threads,
    cases: groups.flatMap((group) => {
      const own = found[i].get(group.name);
      return own ? summariesOf(group, own, settings.threads) : [];
    }),
    skipped: [...lacking[i].values()].filter(({ group }) => !found[i].has(group)),
  }));
}

export async function measurePeers(
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
  endProgress();
  return peers;
}

export async function measureMemory(
  { quick, all: more, filter, threads }: Options,
  freeBytes = os.freemem(),
): Promise<MemoryResult[]> {
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
        skipped: lacksMemory({ ...group, cases: [c] }, freeBytes),
      })),
    );
  const children = quick ? 1 : 3;
  const runs = all.map((): { resident: number; peak?: number }[] => []);
  const left = all.flatMap(({ skipped, ...settings }, row) =>
    Array.from({ length: skipped ? 0 : children }, () => ({ settings, row })),
  );
  const count = left.length;
  const next = async (): Promise<void> => {
    for (let one = left.shift(); one; one = left.shift()) {
      const { settings, row } = one;
      showProgress(`memory ${settings.group}`, settings.case, 1 - (left.length + 1) / count);
      try {
        runs[row].push(await memoryOf(settings));
      } catch (error) {
        const { signal, code } = error as ExecFileException;
        const what = `memory-child.js of ${settings.group} ${settings.case}`;
        endedEarly.push(`${what} ended with ${signal ?? code}`);
      }
    }
  };
  // Two at a time: each counts the pages of its own process, whatever another does.
  await Promise.all([next(), next()]);
  endProgress();
  return all.map(({ threads: _, skipped, ...what }, row) => {
    if (skipped || runs[row].length === 0) return { ...what, skipped: skipped ?? 'it ended early' };
    const peaks = runs[row].map(({ peak }) => peak).filter((peak) => peak !== undefined);
    const resident = middle(runs[row].map(({ resident }) => resident)) as number;
    return { ...what, resident, peak: middle(peaks), children: runs[row].length };
  });
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

export interface Growth {
  readonly scaling: readonly ScalingResult[];
  readonly server: readonly ServerResult[];
}

export async function measureScaling(
  simd: string,
  { quick, all, threads }: Options,
): Promise<Growth | undefined> {
  let found: Growth | undefined;
  // It has its own budget.
  const settings = { simd, threads, quick, all, times: false, budget: noBudget };
  await runChild<ScalingMessage>('scaling-child.js', settings, (message) => {
    if (message.type === 'scaling') found = message;
    else showProgress('scaling', message.stage, message.share);
  });
  endProgress();
  return found;
}
