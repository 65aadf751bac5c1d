// What the project asks of itself, beside what was measured. An unmet target is said, with what the same run shows about it.
import { attribution, floorsIn, floorsInCopies } from './bounds.js';
import { groups, isHalf } from './cases.js';
import { names } from './names.js';
import type {
  CallResult,
  CaseResult,
  MemoryResult,
  PeerTimes,
  ScalingResult,
  SimdResult,
  Verdict,
  VisitFigures,
} from './results.js';
import type { Summary } from './timing.js';

/** valueAndGrad over the fastest copy of float32 logits, 2 threads. */
function mostCopies(simd: string, { dtype, shape: [, C = 1] }: CaseResult): number | undefined {
  if ((simd !== 'avx512' && simd !== 'avx2') || dtype !== 'float32' || C > 19) return undefined;
  if (C > 8) return simd === 'avx512' ? 5 : 8;
  return simd === 'avx512' ? 2 : 4;
}

/** valueAndGrad over that of the base. Half precision moves half the bytes, and where these do not fit in a cache, that counts. */
function mostOfBase({ loss, dtype }: CaseResult, base: CaseResult): number | undefined {
  if (loss !== base.loss) return loss === 'Dice and cross-entropy' ? 1.3 : undefined;
  if (dtype === 'float64') return undefined;
  return isHalf(dtype) && base.logitsBytes > beyondCachesBytes ? 1 : 2;
}
const beyondCachesBytes = 32e6;
const leastOfTorch = 7;
const mostTinyUs = 10;
const mostWorkspaceBytes = 1e6; // a thread

export function timeVerdicts({ simd, cases }: SimdResult): Verdict[] {
  const bases = new Map<string, CaseResult>();
  const verdicts: Verdict[] = [];
  for (const result of cases) {
    const base = bases.get(result.group);
    if (!base) bases.set(result.group, result);
    const verdict = base ? againstBase(result, base) : ofBase(result, simd);
    if (verdict) verdicts.push({ ...verdict, target: `${simd} ${verdict.target}` });
  }
  return verdicts;
}

function ofBase(result: CaseResult, simd: string): Verdict | undefined {
  const call = callOf(result);
  if (result.extent === 'tiny') {
    const target = `${result.group}: a call from JavaScript`;
    const limit = `< ${mostTinyUs} us`;
    if (!call) return untimed(target, limit);
    const us = call.ms.median * 1000;
    const apart = betweenVisits(
      call,
      ({ ms }) => ms * 1000,
      (x) => x < mostTinyUs,
    );
    return judged(target, limit, `${us.toFixed(1)} us`, us < mostTinyUs, () => undefined, apart);
  }
  const most = mostCopies(simd, result);
  if (most === undefined) return undefined;
  const target = `${result.group}: valueAndGrad to a copy`;
  const limit = `<= ${most}`;
  if (!call?.toCopy) return untimed(target, limit);
  const measured = call.toCopy.median;
  const explain = () =>
    result.bounds && attribution(floorsInCopies(result.bounds), measured, most, 'copies');
  const apart = betweenVisits(
    call,
    ({ toCopy }) => toCopy,
    (x) => x <= most,
  );
  return judged(target, limit, shown(measured, most), measured <= most, explain, apart);
}

function againstBase(result: CaseResult, base: CaseResult): Verdict | undefined {
  const most = mostOfBase(result, base);
  if (most === undefined) return undefined;
  const target =
    result.loss === base.loss
      ? `${result.group}: ${result.case} to ${base.case}`
      : `${result.group}: ${result.loss} to ${base.loss}`;
  const limit = `<= ${most}`;
  const call = callOf(result);
  if (!call?.toBase) return untimed(target, limit);
  const measured = call.toBase.median;
  const explain = () => againstItsBounds(result, base, measured, most);
  const apart = betweenVisits(
    call,
    ({ toBase }) => toBase,
    (x) => x <= most,
  );
  return judged(target, limit, shown(measured, most), measured <= most, explain, apart);
}

/** The bounds of this case over the time that the base takes. */
function againstItsBounds(
  { bounds }: CaseResult,
  base: CaseResult,
  measured: number,
  most: number,
): string | undefined {
  const baseMs = callOf(base)?.ms.median;
  if (!bounds || !baseMs) return undefined;
  const unit = `of the time of ${base.case}`;
  const bound = attribution(floorsIn(baseMs, bounds), measured, most, unit);
  if (!base.bounds) return bound;
  const growth = bounds.arithmetic.ms.median / base.bounds.arithmetic.ms.median;
  return `${bound}; its arithmetic is ${growth.toFixed(2)} of that of ${base.case}`;
}

/** With two more digits where the last would hide on which side of the limit it is. */
function shown(x: number, limit: number, digits = 2): string {
  const text = x.toFixed(digits);
  return Number(text) === limit && x !== limit ? x.toFixed(digits + 2) : text;
}

/** With what the run says about it where it is not met, and where its visits do not agree about that. */
function judged(
  target: string,
  limit: string,
  measured: string,
  met: boolean,
  explain: () => string | undefined,
  apart?: string,
): Verdict {
  const why = met ? [] : [explain() ?? 'nothing in this run explains it'];
  const because = [...why, ...(apart ? [apart] : [])].join('; ');
  return { target, limit, measured, met, ...(because && { because }) };
}

/** What each visit measured, those that do not count too, where some of them met the target and others did not. */
function betweenVisits(
  { visits = [] }: CallResult,
  figure: (visit: VisitFigures) => number | undefined,
  meets: (x: number) => boolean,
): string | undefined {
  const measured = visits.flatMap((visit) => figure(visit) ?? []);
  if (measured.every(meets) || !measured.some(meets)) return undefined;
  return `its visits disagree: ${measured.map((x) => x.toFixed(2)).join(' and ')}`;
}

function untimed(target: string, limit: string): Verdict {
  return { target, limit, measured: 'not timed', met: false, because: 'a wrong result' };
}

function callOf({ calls }: Pick<CaseResult, 'calls'>) {
  return calls.find(({ name }) => name === names.valueAndGrad);
}

/** Of each main shape. results: of the SIMD target that the peers were beside. */
export function peerVerdicts(
  peers: readonly PeerTimes[],
  results: SimdResult | undefined,
): Verdict[] {
  const main = groups.filter(({ extent }) => extent === 'main');
  return main.flatMap(({ name }) => {
    const versions = peers.filter((peer) => peer.group === name && peer.name.startsWith('PyTorch'));
    const ours = results?.cases.find(({ group }) => group === name);
    return versions.length > 0 ? [torchVerdict(name, versions, ours)] : [];
  });
}

/** The fastest PyTorch version over our time. */
function torchVerdict(
  group: string,
  versions: readonly PeerTimes[],
  ours: CaseResult | undefined,
): Verdict {
  const target = `${group}: the best PyTorch version to ours`;
  const limit = `>= ${leastOfTorch}`;
  if (versions.some(({ oursFault }) => oursFault)) return untimed(target, limit);
  const timed = versions.flatMap(({ name, ms, oursMs, toOurs }) =>
    ms && oursMs && toOurs
      ? [{ name, ms: ms.median, oursMs: oursMs.median, ratio: toOurs.median }]
      : [],
  );
  if (timed.length === 0) {
    const why = versions.map(
      ({ name, fault, skipped }) => `${name}: ${fault ? `wrong, ${fault}` : skipped}`,
    );
    return { target, limit, measured: 'not measured', because: why.join('; ') };
  }
  const fastest = timed.reduce((a, b) => (b.ratio < a.ratio ? b : a));
  const met = fastest.ratio >= leastOfTorch;
  return judged(
    target,
    limit,
    shown(fastest.ratio, leastOfTorch, 1),
    met,
    () => ours && besideTorch(fastest, ours),
  );
}

/**
 * How many times as long as our call PyTorch would take if that took no longer than its bounds, after what that says about it.
 * Alone: in the run without peers, whose caches it has to itself.
 */
function besideTorch(
  { name, ms, oursMs }: { name: string; ms: number; oursMs: number },
  { bounds, calls }: Pick<CaseResult, 'bounds' | 'calls'>,
): string | undefined {
  const alone = callOf({ calls })?.ms.median;
  if (!bounds || !alone) return undefined;
  const { arithmetic, memory, twoPasses } = floorsIn(1, bounds);
  const floor = Math.max(arithmetic, memory);
  const longer = floor === memory ? 'memory' : 'our arithmetic';
  const both = arithmetic + twoPasses;
  const times = (ours: number) => (ms / ours).toFixed(1);
  const figures = [
    `${name} ${ms.toFixed(2)} ms, ours ${oursMs.toFixed(2)} beside it, ${alone.toFixed(2)} alone: there ${times(alone)}`,
    `at ${longer} alone, ${floor.toFixed(2)} ms, it would be ${times(floor)}`,
    `at our arithmetic and two passes one after the other, ${both.toFixed(2)} ms, ${times(both)}`,
  ].join('; ');
  const misses = (ours: number) => ms / ours < leastOfTorch;
  if (misses(floor)) return `${longer} alone takes too long: ${figures}`;
  if (!misses(alone)) return `slower beside PyTorch than alone: ${figures}`;
  return `${misses(both) ? 'neither alone, but one after the other' : 'nothing here explains it'}: ${figures}`;
}

export function memoryVerdict(results: readonly MemoryResult[], threads: number): Verdict[] {
  const measured = results.flatMap(({ resident, peak, ...what }) =>
    resident === undefined ? [] : [{ ...what, grown: peak ?? resident, peak }],
  );
  if (measured.length === 0) return [];
  const most = measured.reduce((a, b) => (a.grown > b.grown ? a : b));
  const atTheEnd = measured.some(({ peak }) => peak === undefined)
    ? ['at the end of the calls: this system does not say what the highest was']
    : [];
  return [
    {
      target: `memory beyond the gradient, the most of ${measured.length} calls`,
      limit: `< ${threads} MB (1 MB a thread)`,
      measured: `${(most.grown / 1e6).toFixed(2)} MB`,
      met: most.grown < threads * mostWorkspaceBytes,
      because: [`${most.group} ${most.case}, ${most.call}`, ...atTheEnd].join('; '),
    },
  ];
}

// Beyond the caches, and before them, time per element is another: both ends of a comparison lie on one side.
const linearFrom = 2 ** 23;
const mostOfLinear = 1.25;
const mostOfNeighbour = 1.5;

/** Linear in voxels: time per element of the largest volumes. No cliff in classes: that of a count over that of the next smaller one. */
export function scalingVerdicts(results: readonly ScalingResult[]): Verdict[] {
  return results.flatMap(({ name, fixed, points }) => {
    const timed = points.flatMap(({ x, elements, ms, copyMs }) =>
      ms && copyMs ? [{ x, ns: nsOf(ms, elements), copyNs: nsOf(copyMs, elements) }] : [],
    );
    if (name === 'voxels') return linearVerdict(fixed, timed);
    return name === 'classes' ? cliffVerdict(fixed, timed) : [];
  });
}

interface PerElement {
  readonly x: number;
  readonly ns: number;
  /** Of a copy of the logits. */
  readonly copyNs: number;
}
const nsOf = ({ median }: Summary, elements: number) => (median * 1e6) / elements;

function linearVerdict(fixed: string, timed: readonly PerElement[]): Verdict[] {
  const large = timed.filter(({ x }) => x >= linearFrom);
  if (large.length < 2) return [];
  const most = large.reduce((a, b) => (b.ns > a.ns ? b : a));
  const least = large.reduce((a, b) => (b.ns < a.ns ? b : a));
  const measured = most.ns / least.ns;
  const power = ({ x }: PerElement) => `2^${Math.log2(x)}`;
  const [first, last] = [large[0], large[large.length - 1]].map(power);
  const explain = () =>
    `from ${power(least)} to ${power(most)}, where an element of the copy takes ${(most.copyNs / least.copyNs).toFixed(2)} times as long`;
  const target = `${fixed}: time a voxel, largest over smallest, S from ${first} to ${last}`;
  const met = measured <= mostOfLinear;
  return [judged(target, `<= ${mostOfLinear}`, shown(measured, mostOfLinear), met, explain)];
}

function cliffVerdict(fixed: string, timed: readonly PerElement[]): Verdict[] {
  const steps = timed.slice(1).flatMap((to, i) => {
    const from = timed[i];
    const isNeighbour = from.x > 1 && to.x <= 2 * from.x; // one class is a sigmoid
    return isNeighbour ? [{ from, to, ratio: to.ns / from.ns }] : [];
  });
  if (steps.length === 0) return [];
  const { from, to, ratio } = steps.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  const explain = () =>
    `from ${from.x} to ${to.x}, where an element of the copy takes ${(to.copyNs / from.copyNs).toFixed(2)} times as long`;
  const target = `${fixed}: time an element, from one number of classes to the next, at most`;
  const met = ratio <= mostOfNeighbour;
  return [judged(target, `<= ${mostOfNeighbour}`, shown(ratio, mostOfNeighbour), met, explain)];
}
