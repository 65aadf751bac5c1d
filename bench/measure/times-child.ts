// Visits the selected shapes with the SIMD target that this process was started with, and sends what it finds to its parent.
import os from 'node:os';
import { type Answer, solve } from '../cases/answer.js';
import { type Group, lacksMemory, select } from '../cases/cases.js';
import type { LossName } from '../cases/losses.js';
import type { SkippedGroup } from '../report/results.js';
import { loadPasses } from './passes.js';
import { type ChildSettings, inChild } from './processes.js';
import { type RowTimes, rowsOf, timeRows } from './rows.js';

export type TimesMessage =
  | { readonly type: 'skipped'; readonly skipped: SkippedGroup }
  | { readonly type: 'visit'; readonly group: string; readonly rows: RowTimes[] };

await inChild<TimesMessage>(async (settings, send) => {
  for (const group of select(settings)) {
    console.error(`  ${group.name}`);
    const reason = lacksMemory(group, os.freemem());
    if (reason) send({ type: 'skipped', skipped: { group: group.name, reason } });
    else send({ type: 'visit', group: group.name, rows: await visit(group, settings) });
  }
});

function visit(group: Group, { threads, budget }: ChildSettings): Promise<RowTimes[]> {
  const passes = loadPasses(threads);
  const answers = new Map<LossName, Answer>();
  const rows = group.cases.flatMap((c, owner) => {
    const answer = answers.get(c.loss) ?? solve(group, group.shape, c.loss);
    answers.set(c.loss, answer);
    return rowsOf(group, c, answer, passes).map((row) => ({ ...row, owner }));
  });
  return timeRows(rows, threads, budget);
}
