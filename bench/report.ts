// The tables on the terminal.
import Table from 'cli-table3';
import type { Comparison } from './compare.js';
import type { Machine } from './machine.js';
import { names } from './names.js';
import type {
  Bound,
  CaseResult,
  MemoryResult,
  PeerTimes,
  ScalingResult,
  ServerResult,
  SimdResult,
  Verdict,
} from './results.js';
import type { Summary } from './timing.js';

function table(head: string[], leftColumns: number): InstanceType<typeof Table> {
  return new Table({
    head,
    colAligns: head.map((_, i) => (i < leftColumns ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
}

const figure = (x: number) => x.toPrecision(3);
const spread = ({ median, q1, q3 }: Summary, f = (x: number) => x.toFixed(2)) =>
  `${f(median)} [${f(q1)} ${f(q3)}]`;

export function machineText(machine: Machine): string {
  const { cpu, cores, caches, memoryGiB, system, loadAverage, node, warpdice, commit, date } =
    machine;
  return [
    `warpdice ${warpdice} at ${commit}, node ${node}, ${date}`,
    `${cpu}, ${cores} cores, ${[...caches, `${memoryGiB} GiB`].join(', ')}, ${system}`,
    ...(loadAverage > 0.5
      ? [
          `load average ${loadAverage.toFixed(1)} before the run: something else is using this machine`,
        ]
      : []),
  ].join('\n');
}

export function timesText({ simd, threads, cases, skipped = [] }: SimdResult): string {
  const lines = [`\nTimes, ${simd}, ${threads} threads. [q1 q3] are quartiles.`];
  const big = cases.filter(({ extent }) => extent !== 'tiny');
  if (big.length > 0) {
    const head = [
      'case',
      'call',
      'ms',
      'min',
      'rounds',
      'x copy',
      'min/min',
      'x first case',
      'GB/s',
    ];
    const rows = table(head, 2);
    let group = '';
    for (const result of big) {
      if (result.group !== group) {
        group = result.group;
        rows.push([{ content: group, colSpan: head.length }]);
      }
      rows.push(...timeRows(result));
    }
    lines.push(rows.toString());
  }
  const tiny = cases.filter(({ extent }) => extent === 'tiny');
  if (tiny.length > 0) {
    const rows = table(['shape', 'call', 'us', 'min', 'rounds'], 2);
    for (const { group, calls } of tiny) {
      for (const { name, ms } of calls) {
        rows.push([
          group,
          name,
          spread(ms, (x) => figure(x * 1000)),
          figure(ms.min * 1000),
          ms.samples,
        ]);
      }
    }
    lines.push(rows.toString());
  }
  for (const { group, reason } of skipped) lines.push(`skipped: ${group}, ${reason}`);
  lines.push(...visitLines(cases));
  const disturbed = cases
    .flatMap(({ calls }) => calls)
    .filter(({ ms }) => ms.median > 1.5 * ms.min);
  const all = cases.reduce((count, { calls }) => count + calls.length, 0);
  if (disturbed.length > all / 20) {
    lines.push(
      `${disturbed.length} of ${all} medians are over 1.5 times their minimum: this machine was disturbed.`,
    );
  }
  for (const { group, case: name, faults } of cases) {
    for (const fault of faults) lines.push(`WRONG, not timed: ${group} ${name}, ${fault}`);
  }
  return lines.join('\n');
}

/** Which visits do not count, and whether those that do agree. */
function visitLines(cases: readonly CaseResult[]): string[] {
  const times = (x: number) => `${x.toFixed(2)} times`;
  const all = cases.flatMap(({ group, case: name, calls }) =>
    calls.flatMap(({ visits }) => (visits && visits.length > 1 ? [{ group, name, visits }] : [])),
  );
  const firsts = all.filter(({ group }, i) => all[i - 1]?.group !== group);
  const leftOut = firsts.flatMap(({ group, visits }) => {
    const best = visits.find(({ counted }) => counted);
    return visits.flatMap(({ counted, ms, copyMs, expMs }, i) => {
      if (counted || !best?.copyMs || !copyMs) return [];
      const exp = expMs && best.expMs ? `, its exponentials ${times(expMs / best.expMs)}` : '';
      return `${group}: visit ${i + 1} does not count, its copy took ${times(copyMs / best.copyMs)} as long${exp}, valueAndGrad ${times(ms / best.ms)}.`;
    });
  });
  const apart = all.flatMap(({ group, name, visits }) => {
    const ms = visits.filter(({ counted }) => counted).map((visit) => visit.ms);
    const ratio = Math.max(...ms) / Math.min(...ms);
    return ratio > 1.2 ? [{ what: `${group} ${name}`, ratio }] : [];
  });
  if (apart.length === 0) return leftOut;
  const most = apart.reduce((a, b) => (b.ratio > a.ratio ? b : a));
  return [
    ...leftOut,
    `${apart.length} of ${all.length} valueAndGrad differ by over a fifth between visits whose copies and exponentials do not, most ${most.what}, ${times(most.ratio)}: nothing here says which visit is right, and both count.`,
  ];
}

function timeRows({ case: name, calls, necessaryBytes }: CaseResult): string[][] {
  return calls.map(({ name: call, kind, ms, toCopy, minToCopy, toBase }, i) => [
    i === 0 ? name : '',
    call,
    spread(ms, figure),
    figure(ms.min),
    String(ms.samples),
    toCopy && kind === 'call' ? spread(toCopy) : '',
    minToCopy && kind === 'call' ? minToCopy.toFixed(2) : '',
    toBase ? spread(toBase) : '',
    // Only where all those bytes are moved.
    call.startsWith(names.valueAndGrad) || call === names.plan
      ? (necessaryBytes / ms.median / 1e6).toFixed(1)
      : '',
  ]);
}

export function boundsText({ simd, threads, cases }: SimdResult): string {
  const head = [
    'shape, case',
    'valueAndGrad ms',
    'memory ms',
    'two passes ms',
    'arithmetic ms',
    'ns an element',
    'read GB/s',
    'write GB/s',
    'binds',
    'x bound',
  ];
  const rows = table(head, 1);
  for (const { group, case: name, calls, bounds } of cases) {
    const own = calls.find((call) => call.name === names.valueAndGrad);
    if (!own || !bounds) continue;
    const { memory, twoPasses, arithmetic, nsPerElement, binds, readGBs, writeGBs } = bounds;
    const inCopies = ({ ms, toCopy }: Bound) =>
      `${figure(ms.median)} (${toCopy.median.toFixed(2)} copies)`;
    rows.push([
      `${group} ${name}`,
      figure(own.ms.median),
      inCopies(memory),
      inCopies(twoPasses),
      inCopies(arithmetic),
      spread(nsPerElement, figure),
      readGBs.toFixed(1),
      writeGBs.toFixed(1),
      binds,
      (own.ms.median / bounds[binds].ms.median).toFixed(2),
    ]);
  }
  if (rows.length === 0) return '';
  return `\nWhat bounds it, ${simd}, ${threads} threads. Arithmetic: our own kernel in a core's cache, not a limit of the machine.\n${rows}`;
}

export function peersText(peers: readonly PeerTimes[]): string {
  if (peers.length === 0) return '';
  const rows = table(
    ['shape', 'peer', 'denominators', 'ms', 'min', 'rounds', 'ours ms', 'x ours', ''],
    3,
  );
  for (const { group, name, detail, denominator, ms, oursMs, toOurs, ...untimed } of peers) {
    if (ms && oursMs && toOurs) {
      const times = [spread(ms, figure), figure(ms.min), ms.samples, figure(oursMs.median)];
      rows.push([group, name, denominator, ...times, spread(toOurs), detail]);
    } else {
      rows.push([group, name, '', '', '', '', '', '', whyUntimed(untimed)]);
    }
  }
  return `\nPeers, value and gradient, float32 logits and labels (int64 for PyTorch).\n${rows}`;
}

function whyUntimed({ fault, oursFault, skipped }: Partial<PeerTimes>): string {
  if (oursFault) return `OURS WRONG, not timed: ${oursFault}`;
  return fault ? `WRONG, not timed: ${fault}` : `skipped: ${skipped}`;
}

export function memoryText(results: readonly MemoryResult[], threads: number): string {
  if (results.length === 0) return '';
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

export function scalingText(results: readonly ScalingResult[], threads: number): string {
  if (results.length === 0) return '';
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
      const ns = ({ median }: Summary) => figure((median * 1e6) / elements);
      const ratio = (ms.median / copyMs.median).toFixed(2);
      rows.push([x, spread(ms, figure), ms.samples, ns(ms), ns(copyMs), ratio]);
    }
  }
  return `\nScaling of valueAndGrad, float32, labels, ${threads} threads except where they vary.\n${rows}`;
}

export function serverText(results: readonly ServerResult[], threads: number): string {
  if (results.length === 0) return '';
  const rows = table(['callers', 'steps a second', 'tick ms', '99%', 'longest'], 1);
  for (const { name, stepsPerSecond = 0, delayMs, fault } of results) {
    if (fault || !delayMs) rows.push([name, `WRONG: ${fault}`, '', '', '']);
    else {
      const delays = [delayMs.median, delayMs.p99, delayMs.max].map((ms) => ms.toFixed(1));
      rows.push([name, stepsPerSecond.toFixed(0), ...delays]);
    }
  }
  return `\nTraining server, a step is valueAndGrad on [4,4,128,128] float32, labels; ${threads} threads.\n${rows}`;
}

export function comparisonText({ differs, changes, missing }: Comparison): string {
  const lines = [
    '\nCompared with the earlier run: quartiles apart, median and minimum changed by a tenth, and by more than the copy.',
  ];
  if (differs.length > 0) lines.push(`The runs differ in ${differs.join('; ')}.`);
  if (missing.length > 0) lines.push(`${missing.length} calls of that run are not in this one.`);
  const rows = table(['call', 'then ms', 'now ms', 'now / then', 'copy now / then', ''], 1);
  for (const { what, oldMs, newMs, ratio, copyRatio, verdict } of changes) {
    if (verdict === 'same') continue;
    const copy = copyRatio?.toFixed(2) ?? '';
    rows.push([
      what,
      spread(oldMs, figure),
      spread(newMs, figure),
      ratio.toFixed(2),
      copy,
      verdict,
    ]);
  }
  if (changes.length === 0) lines.push('The two runs have no call in common.');
  const count = (verdict: string) => changes.filter((change) => change.verdict === verdict).length;
  lines.push(`${count('slower')} of ${changes.length} calls slower, ${count('faster')} faster.`);
  if (rows.length > 0) lines.push(rows.toString());
  return lines.join('\n');
}

export function verdictsText(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return '';
  const rows = table(['target', 'asked', 'measured', '', ''], 1);
  for (const { target, limit, measured, met, because } of verdicts) {
    const judged = met === undefined ? '' : met ? 'met' : 'NOT MET';
    rows.push([target, limit, measured, judged, because ?? '']);
  }
  const judged = verdicts.filter(({ met }) => met !== undefined);
  const met = judged.filter((verdict) => verdict.met);
  const rest = verdicts.length - judged.length;
  const unmeasured = rest > 0 ? `, ${rest} not measured` : '';
  return `\nTargets: ${met.length} of ${judged.length} met${unmeasured}.\n${rows}`;
}
