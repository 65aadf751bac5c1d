// What the project asks of itself, beside what was measured.
import { base, type Case, caseSize, type Group, groups, isHalf } from '../cases/cases.js';
import { calls } from '../cases/names.js';
import type { Summary } from '../measure/timing.js';
import type {
  CallResult,
  CaseResult,
  MemoryResult,
  PeerTimes,
  Saved,
  ScalingResult,
} from './results.js';

export interface Target {
  readonly name: string;
  readonly shape: string;
  readonly limit: string;
  readonly measured: string;
  /** Undefined when it was not measured. */
  readonly met: boolean | undefined;
}

/** What valueAndGrad of a case may take, by SIMD target where it depends on that. */
type CaseLimit = readonly [
  name: string,
  figure: (call: CallResult) => number | undefined,
  most: number | Readonly<Record<string, number>> | 'none',
  applies: (c: Case, group: Group) => boolean,
];

const classes = ({ shape }: Group) => shape[1] as number;
const isFirst = (c: Case, { cases }: Group) => c.name === cases[0]?.name;
const isBase = (c: Case, group: Group) => isFirst(c, group) && c.dtype === 'float32';
const us = ({ ms }: CallResult) => ms.median * 1000;
const toCopy = (call: CallResult) => call.toCopy?.median;
const toBase = (call: CallResult) => call.toBase?.median;
// Half precision moves half the bytes of float32: where these do not fit a cache, that counts.
const beyondCaches = ({ shape }: Group) => caseSize(base, shape).logitsBytes > 32e6;

const copy = 'valueAndGrad to a copy';
const toThat = 'valueAndGrad to that of';

/** The first that applies counts. */
const caseLimits: readonly CaseLimit[] = [
  ['a call from JavaScript, us', us, 10, (_, { extent }) => extent === 'tiny'],
  [copy, toCopy, { avx512: 2, avx2: 4 }, (c, group) => isBase(c, group) && classes(group) <= 8],
  [copy, toCopy, { avx512: 5, avx2: 8 }, (c, group) => isBase(c, group) && classes(group) <= 19],
  [copy, toCopy, 'none', isFirst],
  [`${toThat} Dice`, toBase, 1.3, ({ loss }) => loss === 'Dice and cross-entropy'],
  [`${toThat} Dice`, toBase, 'none', ({ loss }) => loss !== base.loss],
  [`${toThat} float32`, toBase, 'none', ({ dtype }) => dtype === 'float64'],
  [`${toThat} float32`, toBase, 1, ({ dtype }, group) => isHalf(dtype) && beyondCaches(group)],
  [`${toThat} ${base.name}`, toBase, 2, () => true],
];

export function targetsOf({ results, peers, memory, scaling, options }: Saved): Target[] {
  return [
    ...results.flatMap(({ simd, cases }) => cases.flatMap((result) => caseTarget(simd, result))),
    ...torchTargets(peers),
    ...memoryTarget(memory, options.threads),
    ...scaling.flatMap(scalingTarget),
  ];
}

function caseTarget(simd: string, result: CaseResult): Target[] {
  const group = groups.find(({ name }) => name === result.group);
  const c = group?.cases.find(({ name }) => name === result.case);
  const limit = group && c && caseLimits.find(([, , , applies]) => applies(c, group));
  if (!limit) return []; // of an earlier version
  const [name, figure, limits] = limit;
  const most = typeof limits === 'object' ? limits[simd] : limits;
  if (most === undefined || most === 'none') return [];
  const call = result.calls.find((one) => one.name === calls.valueAndGrad);
  return [target(`${simd}, ${result.case}: ${name}`, result.group, most, call && figure(call))];
}

/** measured undefined: what should have been timed was wrong, or is not there. */
function target(name: string, shape: string, most: number, measured: number | undefined): Target {
  const limit = `<= ${most}`;
  if (measured === undefined) return { name, shape, limit, measured: 'not timed', met: false };
  return { name, shape, limit, measured: shown(measured, most), met: measured <= most };
}

/** With two more digits where the last would hide on which side of the limit it is. */
function shown(x: number, limit: number): string {
  const text = x.toFixed(2);
  return Number(text) === limit && x !== limit ? x.toFixed(4) : text;
}

const leastOfTorch = 7;

/** The fastest PyTorch version over our time, on each main shape. */
function torchTargets(peers: readonly PeerTimes[]): Target[] {
  return groups.flatMap(({ name: shape, extent }): Target[] => {
    const versions = peers.filter(
      ({ group, name }) => extent === 'main' && group === shape && name.startsWith('PyTorch'),
    );
    if (versions.length === 0) return [];
    const name = 'the fastest PyTorch version to ours';
    const limit = `>= ${leastOfTorch}`;
    if (versions.some(({ oursFault }) => oursFault)) {
      return [{ name, shape, limit, measured: 'not timed', met: false }];
    }
    const ratios = versions.flatMap(({ toOurs }) => toOurs?.median ?? []);
    if (ratios.length === 0) return [{ name, shape, limit, measured: 'not there', met: undefined }];
    const least = Math.min(...ratios);
    return [
      { name, shape, limit, measured: shown(least, leastOfTorch), met: least >= leastOfTorch },
    ];
  });
}

/** Of all that was measured, the highest growth; at the end of the calls where the system does not say the highest. */
function memoryTarget(results: readonly MemoryResult[], threads: number): Target[] {
  const grown = results.flatMap(({ resident, peak, group, case: name, call }) =>
    resident === undefined ? [] : [{ MB: (peak ?? resident) / 1e6, shape: group, call, name }],
  );
  if (grown.length === 0) return [];
  const { MB, shape, call, name } = grown.reduce((a, b) => (b.MB > a.MB ? b : a));
  const of = `${grown.length} calls: ${name}, ${call}`;
  return [target(`MB beyond the gradient, the most of ${of}`, shape, threads, MB)];
}

const linearFrom = 2 ** 23; // beyond the caches: before them, an element takes another time

/** Linear in voxels; no cliff from a number of classes to the next one, at most twice as large (one class is a sigmoid). */
function scalingTarget({ name, fixed, points }: ScalingResult): Target[] {
  const timed = points.flatMap(({ x, elements, ms }) =>
    ms ? [{ x, ns: nsOf(ms, elements) }] : [],
  );
  const ratios =
    name === 'voxels'
      ? timed
          .filter(({ x }) => x >= linearFrom)
          .flatMap((a, _, large) => large.map((b) => ({ from: b, to: a, ratio: a.ns / b.ns })))
      : timed.slice(1).flatMap((to, i) => {
          const from = timed[i];
          const isNeighbour = from.x > 1 && to.x <= 2 * from.x;
          return isNeighbour ? [{ from, to, ratio: to.ns / from.ns }] : [];
        });
  if (name === 'threads' || ratios.length < 2) return [];
  const { from, to, ratio } = ratios.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  const what = `ns an element at ${to.x} ${name} to that at ${from.x}, the largest such ratio`;
  return [target(what, fixed, name === 'voxels' ? 1.25 : 1.5, ratio)];
}

export const nsOf = ({ median }: Summary, elements: number) => (median * 1e6) / elements;
