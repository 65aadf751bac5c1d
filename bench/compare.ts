// What changed between two runs. A call is slower or faster only when that is more than noise: the quartiles of the two runs do
// not overlap, and the median and the shortest time both changed by a tenth, and by a tenth more than the copy of the same case did:
// that tells a changed call from a changed machine.
import { readFileSync } from 'node:fs';
import type { Saved } from './results.js';
import type { Summary } from './timing.js';

export interface Change {
  /** SIMD target, shape, case, call. */
  readonly what: string;
  readonly oldMs: Summary;
  readonly newMs: Summary;
  /** New median over old. */
  readonly ratio: number;
  /** The same of the copy of that case's logits, where both runs have one: what the machine itself changed by. */
  readonly copyRatio?: number;
  readonly verdict: 'slower' | 'faster' | 'same';
}

export interface Comparison {
  /** The same machine, threads and rounds? Else in words what differs. */
  readonly differs: readonly string[];
  readonly changes: readonly Change[];
  /** Calls of the old run that the new one does not have. */
  readonly missing: readonly string[];
}

const leastChange = 1.1;

export function compare(before: Saved, now: Saved): Comparison {
  const old = callsOf(before);
  const own = callsOf(now);
  const changes = [...own].flatMap(([what, { ms, copy }]): Change[] => {
    const previous = old.get(what);
    if (!previous) return [];
    return [
      {
        what,
        oldMs: previous.ms,
        newMs: ms,
        ratio: ms.median / previous.ms.median,
        ...(copy && previous.copy && { copyRatio: copy / previous.copy }),
        verdict: verdictOf(previous.ms, ms, copy && previous.copy ? copy / previous.copy : 1),
      },
    ];
  });
  const settings = (name: string, a: unknown, b: unknown) =>
    a === b ? [] : [`${name}: ${a} then, ${b} now`];
  return {
    differs: [
      ...settings('processor', before.machine.cpu, now.machine.cpu),
      ...settings('cores', before.machine.cores, now.machine.cores),
      ...settings('threads', before.options.threads, now.options.threads),
      ...settings('--quick', before.options.quick, now.options.quick),
    ],
    changes,
    missing: [...old.keys()].filter((what) => !own.has(what)),
  };
}

/** copyRatio: what the copy changed by; 1 where there is none. */
export function verdictOf(before: Summary, now: Summary, copyRatio: number): Change['verdict'] {
  const slower = (a: Summary, b: Summary, machine: number) => {
    const least = leastChange * Math.max(1, machine);
    return b.q1 > a.q3 && b.median > least * a.median && b.min > leastChange * a.min;
  };
  if (slower(before, now, copyRatio)) return 'slower';
  return slower(now, before, 1 / copyRatio) ? 'faster' : 'same';
}

// Older files lack some.
const nothing = { peers: [], memory: [], scaling: [], server: [], verdicts: [] };

/** @throws TypeError when that is no JSON file of a run */
export function readSaved(file: string): Saved {
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as Saved;
    if (Array.isArray(saved.results) && saved.machine) return { ...nothing, ...saved };
  } catch {
    // said below, as for any other file
  }
  throw new TypeError(`Expected a JSON file of an earlier run but received "${file}"`);
}

/** Our calls, by name; with the median of the fastest copy. */
function callsOf({ results }: Saved): Map<string, { ms: Summary; copy: number | undefined }> {
  const calls = new Map<string, { ms: Summary; copy: number | undefined }>();
  for (const { simd, cases } of results) {
    for (const { group, case: name, fastestCopy, calls: own } of cases) {
      const copy = own.find((call) => call.name === fastestCopy)?.ms.median;
      for (const call of own) {
        if (call.kind !== 'call') continue;
        calls.set(`${simd} ${group} ${name}, ${call.name}`, { ms: call.ms, copy });
      }
    }
  }
  return calls;
}
