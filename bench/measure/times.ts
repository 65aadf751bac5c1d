// The times of our calls and of the passes beside them. Each shape is visited twice, minutes apart, by processes of their own; the
// visit with the faster passes counts. No time of a loss has a say in that: the copy tells of memory that other programs use, the
// exponentials of processors that share a core, as virtual ones may.
import { type Group, select } from '../cases/cases.js';
import { calls, passes } from '../cases/names.js';
import type { CaseResult, SimdResult, SkippedGroup } from '../report/results.js';
import { type ChildSettings, runChild } from './processes.js';
import type { RowTimes } from './rows.js';
import type { TimesMessage } from './times-child.js';
import { ratio, summarize } from './timing.js';

type Visit = readonly RowTimes[];

/** All SIMD targets have had a visit before one has its next. */
export async function measureTimes(
  targets: readonly string[],
  settings: Omit<ChildSettings, 'simd'>,
  visits: number,
): Promise<SimdResult[]> {
  const found = targets.map(() => new Map<string, Visit[]>());
  const lacking = targets.map(() => new Map<string, SkippedGroup>());
  for (let visit = 1; visit <= visits; visit++) {
    for (const [i, simd] of targets.entries()) {
      console.error(`${simd}, visit ${visit} of ${visits}`);
      const receive = (message: TimesMessage) => {
        if (message.type === 'skipped') lacking[i].set(message.skipped.group, message.skipped);
        else found[i].set(message.group, [...(found[i].get(message.group) ?? []), message.rows]);
      };
      // The shapes of --all alone have one visit: they stand in no table of the pages.
      const all = settings.all && visit === 1;
      await runChild('measure/times-child.js', { ...settings, all, simd }, receive);
    }
  }
  return targets.map((simd, i) => ({
    simd,
    threads: settings.threads,
    cases: select(settings).flatMap((group) => caseResults(group, found[i].get(group.name) ?? [])),
    skipped: [...lacking[i].values()].filter(({ group }) => !found[i].has(group)),
  }));
}

/** Those of the visit that counts; what was wrong in any visit has no times. */
export function caseResults(group: Group, visits: readonly Visit[]): CaseResult[] {
  if (visits.length === 0) return [];
  const visit = quietest(visits);
  const base = timesOf(visit, 0, calls.valueAndGrad);
  return group.cases.map((c, owner) => {
    // Another loss has the tensors of the first case, and its copies.
    const copy = fastest(passes.copy, visit, c.loss === group.cases[0]?.loss ? owner : 0);
    const faults = visits.flatMap((rows) =>
      rows.flatMap(({ name, owner: of, fault }) =>
        of === owner && fault ? [{ name, fault }] : [],
      ),
    );
    const timed = visit.filter(
      ({ name, owner: of, times }) =>
        of === owner && times.length > 0 && !faults.some((one) => one.name === name),
    );
    return {
      group: group.name,
      case: c.name,
      calls: timed.map(({ name, times }) => ({
        name,
        ms: summarize(times),
        ...(copy && { toCopy: ratio(times, copy.times) }),
        ...(owner > 0 && base && name === calls.valueAndGrad && { toBase: ratio(times, base) }),
      })),
      ...(faults.length > 0 && { faults: faults.map(({ name, fault }) => `${name}: ${fault}`) }),
    };
  });
}

/** By the product of the first case's fastest copy and fastest exponentials. */
function quietest(visits: readonly Visit[]): Visit {
  const passesMs = (visit: Visit) =>
    [passes.copy, passes.exp]
      .map((ways) => fastest(ways, visit, 0))
      .reduce((product, way) => product * (way ? summarize(way.times).median : 1), 1);
  return visits.reduce((a, b) => (passesMs(b) < passesMs(a) ? b : a));
}

/** The way with the smallest median. */
function fastest(ways: readonly string[], visit: Visit, owner: number) {
  return ways
    .flatMap((name) => {
      const times = timesOf(visit, owner, name);
      return times ? [{ name, times }] : [];
    })
    .sort((a, b) => summarize(a.times).median - summarize(b.times).median)[0];
}

/** Undefined where it was not timed. */
function timesOf(visit: Visit, owner: number, name: string): readonly number[] | undefined {
  const row = visit.find((one) => one.owner === owner && one.name === name);
  return row && row.times.length > 0 ? row.times : undefined;
}
