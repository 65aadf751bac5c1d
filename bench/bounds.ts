// What a call cannot be faster than, and which of the bounds a missed target fails at.
import { type Case, caseSize } from './cases.js';
import { limitNames, names, ways } from './names.js';
import type { Bound, Bounds } from './results.js';
import { ratio, summarize } from './timing.js';

type Find = (name: string) => number[] | undefined;

/** The way with the smallest median. */
export function fastest(
  namesOfWays: readonly string[],
  find: Find,
): { name: string; times: number[] } | undefined {
  return namesOfWays
    .flatMap((name) => ({ name, times: find(name) ?? [] }))
    .filter(({ times }) => times.length > 0)
    .sort((a, b) => summarize(a.times).median - summarize(b.times).median)[0];
}

export function boundsOf(
  own: readonly { readonly name: string; readonly elements: number }[],
  find: Find,
  copy: readonly number[],
  threads: number,
  c: Case,
  shape: readonly number[],
): Bounds | undefined {
  const { elements, logitsBytes, necessaryBytes } = caseSize(c, shape);
  const sizeOf = (name: string) => own.find((contender) => contender.name === name)?.elements ?? 0;
  const growth = sizeOf(names.large) - sizeOf(names.small);
  const [small, large] = [find(names.small), find(names.large)];
  const memory = fastest(ways.necessary, find)?.times;
  const twoPasses = fastest(ways.twoPasses, find)?.times;
  const write = fastest(ways.write, find)?.times;
  const read = find(limitNames.read);
  if (!small || !large || growth <= 0 || !memory || !twoPasses || !write || !read) return undefined;

  const nsPerElement = large.map((ms, round) => ((ms - small[round]) * 1e6) / growth);
  const arithmetic = nsPerElement.map((ns) => (ns * elements) / threads / 1e6);
  const bound = (times: readonly number[]): Bound => ({
    ms: summarize(times),
    toCopy: ratio(times, copy),
  });
  const gbs = (bytes: number, times: readonly number[]) => bytes / summarize(times).median / 1e6;
  return {
    memory: bound(memory),
    twoPasses: bound(twoPasses),
    arithmetic: bound(arithmetic),
    nsPerElement: summarize(nsPerElement),
    binds: summarize(arithmetic).median > summarize(memory).median ? 'arithmetic' : 'memory',
    readGBs: gbs(necessaryBytes - logitsBytes, read),
    writeGBs: gbs(logitsBytes, write),
  };
}

/** What a call cannot be faster than, all in one unit. */
export interface Floors {
  readonly arithmetic: number;
  readonly memory: number;
  readonly twoPasses: number;
}

/** Medians in ms over `unitMs`. */
export function floorsIn(unitMs: number, { arithmetic, memory, twoPasses }: Bounds): Floors {
  const [a, m, t] = [arithmetic, memory, twoPasses].map(({ ms }) => ms.median / unitMs);
  return { arithmetic: a, memory: m, twoPasses: t };
}

export function floorsInCopies({ arithmetic, memory, twoPasses }: Bounds): Floors {
  const [a, m, t] = [arithmetic, memory, twoPasses].map(({ toCopy }) => toCopy.median);
  return { arithmetic: a, memory: m, twoPasses: t };
}

/** For a call that takes `measured` where `most` is allowed: what the bounds of the same run say about it. */
export function attribution(
  { arithmetic: a, memory: m, twoPasses: t }: Floors,
  measured: number,
  most: number,
  unit: string,
): string {
  const figures = `arithmetic ${a.toFixed(2)}, memory ${m.toFixed(2)}, two passes ${t.toFixed(2)} ${unit}`;
  if (a > most && m > most) return `bound by both: ${figures}`;
  if (a > most) return `bound by arithmetic: ${figures}`;
  if (m > most) return `bound by memory: ${figures}`;
  if (t > most) return `bound by memory, read twice: ${figures}`;
  const together = `${figures}, together ${(a + t).toFixed(2)}`;
  if (a + t > most) return `neither alone, but one after the other: ${together}`;
  return `bound by neither, ${(measured - a - t).toFixed(2)} ${unit} lost: ${together}`;
}
