// Measures the selected groups with the SIMD target that this process was started with, and sends the results to its parent.
import os from 'node:os';
import { setThreads, simdTarget } from 'warpdice';
import { boundsOf, fastest } from './bounds.js';
import { caseSize, type Group, lacksMemory, select } from './cases.js';
import { type Answer, solve } from './check.js';
import { type Contender, contendersOf } from './contenders.js';
import type { LossName } from './losses.js';
import { isLimit, names, ways } from './names.js';
import type { CallResult, CaseResult, SkippedGroup } from './results.js';
import { type Budget, interleave, ratio, summarize } from './timing.js';

export interface MeasureSettings {
  readonly simd: string;
  readonly threads: number;
  readonly filter?: string | undefined;
  readonly quick: boolean;
  readonly all: boolean;
  /** Else only whether the SIMD target is there. */
  readonly times: boolean;
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
  | { readonly type: 'skipped'; readonly skipped: SkippedGroup }
  | { readonly type: 'cases'; readonly cases: CaseResult[] };

process.once('disconnect', () => process.exit()); // the parent is gone, or the work done

const settings = JSON.parse(process.argv[2] as string) as MeasureSettings;
const send = (message: MeasureMessage) => process.send?.(message);

async function measure(group: Group, done: number, groups: number): Promise<CaseResult[]> {
  const progress = (stage: string, share: number) =>
    send({ type: 'progress', group: group.name, stage, share: (done + share) / groups });
  const answers = new Map<LossName, Answer>();
  const answerOf = (loss: LossName) => {
    const answer = answers.get(loss) ?? solve(group, group.shape, loss);
    answers.set(loss, answer);
    return answer;
  };
  const contenders: (Contender & { owner: number; wrong: string | undefined })[] = [];
  for (const [owner, c] of group.cases.entries()) {
    progress(`checking ${c.name}`, 0);
    for (const contender of contendersOf(group, c, answerOf(c.loss), settings.threads)) {
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
    // The losses have the tensors of the base, and no limits of their own.
    const withLimits = c.loss === group.cases[0]?.loss ? owner : 0;
    const find = (name: string) => timesOf(isLimit(name) ? withLimits : owner, name);
    const copy = fastest(ways.copy, find);
    const calls: CallResult[] = [];
    for (const { name, kind } of own) {
      const times = timesOf(owner, name);
      if (kind === 'arithmetic' || !times) continue;
      calls.push({
        name,
        kind,
        ms: summarize(times),
        ...(copy && {
          toCopy: ratio(times, copy.times),
          minToCopy: Math.min(...times) / Math.min(...copy.times),
        }),
        ...(owner > 0 &&
          baseTimes &&
          name === names.valueAndGrad && { toBase: ratio(times, baseTimes) }),
      });
    }
    const { logitsBytes, necessaryBytes } = caseSize(c, group.shape);
    const bounds = copy && boundsOf(own, find, copy.times, settings.threads, c, group.shape);
    return {
      group: group.name,
      case: c.name,
      shape: group.shape,
      loss: c.loss,
      dtype: c.dtype,
      extent: group.extent,
      logitsBytes,
      necessaryBytes,
      ...(copy && { fastestCopy: copy.name }),
      calls,
      ...(bounds && { bounds }),
      faults: own.filter(({ wrong }) => wrong).map(({ name, wrong }) => `${name}: ${wrong}`),
    };
  });
}

if (simdTarget() !== settings.simd) {
  send({ type: 'unavailable', simd: simdTarget() });
} else if (settings.times) {
  setThreads(settings.threads);
  const groups = select(settings);
  for (const [done, group] of groups.entries()) {
    const reason = lacksMemory(group, os.freemem());
    if (reason) send({ type: 'skipped', skipped: { group: group.name, reason } });
    else send({ type: 'cases', cases: await measure(group, done, groups.length) });
  }
}
process.disconnect?.();
