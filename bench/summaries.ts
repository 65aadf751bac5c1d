// From the rounds of a shape's visits to the results of its cases.
import { boundsOf, fastest } from './bounds.js';
import { caseSize, type Group } from './cases.js';
import { isLimit, names, ways } from './names.js';
import type { CallResult, CaseResult, VisitFigures } from './results.js';
import { ratio, summarize } from './timing.js';
import { countedOf, timesOf, together, type Visit } from './visits.js';

export function summariesOf(group: Group, visits: readonly Visit[], threads: number): CaseResult[] {
  const rows = together(visits);
  const baseTimes = timesOf(rows, 0, names.valueAndGrad);
  return group.cases.map((c, owner) => {
    const own = rows.filter((row) => row.owner === owner);
    const find = findIn(rows, group, owner);
    const copy = fastest(ways.copy, find);
    const calls: CallResult[] = [];
    for (const { name, kind, times } of own) {
      if (kind === 'arithmetic' || times.length === 0) continue;
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
        ...(visits.length > 1 &&
          name === names.valueAndGrad && { visits: figuresOf(group, visits, owner) }),
      });
    }
    const { logitsBytes, necessaryBytes } = caseSize(c, group.shape);
    const bounds = copy && boundsOf(own, find, copy.times, threads, c, group.shape);
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
      faults: own.flatMap(({ name, fault }) => (fault ? [`${name}: ${fault}`] : [])),
    };
  });
}

/** The rounds of a case by name. The losses have the tensors of the first case, and no limits of their own. */
function findIn(rows: Visit, { cases }: Group, owner: number) {
  const withLimits = cases[owner]?.loss === cases[0]?.loss ? owner : 0;
  return (name: string) => timesOf(rows, isLimit(name) ? withLimits : owner, name);
}

/** valueAndGrad of a case, visit by visit. */
function figuresOf(group: Group, visits: readonly Visit[], owner: number): VisitFigures[] {
  const counted = countedOf(visits);
  return visits.flatMap((visit, i) => {
    const find = findIn(visit, group, owner);
    const times = find(names.valueAndGrad);
    if (!times) return [];
    const copy = fastest(ways.copy, find);
    const exp = fastest(ways.exp, find);
    const base = owner > 0 ? timesOf(visit, 0, names.valueAndGrad) : undefined;
    return [
      {
        counted: counted[i],
        ms: summarize(times).median,
        ...(copy && {
          copyMs: summarize(copy.times).median,
          toCopy: ratio(times, copy.times).median,
        }),
        ...(exp && { expMs: summarize(exp.times).median }),
        ...(base && { toBase: ratio(times, base).median }),
      },
    ];
  });
}
