import { checkFlag, checkKeys, checkList, none, rangeError, typeError } from '../common/check.js';
import { checkJsonSize } from '../common/json.js';
import { guard } from '../common/own.js';
import type { ComponentMetrics } from '../metrics/component-metrics.js';
import type { ComponentScoreName } from '../metrics/component-scores.js';
import { SampleMetrics } from '../metrics/sample-metrics.js';
import type { ScoreName } from '../metrics/scores.js';
import { SegmentationMetrics } from '../metrics/segmentation-metrics.js';
import type { SurfaceMetrics } from '../metrics/surface-metrics.js';
import type { SurfaceScoreName } from '../metrics/surface-scores.js';
import { boxPlot } from './box-plot.js';
import { type ReportSummary, summarize } from './statistics.js';

type Metrics = SegmentationMetrics | SurfaceMetrics | ComponentMetrics;

/** The options of {@link report}. */
export interface ReportOptions {
  /**
   * The scores, in the order of the columns. Default those of dice, iou, precision, recall, hausdorffPercentile,
   * averageSymmetricDistance, surfaceDice, boundaryIou and those of components that the metrics have.
   */
  scores?: readonly (ScoreName | SurfaceScoreName | ComponentScoreName)[];
}

/** {@link Report} as JSON. A score that is not counted is null, an infinite one 'Infinity'. */
export interface ReportJson {
  readonly classes: readonly string[];
  readonly scores: readonly string[];
  /** Over all classes, by score. */
  readonly mean: Readonly<Record<string, number | string | null>>;
  /** By score, the mean and, where samples have scores of their own, the numbers of {@link ReportSummary}. */
  readonly perClass: readonly Readonly<Record<string, unknown>>[];
  /** `{ sample, class, ...scores }`; empty for aggregate `'global'`. */
  readonly perSample: readonly Readonly<Record<string, number | string | null>>[];
}

type JsonNumber = number | string | null;

/** The values of one score. */
interface Column {
  readonly name: string;
  readonly mean: number;
  /** [classes] */
  readonly perClass: readonly number[];
  /** [samples][classes]; undefined for aggregate 'global' */
  readonly perSample: readonly (readonly number[])[] | undefined;
}

/** More than there are kinds of metrics. */
const maxMetrics = 16;

const preferred = [
  'dice',
  'iou',
  'precision',
  'recall',
  'hausdorffPercentile',
  'averageSymmetricDistance',
  'surfaceDice',
  'boundaryIou',
  'regionDice',
  'lesionDice',
  'lesionRecall',
  'lesionPrecision',
  'lesionF1',
];

/**
 * Makes a report of metrics over a data set: scores per class and their mean, and of each sample where the metrics keep them.
 *
 * @param metrics {@link SegmentationMetrics}, {@link SurfaceMetrics} or {@link ComponentMetrics}, or an array of them with the
 *   same classes and samples.
 * @throws TypeError, RangeError for metrics that do not fit each other, and for a score that they do not have
 *
 * @example
 * const metrics = new SegmentationMetrics({ classes: 2, decision: 'labels', aggregate: 'samples', background: false });
 * const target = Tensor.from(Uint8Array.of(1, 1, 0, 0), [1, 4]);
 * metrics.update(Tensor.from(Uint8Array.of(1, 1, 1, 0), [1, 4]), target, { sample: 'a' });
 * metrics.update(Tensor.from(Uint8Array.of(1, 0, 0, 0), [1, 4]), target, { sample: 'b' });
 * const made = report(metrics, { scores: ['dice'] });
 * made.toCsv().split('\n').slice(0, 3); // ['sample,class,dice', 'a,1,0.8', 'b,1,0.6666666666666666']
 * made.toJSON().mean.dice; // (4/5 + 2/3) / 2
 */
export function report(
  metrics:
    | SegmentationMetrics
    | SurfaceMetrics
    | ComponentMetrics
    | readonly (SegmentationMetrics | SurfaceMetrics | ComponentMetrics)[],
  options: ReportOptions = none,
): Report {
  checkKeys(options, 'options', ['scores']);
  const all = (
    Array.isArray(metrics) ? checkList(metrics, 'metrics', 'an array', maxMetrics) : [metrics]
  ) as Metrics[];
  for (const one of all) {
    if (one instanceof SegmentationMetrics || one instanceof SampleMetrics) continue;
    throw typeError('SegmentationMetrics, SurfaceMetrics or ComponentMetrics', 'metrics', one);
  }
  const [first, ...others] = all;
  if (first === undefined) throw rangeError('one or more', 'metrics', metrics);
  for (const other of others) expectSame(first, other);
  return new Report(first, columnsOf(all, options.scores));
}

function expectSame(a: Metrics, b: Metrics): void {
  const of = (metrics: Metrics) => [
    metrics.classNames,
    metrics.options.background,
    metrics.samples,
  ];
  const names = (metrics: Metrics) => (keepsSamples(metrics) ? metrics.sampleNames : undefined);
  const [mine, theirs] = [names(a), names(b)];
  const differ = mine && theirs && JSON.stringify(mine) !== JSON.stringify(theirs);
  if (!differ && JSON.stringify(of(a)) === JSON.stringify(of(b))) return;
  throw new RangeError(
    'Expected metrics of the same classes and samples for metrics but received others',
  );
}

const keepsSamples = (metrics: Metrics): boolean =>
  metrics instanceof SampleMetrics || metrics.options.aggregate === 'samples';

function columnsOf(all: readonly Metrics[], scores: unknown): Column[] {
  const known = all.flatMap(({ scoreNames }) => scoreNames as readonly string[]);
  const wanted = scores ?? preferred.filter((name) => known.includes(name));
  return checkList(wanted, 'scores', 'an array of scores', known.length).map((name, i) => {
    if (!(known as readonly unknown[]).includes(name)) {
      throw rangeError(`one of ${known.map((one) => `'${one}'`).join(', ')}`, `scores[${i}]`, name);
    }
    const metrics = all.find(({ scoreNames }) =>
      (scoreNames as readonly string[]).includes(name as string),
    );
    return columnOf(metrics as SegmentationMetrics, name as ScoreName);
  });
}

function columnOf(metrics: SegmentationMetrics, name: ScoreName): Column {
  const { background } = metrics.options;
  const [skipped, count] = [background ? 0 : 1, metrics.classNames.length];
  const rows = keepsSamples(metrics) ? metrics.perSample(name) : undefined;
  return {
    name,
    mean: metrics.average(name),
    perClass: [...metrics.perClass(name)].slice(skipped),
    perSample:
      rows &&
      Array.from({ length: rows.length / count }, (_, n) =>
        Array.from(rows.subarray(n * count + skipped, (n + 1) * count)),
      ),
  };
}

/** What {@link report} makes: a table in several forms, and a picture. */
export class Report {
  readonly #classes: readonly string[];
  readonly #samples: readonly string[];
  readonly #columns: readonly Column[];

  static {
    guard(Report, 'Report', (value) => #columns in value);
  }

  /** @internal */
  constructor(metrics: Metrics, columns: readonly Column[]) {
    this.#classes = metrics.classNames.slice(metrics.options.background ? 0 : 1);
    this.#columns = columns;
    const cases = columns.every(({ perSample }) => perSample !== undefined);
    this.#samples = cases ? metrics.sampleNames.map((name, n) => name || `${n}`) : [];
  }

  /**
   * The table as text: the scores of each sample, then the mean of each class and, of several samples,
   * standard deviation and median. A score that is not
   * counted is '-'.
   *
   * @param options `samples: false` leaves the samples out
   */
  toString(options: { samples?: boolean } = none): string {
    checkKeys(options, 'options', ['samples']);
    const all = checkFlag(options.samples, 'samples', true);
    const rows = this.#rows().filter(({ isSample }) => !isSample || all);
    let before = '';
    const cells = rows.map(({ sample, label, numbers }) => {
      const shown = sample === before ? '' : sample;
      before = sample;
      return [shown, label, ...numbers.map(shownNumber)];
    });
    return alignColumns([this.#head(), ...cells]);
  }

  /** The table as CSV (RFC 4180): a line for each sample and class, then those of mean, sd and median. */
  toCsv(): string {
    const lines = this.#rows().map(({ sample, label, numbers }) => [
      sample,
      label,
      ...numbers.map((number) => (Number.isNaN(number) ? '' : `${number}`)),
    ]);
    return [this.#head(), ...lines].map((cells) => `${cells.map(quoted).join(',')}\n`).join('');
  }

  /** The numbers, for `JSON.stringify`. */
  toJSON(): ReportJson {
    const columns = this.#columns;
    const byName = (of: (column: Column) => unknown) =>
      Object.fromEntries(columns.map((column) => [column.name, of(column)]));
    return {
      classes: this.#classes,
      scores: columns.map(({ name }) => name),
      mean: byName(({ mean }) => jsonNumber(mean)) as Record<string, JsonNumber>,
      perClass: this.#classes.map((label, c) => ({
        class: label,
        ...byName((column) => ({
          ...(column.perSample && jsonSummary(summarize(ofClass(column.perSample, c)))),
          mean: jsonNumber(column.perClass[c] as number),
        })),
      })),
      perSample: this.#rows()
        .filter(({ isSample }) => isSample)
        .map(({ sample, label, numbers }) => ({
          sample,
          class: label,
          ...Object.fromEntries(
            columns.map(({ name }, i) => [name, jsonNumber(numbers[i] as number)]),
          ),
        })),
    };
  }

  /**
   * A picture as the text of an SVG file: box plots of each score, a box for each class. A box spans the quartiles around the
   * median, its lines reach to the last sample within 1.5 times the box, and dots are the samples beyond.
   *
   * @throws TypeError for aggregate `'global'`, which keeps no scores of samples
   */
  toSvg(): string {
    return boxPlot(
      this.#columns.map(({ name, perSample }) => {
        if (perSample === undefined) throw new TypeError("toSvg() needs aggregate 'samples'");
        const boxes = this.#classes.map((label, c) => ({
          name: label,
          values: ofClass(perSample, c),
        }));
        return { title: name, boxes };
      }),
    );
  }

  #head(): string[] {
    return ['sample', 'class', ...this.#columns.map(({ name }) => name)];
  }

  #rows(): { sample: string; label: string; numbers: number[]; isSample: boolean }[] {
    const columns = this.#columns;
    const count = (this.#samples.length + 3) * this.#classes.length * columns.length;
    checkJsonSize(count, 'the scores in a report', 'read them with perSample()');
    const block = (sample: string, isSample: boolean, of: (column: Column, c: number) => number) =>
      this.#classes.map((label, c) => ({
        sample,
        label,
        numbers: columns.map((column) => of(column, c)),
        isSample,
      }));
    const summary = (key: 'sd' | 'median') =>
      block(key, false, ({ perSample }, c) => summarize(ofClass(perSample ?? [], c))[key]);
    const means = columns.map(({ mean }) => mean);
    return [
      ...this.#samples.flatMap((name, n) =>
        block(name, true, ({ perSample }, c) => perSample?.[n]?.[c] as number),
      ),
      ...block('mean', false, ({ perClass }, c) => perClass[c] as number),
      ...(this.#classes.length > 1
        ? [{ sample: 'mean', label: 'all', numbers: means, isSample: false }]
        : []),
      ...(this.#samples.length > 1 ? [...summary('sd'), ...summary('median')] : []),
    ];
  }
}

const ofClass = (perSample: readonly (readonly number[])[], c: number) =>
  perSample.map((scores) => scores[c] as number);

const shownNumber = (number: number) => (Number.isNaN(number) ? '-' : number.toFixed(4));

const jsonNumber = (number: number): JsonNumber =>
  Number.isNaN(number) ? null : Number.isFinite(number) ? number : `${number}`;

const jsonSummary = (summary: ReportSummary) =>
  Object.fromEntries(Object.entries(summary).map(([key, number]) => [key, jsonNumber(number)]));

const quoted = (cell: string) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** Names to the left, numbers to the right. */
function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] as string[]).map((_, i) =>
    rows.reduce((most, row) => Math.max(most, (row[i] as string).length), 0),
  );
  const aligned = (cell: string, i: number) =>
    i < 2 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number);
  return rows.map((row) => `${row.map(aligned).join('  ').trimEnd()}\n`).join('');
}
