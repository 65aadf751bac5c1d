// What a call cannot be faster than, which of the bounds a missed target fails at, and what they leave unexplained.
import { type Case, cacheMebibytes, caseSize, isHalf } from './cases.js';
import { limitNames, names, ways } from './names.js';
import type { Bound, Bounds } from './results.js';
import { ratio, summarize } from './timing.js';

type Find = (name: string) => readonly number[] | undefined;

/** The way with the smallest median. */
export function fastest(
  namesOfWays: readonly string[],
  find: Find,
): { name: string; times: readonly number[] } | undefined {
  return namesOfWays
    .flatMap((name) => ({ name, times: find(name) ?? [] }))
    .filter(({ times }) => times.length > 0)
    .sort((a, b) => summarize(a.times).median - summarize(b.times).median)[0];
}

const rowVoxels = 128; // whole steps of every kernel: a part of one costs as much as all of it, or more
const cachedElements = 32768; // with the gradient 256 KiB of float32: a core's own cache

/** Two sizes with the same C, the larger about four times the smaller. */
export function arithmeticShapes(C: number): { name: string; shape: number[] }[] {
  const large = Math.max(2, Math.floor(cachedElements / C / rowVoxels));
  const small = Math.max(1, Math.floor(large / 4));
  return [
    { name: names.small, shape: [1, C, small, rowVoxels] },
    { name: names.large, shape: [1, C, large, rowVoxels] },
  ];
}

/**
 * Does a call compute its probabilities in both passes? The rule of native/cpu/run.cc: beyond the cache, except that narrow vectors
 * keep them, those of AVX2 where a sample alone is larger than the cache and its classes are not interleaved. (Half precision is
 * never kept, in a small call neither.)
 */
export function computesTwice(shape: readonly number[], c: Case, simd: string): boolean {
  const mebibytes = (2 * caseSize(c, shape).logitsBytes) / 2 ** 20;
  const large = mebibytes / (shape[0] ?? 1) > cacheMebibytes && c.layout === 'channels-first';
  const kept = simd !== 'avx512' && (simd !== 'avx2' || large);
  return mebibytes > cacheMebibytes && !kept;
}

/** Does it keep them where the gradient goes? */
export const keeps = (shape: readonly number[], c: Case, simd: string) =>
  !isHalf(c.dtype) && !computesTwice(shape, c, simd);

/** Undefined without all of the rows, or when the disturbed larger size was no slower than the smaller one. */
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
  const twoPasses = find(limitNames.kept) ?? fastest(ways.twoPasses, find)?.times; // as the call does them
  const write = fastest(ways.write, find)?.times;
  const read = find(limitNames.read);
  const exp = fastest(ways.exp, find)?.times;
  if (!small || !large || growth <= 0 || !memory || !twoPasses || !write || !read) return undefined;

  const nsPerElement = large.map((ms, round) => ((ms - small[round]) * 1e6) / growth);
  if (summarize(nsPerElement).q1 <= 0) return undefined;
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
    ...(exp && { exp: bound(exp) }),
    nsPerElement: summarize(nsPerElement),
    binds: summarize(arithmetic).median > summarize(memory).median ? 'arithmetic' : 'memory',
    readGBs: gbs(necessaryBytes - logitsBytes, read),
    writeGBs: gbs(logitsBytes, write),
  };
}

/** What a call cannot be faster than, all in one unit; and a pass of one exponential an element, of float32. */
export interface Floors {
  readonly arithmetic: number;
  readonly memory: number;
  readonly twoPasses: number;
  readonly exp?: number;
}

function floors(bounds: Bounds, figure: (bound: Bound) => number): Floors {
  const { arithmetic, memory, twoPasses, exp } = bounds;
  return {
    arithmetic: figure(arithmetic),
    memory: figure(memory),
    twoPasses: figure(twoPasses),
    ...(exp && { exp: figure(exp) }),
  };
}

/** Medians in ms over `unitMs`. */
export const floorsIn = (unitMs: number, bounds: Bounds) =>
  floors(bounds, ({ ms }) => ms.median / unitMs);

export const floorsInCopies = (bounds: Bounds) => floors(bounds, ({ toCopy }) => toCopy.median);

const leastRest = 0.05; // of the time: less is within the noise

/**
 * For a call that takes `measured` where `most` is allowed: what the bounds of the same run say about it, and what they do not.
 * Arithmetic and two passes one after the other is all that the run can explain.
 */
export function attribution(
  { arithmetic: a, memory: m, twoPasses: t, exp }: Floors,
  measured: number,
  most: number,
  unit: string,
): string {
  const of = (x: number) => x.toFixed(2);
  const figures = [
    `our arithmetic ${of(a)}${exp === undefined ? '' : ` (an exp pass ${of(exp)})`}`,
    `memory ${of(m)}`,
    `two passes ${of(t)}`,
    `arithmetic and two passes ${of(a + t)} ${unit}`,
  ].join(', ');
  const rest = measured - a - t;
  const unexplained =
    rest > leastRest * measured ? `; nothing here explains the other ${of(rest)}` : '';
  return `${reason(a, m, t, most)}: ${figures}${unexplained}`;
}

function reason(a: number, m: number, t: number, most: number): string {
  if (a > most && m > most) return 'bound by our arithmetic and by memory';
  if (a > most) return 'bound by our arithmetic';
  if (m > most) return 'bound by memory';
  if (t > most) return 'bound by memory, in two passes';
  return a + t > most ? 'neither alone, but one after the other' : 'bound by neither';
}
