// What the project asks of itself, beside what was measured. An unmet target is said, with what the same run shows about it.
import { attribution } from './bounds.js';
import { groups, isHalf } from './cases.js';
import { names } from './names.js';
import type {
  CaseResult,
  MemoryResult,
  PeerTimes,
  ScalingResult,
  SimdResult,
  Verdict,
} from './results.js';

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
    return { target, limit, measured: `${us.toFixed(1)} us`, met: us < mostTinyUs };
  }
  const most = mostCopies(simd, result);
  if (most === undefined) return undefined;
  const target = `${result.group}: valueAndGrad to a copy`;
  const limit = `<= ${most}`;
  if (!call?.toCopy) return untimed(target, limit);
  const measured = call.toCopy.median;
  const met = measured <= most;
  const because = met || !result.bounds ? undefined : attribution(result.bounds, measured, most);
  return { target, limit, measured: measured.toFixed(2), met, ...(because && { because }) };
}

function againstBase(result: CaseResult, base: CaseResult): Verdict | undefined {
  const most = mostOfBase(result, base);
  if (most === undefined) return undefined;
  const target =
    result.loss === base.loss
      ? `${result.group}: ${result.case} to ${base.case}`
      : `${result.group}: ${result.loss} to ${base.loss}`;
  const limit = `<= ${most}`;
  const measured = callOf(result)?.toBase?.median;
  if (measured === undefined) return untimed(target, limit);
  const met = measured <= most;
  const because = met ? undefined : againstItsBounds(result, base, most);
  return {
    target,
    limit,
    measured: measured.toFixed(2),
    met,
    ...(because && { because }),
  };
}

/** What may be attributed: the bounds of this case over the time that the base takes. */
function againstItsBounds(
  { bounds }: CaseResult,
  base: CaseResult,
  most: number,
): string | undefined {
  const baseMs = callOf(base)?.ms.median;
  if (!bounds || !baseMs) return undefined;
  const { arithmetic, memory } = bounds;
  const [a, m] = [arithmetic, memory].map(({ ms }) => ms.median / baseMs) as [number, number];
  const figures = `arithmetic ${a.toFixed(2)}, memory ${m.toFixed(2)} of its time`;
  if (Math.max(a, m) > most) return `bound by ${bounds.binds}: ${figures}`;
  return `bound by neither alone: ${figures}`;
}

function untimed(target: string, limit: string): Verdict {
  return { target, limit, measured: 'not timed', met: false, because: 'a wrong result' };
}

function callOf({ calls }: CaseResult) {
  return calls.find(({ name }) => name === names.valueAndGrad);
}

/** The fastest PyTorch version of each main shape over our time. */
export function peerVerdicts(peers: readonly PeerTimes[]): Verdict[] {
  const main = groups.filter(({ extent }) => extent === 'main').map(({ name }) => name);
  const ofTorch = peers.filter(
    ({ group, name, toOurs }) => main.includes(group) && name.startsWith('PyTorch') && toOurs,
  );
  return [...new Set(ofTorch.map(({ group }) => group))].map((group) => {
    const ratios = ofTorch
      .filter((peer) => peer.group === group)
      .map(({ toOurs }) => toOurs?.median ?? 0);
    const least = Math.min(...ratios);
    return {
      target: `${group}: the best PyTorch version to ours`,
      limit: `>= ${leastOfTorch}`,
      measured: least.toFixed(1),
      met: least >= leastOfTorch,
    };
  });
}

export function memoryVerdict(results: readonly MemoryResult[], threads: number): Verdict[] {
  if (results.length === 0) return [];
  const grown = ({ peak, resident }: MemoryResult) => peak ?? resident;
  const most = results.reduce((a, b) => (grown(a) > grown(b) ? a : b));
  return [
    {
      target: 'memory beyond the gradient, the most of all cases',
      limit: `< ${threads} MB (1 MB a thread)`,
      measured: `${(grown(most) / 1e6).toFixed(2)} MB`,
      met: grown(most) < threads * mostWorkspaceBytes,
      because: `${most.group} ${most.case}, ${most.call}`,
    },
  ];
}

// Beyond the caches, and before them, time per element is another: both ends of a comparison lie on one side.
const linearFrom = 2 ** 23;
const mostOfLinear = 1.25;
const mostOfNeighbour = 1.5;

/** Linear in voxels: time per element of the largest volumes. No cliff in classes: that of a count over that of the next smaller one. */
export function scalingVerdicts(results: readonly ScalingResult[]): Verdict[] {
  return results.flatMap(({ name, fixed, points }): Verdict[] => {
    const timed = points.flatMap(({ x, elements, ms }) =>
      ms ? [{ x, ns: (ms.median * 1e6) / elements }] : [],
    );
    if (name === 'voxels') {
      const large = timed.filter(({ x }) => x >= linearFrom).map(({ ns }) => ns);
      if (large.length < 2) return [];
      const measured = Math.max(...large) / Math.min(...large);
      return [
        {
          target: `${fixed}: time a voxel, largest over smallest, S from 2^23`,
          limit: `<= ${mostOfLinear}`,
          measured: measured.toFixed(2),
          met: measured <= mostOfLinear,
        },
      ];
    }
    if (name === 'classes') {
      const steps = timed.slice(1).flatMap(({ x, ns }, i) => {
        const before = timed[i];
        return before.x > 1 && x <= 2 * before.x
          ? [{ ratio: ns / before.ns, at: `${before.x} to ${x}` }]
          : []; // one class is a sigmoid
      });
      if (steps.length === 0) return [];
      const most = steps.reduce((a, b) => (a.ratio > b.ratio ? a : b));
      return [
        {
          target: `${fixed}: time an element, from one number of classes to the next, at most`,
          limit: `<= ${mostOfNeighbour}`,
          measured: most.ratio.toFixed(2),
          met: most.ratio <= mostOfNeighbour,
          because: `from ${most.at}`,
        },
      ];
    }
    return [];
  });
}
