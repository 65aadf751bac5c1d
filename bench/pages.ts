// What README.md and docs/speed.md say of a run: made from its JSON file, between `<!-- bench: name -->` and `<!-- /bench -->`.
import path from 'node:path';
import { type Case, type Group, groups, isHalf } from './cases/cases.js';
import { calls } from './cases/names.js';
import type { CallResult, PeerTimes, Saved } from './report/results.js';
import type { Run } from './report/saved.js';
import { composedMs } from './report/tables.js';

const main = groups.filter(({ extent }) => extent === 'main');
const shapeOf = (group: string) => group.split(' ')[0] ?? group;

/** Page, block and what stands in it. Of older runs, on other SIMD targets, only our own times. heads: the run that the head's is of. */
export function blocks(
  newest: Run,
  older: readonly Run[],
  heads = newest.saved,
): [page: string, name: string, text: string][] {
  const { saved } = newest;
  return [
    ['README.md', 'best', bestText(saved)],
    ['docs/speed.md', 'times', [newest, ...older].map(timesText).join('\n\n')],
    ['docs/speed.md', 'ratios', ratiosText(saved)],
    ['docs/speed.md', 'others', othersText(saved)],
    ['docs/many-classes.md', 'head', headText(heads)],
  ];
}

/** @throws TypeError when the page has no such block */
export function withBlock(page: string, name: string, text: string): string {
  const begin = `<!-- bench: ${name} -->\n`;
  const [before, rest] = page.split(begin);
  const end = rest?.indexOf('<!-- /bench -->') ?? -1;
  if (end < 0) throw new TypeError(`Expected a page with ${begin.trim()} ... <!-- /bench -->`);
  return `${before}${begin}${text}\n${rest?.slice(end)}`;
}

function ofMachine({ machine, options }: Saved): string {
  const { cpu, caches, cores, commit, date } = machine;
  const of = [...caches, `${cores} cores`].join(', ');
  return `${options.threads} threads of ${cpu} (${of}), commit ${commit}, ${date.slice(0, 10)}`;
}

type Timed = PeerTimes & { times: number };

/** The fastest of the PyTorch versions that are wanted, of each main shape. */
function fastest({ peers }: Saved, wants: (name: string) => boolean = () => true): Timed[] {
  return main.flatMap(({ name }) => {
    const timed = peers.flatMap((peer) =>
      peer.group === name && peer.name.startsWith('PyTorch') && peer.toOurs && wants(peer.name)
        ? [{ ...peer, times: peer.toOurs.median }]
        : [],
    );
    return timed.sort((a, b) => a.times - b.times).slice(0, 1);
  });
}

/** Each loss of a library on each main shape, eager or compiled, which is faster. */
function libraryTimes(saved: Saved): number[] {
  const losses = saved.peers
    .map(({ name }) => name)
    .filter((name) => /MONAI|nnU-Net|smp/.test(name));
  const eager = [...new Set(losses.map((name) => name.replace(', compiled', '')))];
  return eager.flatMap((loss) =>
    fastest(saved, (name) => name.replace(', compiled', '') === loss).map(({ times }) => times),
  );
}

function bestText(saved: Saved): string {
  const times = fastest(saved).map((peer) => peer.times);
  if (times.length === 0) return 'No other implementation was measured.';
  const libraries = libraryTimes(saved);
  const ofLibraries =
    libraries.length > 0
      ? `\nand ${range(libraries)} times as fast as the losses of MONAI, nnU-Net and smp, eager or compiled`
      : '';
  return `\`valueAndGrad\` of the Dice loss is ${range(times)} times as fast as the fastest PyTorch version measured beside it${ofLibraries},
on ${times.length} common shapes (${saved.results[0]?.simd}, ${ofMachine(saved)}).`;
}

const figure = (x: number) => (x < 10 ? x.toFixed(1) : x.toFixed(0));
function range(values: readonly number[]): string {
  const [from, to] = [figure(Math.min(...values)), figure(Math.max(...values))];
  return from === to ? from : `${from} to ${to}`;
}

function timesText({ saved, file }: Run): string {
  const { results } = saved;
  const name = path.basename(file);
  const head = ['shape', 'activation', ...results.flatMap(({ simd }) => [simd, 'times a copy'])];
  const rows = main.map(({ name: shape, activation }) => {
    const of = results.flatMap(({ cases }) => {
      const call = cases
        .find(({ group }) => group === shape)
        ?.calls.find(({ name }) => name === calls.valueAndGrad);
      return [
        call ? `${call.ms.median.toFixed(2)} ms` : '-',
        call?.toCopy ? figure(call.toCopy.median) : '-',
      ];
    });
    return [shapeOf(shape), activation, ...of];
  });
  return `From [bench/results/${name}](../bench/results/${name}): ${ofMachine(saved)}.

${table(head, rows, 2)}`;
}

const table = (head: readonly string[], rows: readonly string[][], left: number) =>
  [head, head.map((_, i) => (i < left ? '---' : '---:')), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');

/** Of valueAndGrad of the cases that are wanted, over all SIMD targets. */
function figures(
  { results }: Saved,
  wants: (c: Case, group: Group) => boolean,
  of: (call: CallResult) => number | undefined,
): number[] {
  return results.flatMap(({ cases }) =>
    cases.flatMap((result) => {
      const group = groups.find(({ name }) => name === result.group);
      const c = group?.cases.find(({ name }) => name === result.case);
      const call = result.calls.find(({ name }) => name === calls.valueAndGrad);
      const value = group && c && call && wants(c, group) ? of(call) : undefined;
      return value === undefined ? [] : [value];
    }),
  );
}

function ratiosText(saved: Saved): string {
  const toBase = (wants: (c: Case) => boolean) =>
    figures(
      saved,
      (c, { extent }) => extent === 'main' && wants(c),
      (call) => call.toBase?.median,
    );
  const isOther = ({ layout, target }: Case) => layout !== 'channels-first' || target !== 'labels';
  const tiny = figures(
    saved,
    (_, { extent }) => extent === 'tiny',
    ({ ms }) => ms.median * 1000,
  );
  const grown = (wants: (group: Group) => boolean) =>
    saved.memory.flatMap(({ group, call, peak, resident }) => {
      const of = groups.find(({ name }) => name === group);
      const bytes = peak ?? resident;
      return of && wants(of) && call === calls.valueAndGrad && bytes !== undefined
        ? [bytes / 1e6]
        : [];
    });
  const most = grown(({ extent }) => extent === 'main');
  const lines: [number[], (text: string) => string][] = [
    [
      toBase(({ dtype }) => isHalf(dtype)),
      (x) => `Half precision takes ${x} times as long as float32.`,
    ],
    [
      toBase(isOther),
      (x) =>
        `Channels last and dense targets take ${x} times as long as channels first with labels.`,
    ],
    [
      toBase(({ loss }) => loss === 'Dice and cross-entropy'),
      (x) => `Dice + cross-entropy takes ${x} times as long as Dice.`,
    ],
    [tiny, (x) => `A call on 32 x 32 voxels takes ${x} microseconds from JavaScript.`],
    [
      most.length > 0 ? [Math.max(...most)] : [],
      (x) => `Besides the gradient, a call allocates at most ${x} MB of memory on these shapes.`,
    ],
  ];
  return lines
    .flatMap(([values, text]) => (values.length > 0 ? [`- ${text(range(values))}`] : []))
    .join('\n');
}

function othersText(saved: Saved): string {
  const rows = fastest(saved).map(({ group, name, ms, oursMs, times }) => [
    shapeOf(group),
    name,
    ms ? ms.median.toFixed(2) : '-',
    oursMs ? oursMs.median.toFixed(2) : '-',
    figure(times),
  ]);
  if (rows.length === 0) return 'No other implementation was measured.';
  const alone = saved.results.find(
    ({ simd }) => simd === (saved.options.simd ?? saved.results[0]?.simd),
  );
  const slower = saved.peers.flatMap(({ group, oursMs, loss }) => {
    const call = alone?.cases
      .find((one) => one.group === group)
      ?.calls.find(({ name }) => name === calls.valueAndGrad);
    return call && oursMs && (loss ?? 'Dice') === 'Dice' ? [oursMs.median / call.ms.median] : [];
  });
  const turns =
    slower.length > 0
      ? `\n\nOurs takes ${range(slower)} times as long in such turns as it takes alone.`
      : '';
  return `${table(['shape', 'the fastest with PyTorch', 'ms', 'ours, ms', 'times'], rows, 2)}${turns}`;
}

function headText(saved: Saved): string {
  const of = (saved.head ?? []).filter(({ eagerMs }) => eagerMs !== undefined);
  if (of.length < 2) return 'No saved run has the chart of time and memory against C yet.';
  const text = (x: number | undefined) => (x === undefined ? '-' : figure(x));
  const rows = of.map((result) => [
    result.name,
    ...[result.ms?.median, composedMs(result), result.eagerMs, result.compiledMs].map(text),
    ...[result.mb, result.composedMb, result.eagerMb, result.compiledMb].map(text),
  ]);
  const versions = ['linearLogits', 'composed', 'PyTorch', 'compiled'];
  const head = [
    'N, K -> C, voxels',
    ...['ms', 'MB'].flatMap((unit) => versions.map((one) => `${one}, ${unit}`)),
  ];
  return `![Time and memory against the number of classes](../bench/charts/head.svg)

${table(head, rows, 1)}

${ofMachine(saved)}. Composed: the three products by PyTorch's MKL, and our loss of logits in memory.`;
}
