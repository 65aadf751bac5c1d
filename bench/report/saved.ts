// A run as a JSON file: what tables, targets and charts need, at four digits.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { groups } from '../cases/cases.js';
import { calls, passes } from '../cases/names.js';
import type { CaseResult, Saved } from './results.js';

/** Every field that a file has, at any level. */
const fields = [
  ...['machine', 'cpu', 'cores', 'caches', 'memoryGiB', 'system', 'loadAverage', 'node'],
  ...['warpdice', 'commit', 'date', 'options', 'quick', 'all', 'parts', 'filter', 'threads'],
  ...['simd', 'results', 'cases', 'group', 'case', 'calls', 'name'],
  ...['ms', 'toCopy', 'toBase', 'median', 'q1', 'q3', 'samples', 'faults', 'skipped', 'reason'],
  ...['peers', 'detail', 'loss', 'oursMs', 'toOurs', 'fault', 'oursFault'],
  ...['memory', 'call', 'resident', 'peak', 'children'],
  ...[
    'ranks',
    'mpi',
    'classes',
    'bytes',
    'syncMs',
    'asyncMs',
    'allReduceMs',
    'sentBytes',
    'packets',
  ],
  ...['scaling', 'fixed', 'points', 'x', 'elements', 'copyMs', 'endedEarly'],
  ...['head', 'classes', 'gflop', 'aloneMs', 'peakMs', 'peakGflop', 'shareOfPeak'],
  ...['mb', 'productsMs', 'composedMb', 'eagerMs', 'eagerMb', 'compiledMs', 'compiledMb'],
];

/** Into the folder, named after processor, date and extent; returns the file. */
export function writeSaved(saved: Saved, folder: string, extent: string): string {
  const { cpu, date } = saved.machine;
  const name = cpu.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const file = path.join(folder, `${name}-${date.slice(0, 10)}${extent}.json`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, textOf(saved));
  return file;
}

export function textOf(saved: Saved): string {
  const results = saved.results.map(({ cases, ...rest }) => ({ ...rest, cases: cases.map(short) }));
  const small = JSON.parse(JSON.stringify({ ...saved, results }, fields));
  const digits = (_: string, value: unknown) =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
  // A row to a line.
  const flat = (text: string) => text.replaceAll(/\n\s*/g, '').replaceAll('": ', '":');
  return `${JSON.stringify(small, digits, 1)
    .replaceAll(/\{[^{}[\]]*\}/g, flat)
    .replaceAll(/\{(?:[^{}[\]]|\{[^{}[\]]*\})*\}/g, flat)
    .replaceAll(/\[[^{}[\]]*\]/g, flat)}\n`;
}

/** All calls of the first case, with the traffic that the charts mark; valueAndGrad of the others. */
function short({ calls: rows, ...result }: CaseResult): CaseResult {
  const isFirst = groups.some(
    ({ name, cases }) => name === result.group && cases[0]?.name === result.case,
  );
  const kept: readonly string[] = isFirst
    ? [...passes.traffic, ...Object.values(calls)]
    : [calls.valueAndGrad];
  return { ...result, calls: rows.filter(({ name }) => kept.includes(name)) };
}

/** A run, and the JSON file that has it. */
export interface Run {
  file: string;
  saved: Saved;
}

/**
 * The newest whole runs on processors, one for each of the best SIMD targets that they had; the newest of all comes first. A part would
 * replace the charts of a whole, and a GPU's results have another form.
 */
export function newestRuns(folder: string): [Run, ...Run[]] {
  const runs = readdirSync(folder)
    .filter((name) => /-\d{4}-\d\d-\d\d\.json$/.test(name) && !name.startsWith('nvidia-'))
    .map((name) => ({ file: path.join(folder, name), saved: readSaved(path.join(folder, name)) }))
    .sort((a, b) => (a.saved.machine.date < b.saved.machine.date ? 1 : -1));
  const best = ({ saved }: Run) => saved.results[0]?.simd;
  const [newest, ...older] = runs.filter(
    (run, i) => runs.findIndex((other) => best(other) === best(run)) === i,
  );
  if (!newest) throw new TypeError(`Expected a JSON file of a whole run in "${folder}"`);
  return [newest, ...older];
}

/** The newest run on a processor that has the chart of `--parts head`, which may be a part: nothing else is shown of it. */
export function newestHeads(folder: string): Saved {
  const [newest] = readdirSync(folder)
    .filter((name) => /-\d{4}-\d\d-\d\d(-part)?\.json$/.test(name) && !name.startsWith('nvidia-'))
    .map((name) => readSaved(path.join(folder, name)))
    .filter(({ head }) => (head ?? []).some(({ eagerMs }) => eagerMs !== undefined))
    .sort((a, b) => (a.machine.date < b.machine.date ? 1 : -1));
  if (!newest)
    throw new TypeError(`Expected a JSON file with results of --parts head in "${folder}"`);
  return newest;
}

/** @throws TypeError when that is no JSON file of a run */
export function readSaved(file: string): Saved {
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as Saved;
    if (Array.isArray(saved.results) && saved.machine) return saved;
  } catch {
    // said below, as for any other file
  }
  throw new TypeError(`Expected a JSON file of an earlier run but received "${file}"`);
}
