// One visit of a shape: its contenders are checked, then those that are right take turns. And what several visits are together.
//
// A run visits a shape twice, each time by a process of its own and as far apart as may be (parts.ts): what another program does to
// the machine for some minutes, or where the system happens to place a tensor, does not meet both. A visit whose copy or
// exponentials took over a fifth longer than those of the other does not count; of visits that agree the rounds count together. Only
// these limits decide: no time of a loss has a say in which visits count. The copy tells of memory that others use; the exponentials,
// of processors that share a core with others or with each other, as virtual ones may for minutes: that leaves a copy as it was.
import { fastest } from './bounds.js';
import { ways } from './names.js';
import { type Budget, interleave, summarize, type Timed } from './timing.js';

export interface Contender extends Timed {
  readonly name: string;
  readonly kind: 'limit' | 'call' | 'arithmetic';
  readonly elements: number;
  /** Runs once and says what is wrong with the result, if anything. */
  fault(): string | undefined;
}

/** What one visit found of one contender. */
export interface Row extends Pick<Contender, 'name' | 'kind' | 'elements'> {
  /** Its case: a place among those of the group. */
  readonly owner: number;
  /** Milliseconds by round; none where it was wrong. */
  readonly times: readonly number[];
  readonly fault?: string;
}

export type Visit = readonly Row[];

const mostOfFastest = 1.2;

/** Nothing that is wrong is timed. */
export async function rightInTurns(
  contenders: readonly (Contender & { readonly owner: number })[],
  budget: Budget,
  progress: (stage: string, share: number) => void,
): Promise<Visit> {
  const faults = contenders.map((contender, i) => {
    progress(`checking ${contender.name}`, i / contenders.length / 10);
    contender.enter?.();
    const fault = contender.fault();
    contender.leave?.();
    return fault;
  });
  const right = contenders.filter((_, i) => faults[i] === undefined);
  const times = await interleave(right, budget, (share) => progress('timing', share));
  return contenders.map((contender, i) => {
    const { owner, name, kind, elements } = contender;
    const row = { owner, name, kind, elements };
    const fault = faults[i];
    return fault === undefined
      ? { ...row, times: times[right.indexOf(contender)] ?? [] }
      : { ...row, times: [], fault };
  });
}

/** Of one contender; undefined where it was not timed. */
export function timesOf(rows: Visit, owner: number, name: string): readonly number[] | undefined {
  const row = rows.find((other) => other.owner === owner && other.name === name);
  return row && row.times.length > 0 ? row.times : undefined;
}

/**
 * Which visits count: those in which neither the copy of the first case's logits nor the exponentials of them were slow. All, where
 * there are none of either, or where each visit had something slow.
 */
export function countedOf(visits: readonly Visit[]): boolean[] {
  const counted = visits.map(() => true);
  for (const way of [ways.copy, ways.exp]) {
    const medians = visits.map((visit) => {
      const row = fastest(way, (name) => timesOf(visit, 0, name));
      return row ? summarize(row.times).median : Infinity;
    });
    const least = Math.min(...medians);
    for (const [i, ms] of medians.entries()) counted[i] &&= ms <= mostOfFastest * least;
  }
  return counted.includes(true) ? counted : visits.map(() => true);
}

/** The rounds of the visits that count, one visit's behind another's. What was wrong in any visit has none. */
export function together(visits: readonly Visit[]): Visit {
  const counted = visits.filter((_, i) => countedOf(visits)[i]);
  return (visits[0] ?? []).map(({ owner, name, kind, elements }) => {
    const same = (row: Row) => row.owner === owner && row.name === name;
    const fault = visits.flatMap((rows) => rows.filter(same)).find((row) => row.fault)?.fault;
    const times = counted.flatMap((rows) => rows.filter(same).flatMap((row) => row.times));
    const row = { owner, name, kind, elements };
    return fault === undefined ? { ...row, times } : { ...row, times: [], fault };
  });
}
