// Measures the selected groups with the SIMD target that this process was started with, and sends the results to its parent.
import { setThreads, simdTarget } from 'warpdice';
import { type Group, select } from './cases.js';
import { solve } from './check.js';
import { type Contender, contendersOf, names } from './contenders.js';
import { caseSize } from './problem.js';
import type { CallResult, CaseResult } from './results.js';
import { type Budget, interleave, ratio, summarize } from './timing.js';

export interface MeasureSettings {
  readonly simd: string;
  readonly threads: number;
  readonly filter?: string | undefined;
  readonly budget: Budget;
}

export type MeasureMessage =
  | { readonly type: 'unavailable'; readonly simd: string }
  | {
      readonly type: 'progress';
      readonly group: string;
      readonly stage: string;
      readonly share: number;
    }
  | { readonly type: 'cases'; readonly cases: CaseResult[] };

process.once('disconnect', () => process.exit()); // the parent is gone, or the work done

const settings = JSON.parse(process.argv[2] as string) as MeasureSettings;
const send = (message: MeasureMessage) => process.send?.(message);

async function measure(group: Group, done: number, groups: number): Promise<CaseResult[]> {
  const progress = (stage: string, share: number) =>
    send({ type: 'progress', group: group.name, stage, share: (done + share) / groups });
  progress('solving in float64', 0);
  const answer = solve(group, group.shape);
  const contenders: (Contender & { owner: number; wrong: string | undefined })[] = [];
  for (const [owner, c] of group.cases.entries()) {
    progress(`checking ${c.name}`, 0);
    for (const contender of contendersOf(group, c, answer, settings.threads, owner === 0)) {
      contender.enter?.();
      contenders.push({ ...contender, owner, wrong: contender.fault() });
    }
  }
  const right = contenders.filter(({ wrong }) => wrong === undefined);
  const timed = await interleave(right, settings.budget, (share) => progress('timing', share));
  const timesOf = (owner: number, name: string): number[] | undefined =>
    timed[right.findIndex((c) => c.owner === owner && c.name === name)];
  const baseTimes = timesOf(0, names.valueAndGrad);

  return group.cases.map((c, owner) => {
    const own = contenders.filter((contender) => contender.owner === owner);
    const copies = [names.memcpy, names.streaming]
      .flatMap((name) => ({ name, times: timesOf(owner, name) }))
      .filter((copy): copy is { name: (typeof copy)['name']; times: number[] } => !!copy.times)
      .sort((a, b) => summarize(a.times).median - summarize(b.times).median);
    const calls: CallResult[] = [];
    for (const { name, kind } of own) {
      const times = timesOf(owner, name);
      if (kind === 'arithmetic' || !times) continue;
      calls.push({
        name,
        kind,
        ms: summarize(times),
        ...(copies[0] && {
          toCopy: ratio(times, copies[0].times),
          minToCopy: Math.min(...times) / Math.min(...copies[0].times),
        }),
        ...(owner > 0 &&
          baseTimes &&
          name === names.valueAndGrad && { toBase: ratio(times, baseTimes) }),
      });
    }
    const { elements, logitsBytes, necessaryBytes } = caseSize(c, group.shape);
    const small = timesOf(owner, names.small);
    const large = timesOf(owner, names.large);
    const sizeOf = (name: string) =>
      own.find((contender) => contender.name === name)?.elements ?? 0;
    const growth = sizeOf(names.large) - sizeOf(names.small);
    const nsPerElement =
      small && large && growth > 0
        ? summarize(large.map((ms, round) => ((ms - small[round]) * 1e6) / growth))
        : undefined;
    return {
      group: group.name,
      case: c.name,
      shape: group.shape,
      tiny: group.tiny,
      logitsBytes,
      necessaryBytes,
      ...(copies[0] && { fastestCopy: copies[0].name }),
      calls,
      ...(nsPerElement && {
        arithmetic: {
          nsPerElement,
          floorMs: (nsPerElement.median * elements) / settings.threads / 1e6,
        },
      }),
      faults: own.filter(({ wrong }) => wrong).map(({ name, wrong }) => `${name}: ${wrong}`),
    };
  });
}

if (simdTarget() !== settings.simd) {
  send({ type: 'unavailable', simd: simdTarget() });
} else {
  setThreads(settings.threads);
  const groups = select(settings.filter);
  for (const [done, group] of groups.entries()) {
    send({ type: 'cases', cases: await measure(group, done, groups.length) });
  }
}
process.disconnect?.();
