// The tables on the terminal.
import Table from 'cli-table3';
import { caseSize, groups } from '../cases/cases.js';
import { calls, isPass } from '../cases/names.js';
import type { Machine } from '../measure/machine.js';
import type { Spread, Summary } from '../measure/timing.js';
import type {
  CaseResult,
  HeadResult,
  MemoryResult,
  PeerTimes,
  RanksResult,
  Saved,
  ScalingResult,
  SimdResult,
} from './results.js';
import { nsOf, type Target } from './targets.js';

function table(head: string[], leftColumns: number): InstanceType<typeof Table> {
  return new Table({
    head,
    colAligns: head.map((_, i) => (i < leftColumns ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
}

const figure = (x: number) => x.toPrecision(3);
const spread = ({ median, q1, q3 }: Spread, f = (x: number) => x.toFixed(2)) =>
  `${f(median)} [${f(q1)} ${f(q3)}]`;

export function machineText(machine: Machine): string {
  const { cpu, cores, caches, memoryGiB, system, loadAverage, node, warpdice, commit, date } =
    machine;
  const busy = `load average ${loadAverage.toFixed(1)} before the run: something else is using this machine`;
  return [
    `warpdice ${warpdice} at ${commit}, node ${node}, ${date}`,
    `${cpu}, ${cores} cores, ${[...caches, `${memoryGiB} GiB`].join(', ')}, ${system}`,
    ...(loadAverage > 0.5 ? [busy] : []),
  ].join('\n');
}

/** The tables of what there is. */
export function tables(found: Partial<Saved>, threads: number): string[] {
  const { results = [], peers = [], memory = [], scaling = [], ranks = [], head = [] } = found;
  return [
    ...results.map(timesText),
    ...(peers.length > 0 ? [peersText(peers)] : []),
    ...(memory.length > 0 ? [memoryText(memory, threads)] : []),
    ...(scaling.length > 0 ? [scalingText(scaling, threads)] : []),
    ...(ranks.length > 0 ? [ranksText(ranks)] : []),
    ...(head.length > 0 ? [headText(head, threads)] : []),
  ];
}

function timesText({ simd, threads, cases, skipped = [] }: SimdResult): string {
  const head = ['case', 'call', 'ms', 'rounds', 'x copy', 'x first case', 'GB/s'];
  const rows = table(head, 2);
  let group = '';
  for (const result of cases) {
    if (result.group !== group) {
      group = result.group;
      rows.push([{ content: group, colSpan: head.length }]);
    }
    rows.push(...timeRows(result));
  }
  const all = cases.flatMap((result) => result.calls);
  const disturbed = all.filter(({ ms }) => ms.q3 > 1.5 * ms.q1).length;
  return [
    `\nTimes, ${simd}, ${threads} threads: median [quartiles].\n${rows}`,
    ...skipped.map((one) => `skipped: ${one.group}, ${one.reason}`),
    ...(disturbed > all.length / 20
      ? [
          `${disturbed} of ${all.length} rows have quartiles 1.5 times apart: this machine was disturbed.`,
        ]
      : []),
    ...cases.flatMap(({ group, case: name, faults = [] }) =>
      faults.map((fault) => `WRONG, not timed: ${group} ${name}, ${fault}`),
    ),
  ].join('\n');
}

function timeRows({ group, case: name, calls: timed }: CaseResult): string[][] {
  return timed.map(({ name: call, ms, toCopy, toBase }, i) => [
    i === 0 ? name : '',
    call,
    spread(ms, figure),
    String(ms.samples),
    toCopy && !isPass(call) ? spread(toCopy) : '',
    toBase ? spread(toBase) : '',
    call === calls.valueAndGrad ? bandwidth(group, name, ms) : '',
  ]);
}

/** Of what has to be moved: logits and target read once, the gradient written once. */
function bandwidth(groupName: string, caseName: string, ms: Summary): string {
  const group = groups.find(({ name }) => name === groupName);
  const c = group?.cases.find(({ name }) => name === caseName);
  return group && c ? (caseSize(c, group.shape).necessaryBytes / ms.median / 1e6).toFixed(1) : '';
}

function peersText(peers: readonly PeerTimes[]): string {
  const rows = table(['shape', 'peer', 'loss', 'ms', 'rounds', 'ours ms', 'x ours', ''], 3);
  for (const { group, name, detail, loss, ms, oursMs, toOurs, ...untimed } of peers) {
    rows.push(
      ms && oursMs && toOurs
        ? [
            ...[group, name, loss ?? '', spread(ms, figure), ms.samples],
            ...[figure(oursMs.median), spread(toOurs), detail],
          ]
        : [group, name, '', '', '', '', '', whyUntimed(untimed)],
    );
  }
  return `\nPeers, value and gradient, float32 logits and labels (int64 for PyTorch).\n${rows}`;
}

function whyUntimed({ fault, oursFault, skipped }: Partial<PeerTimes>): string {
  if (oursFault) return `OURS WRONG, not timed: ${oursFault}`;
  return fault ? `WRONG, not timed: ${fault}` : `skipped: ${skipped}`;
}

function memoryText(results: readonly MemoryResult[], threads: number): string {
  const mb = (bytes: number | undefined) =>
    bytes === undefined ? 'unknown' : (bytes / 1e6).toFixed(2);
  const rows = table(['shape, case', 'call', 'at the end', 'highest', 'processes'], 2);
  for (const { group, case: name, call, resident, peak, children = 0, skipped } of results) {
    const figures = skipped
      ? [{ content: `skipped: ${skipped}`, colSpan: 3 }]
      : [mb(resident), mb(peak), children];
    rows.push([`${group} ${name}`, call, ...figures]);
  }
  return `\nMemory, ${threads} threads: growth of the resident memory beyond the gradient, MB.\n${rows}`;
}

function scalingText(results: readonly ScalingResult[], threads: number): string {
  const head = ['', 'ms', 'rounds', 'ns an element', 'copy, ns an element', 'x copy'];
  const rows = table(head, 1);
  for (const { name, fixed, points } of results) {
    rows.push([{ content: `${name}, ${fixed}`, colSpan: head.length }]);
    for (const { x, elements, ms, copyMs, skipped, fault } of points) {
      if (!ms || !copyMs) {
        const content = fault ? `WRONG: ${fault}` : `skipped: ${skipped}`;
        rows.push([x, { content, colSpan: head.length - 1 }]);
        continue;
      }
      const ns = (of: Summary) => figure(nsOf(of, elements));
      const ratio = (ms.median / copyMs.median).toFixed(2);
      rows.push([x, spread(ms, figure), ms.samples, ns(ms), ns(copyMs), ratio]);
    }
  }
  return `\nScaling of valueAndGrad, float32, labels, ${threads} threads except where they vary.\n${rows}`;
}

function ranksText(results: readonly RanksResult[]): string {
  const head = ['ranks', 'classes', 'sync us', 'async us', 'in the call us'];
  const all = [...head, 'valueAndGrad ms', 'share', 'bytes'];
  const us = (of: Summary) => spread(of, (x) => (1000 * x).toFixed(0));
  const texts = [];
  for (const mpi of new Set(results.map((result) => result.mpi))) {
    const rows = table(all, 2);
    const own = results.filter((result) => result.mpi === mpi && result.sentBytes === undefined);
    for (const { ranks, classes, bytes, syncMs, asyncMs, allReduceMs, ms, skipped } of own) {
      if (!syncMs || !asyncMs || !allReduceMs || !ms) {
        rows.push([ranks, { content: `skipped: ${skipped}`, colSpan: all.length - 1 }]);
        continue;
      }
      const share = `${((100 * allReduceMs.median) / ms.median).toFixed(1)}%`;
      const times = [us(syncMs), us(asyncMs), us(allReduceMs), spread(ms, figure)];
      rows.push([ranks, classes, ...times, share, bytes]);
    }
    texts.push(
      `\nRanks, ${mpi ?? 'no MPI'}: the all-reduce alone, and in valueAndGrad of 64^3 voxels a rank (16^3 with --quick), one thread a rank.\n${rows}`,
    );
  }
  const counted = results.filter(({ sentBytes }) => sentBytes !== undefined);
  if (counted.length === 0) return texts.join('\n');
  // Of every algorithm that moves the fewest bytes.
  const rows = table(['ranks', 'bytes of one', 'bytes of all', 'packets', '2(R - 1)m'], 1);
  for (const { ranks, bytes = 0, sentBytes = 0, packets = 0 } of counted) {
    const [round, least] = [Math.round(sentBytes), 2 * (ranks - 1) * bytes];
    rows.push([ranks, bytes, round, packets.toFixed(1), least]);
  }
  return `${texts.join('\n')}\nCounted over TCP on this machine, ${counted[0]?.mpi}: what all ranks send for one sum, headers included.\n${rows}`;
}

const figureOf = (x: number | undefined) => (x === undefined ? '' : figure(x));

/** The products, and our loss of the logits. */
export const composedMs = ({ productsMs, aloneMs }: HeadResult) =>
  productsMs === undefined || !aloneMs ? undefined : productsMs + aloneMs.median;

function headText(results: readonly HeadResult[], threads: number): string {
  const head = [
    'N, K -> C, voxels',
    'ms',
    'GFLOP/s',
    'peak GFLOP/s',
    '% of peak',
    'loss alone, ms',
    'composed',
    'PyTorch',
    'compiled',
    'MB: ours',
    'composed',
    'PyTorch',
    'compiled',
  ];
  const rows = table(head, 1);
  for (const result of results) {
    const { name, gflop, ms, aloneMs, peakMs, peakGflop, shareOfPeak, skipped } = result;
    if (!ms || !aloneMs || !peakMs || !gflop || !peakGflop || !shareOfPeak) {
      rows.push([name, { content: `skipped: ${skipped}`, colSpan: head.length - 1 }]);
      continue;
    }
    rows.push([
      name,
      spread(ms, figure),
      figure((gflop / ms.median) * 1e3),
      figure((peakGflop / peakMs.median) * 1e3),
      spread(shareOfPeak, (share) => (100 * share).toFixed(0)),
      figure(aloneMs.median),
      ...[composedMs(result), result.eagerMs, result.compiledMs].map(figureOf),
      ...[result.mb, result.composedMb, result.eagerMb, result.compiledMb].map(figureOf),
    ]);
  }
  return `\nvalueAndGrad of linearLogits, float32, ${threads} threads; FLOP: 8*N*S*C*K. Peak: multiply-adds alone. Loss alone: of logits in memory, without the products; composed: with them, ms. MB beyond inputs and gradients.\n${rows}`;
}

export function targetsText(targets: readonly Target[]): string {
  if (targets.length === 0) return '';
  const rows = table(['target', 'shape', 'limit', 'measured', ''], 2);
  for (const { name, shape, limit, measured, met } of targets) {
    rows.push([name, shape, limit, measured, met === undefined ? '' : met ? 'met' : 'NOT MET']);
  }
  const judged = targets.filter(({ met }) => met !== undefined);
  const met = judged.filter((target) => target.met);
  const rest = targets.length - judged.length;
  const unmeasured = rest > 0 ? `, ${rest} not measured` : '';
  return `\nTargets: ${met.length} of ${judged.length} met${unmeasured}.\n${rows}`;
}
