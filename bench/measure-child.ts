// Visits the selected groups with the SIMD target that this process was started with, and sends what it finds to its parent.
import os from 'node:os';
import { setThreads, simdTarget } from 'warpdice';
import { type Group, lacksMemory, select } from './cases.js';
import { type Answer, solve } from './check.js';
import { contendersOf } from './contenders.js';
import type { LossName } from './losses.js';
import type { SkippedGroup } from './results.js';
import type { Budget } from './timing.js';
import { rightInTurns, type Visit } from './visits.js';

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
  | { readonly type: 'visit'; readonly group: string; readonly visit: Visit };

process.once('disconnect', () => process.exit()); // the parent is gone, or the work done

const settings = JSON.parse(process.argv[2] as string) as MeasureSettings;
const send = (message: MeasureMessage) => process.send?.(message);

function visit(group: Group, done: number, groups: number): Promise<Visit> {
  const progress = (stage: string, share: number) =>
    send({ type: 'progress', group: group.name, stage, share: (done + share) / groups });
  const answers = new Map<LossName, Answer>();
  const answerOf = (loss: LossName) => {
    const answer = answers.get(loss) ?? solve(group, group.shape, loss);
    answers.set(loss, answer);
    return answer;
  };
  const contenders = group.cases.flatMap((c, owner) => {
    progress(`preparing ${c.name}`, 0);
    const own = contendersOf(group, c, answerOf(c.loss), settings.threads);
    return own.map((contender) => ({ ...contender, owner }));
  });
  return rightInTurns(contenders, settings.budget, progress);
}

if (simdTarget() !== settings.simd) {
  send({ type: 'unavailable', simd: simdTarget() });
} else if (settings.times) {
  setThreads(settings.threads);
  const groups = select(settings);
  for (const [done, group] of groups.entries()) {
    const reason = lacksMemory(group, os.freemem());
    if (reason) send({ type: 'skipped', skipped: { group: group.name, reason } });
    else send({ type: 'visit', group: group.name, visit: await visit(group, done, groups.length) });
  }
}
process.disconnect?.();
