// Compares the label maps of all cases and makes the report.
import {
  ComponentMetrics,
  type MetricsOptions,
  type Report,
  report,
  SegmentationMetrics,
  SurfaceMetrics,
} from '../index.js';
import type { Case } from './cases.js';
import {
  expectRightAngles,
  labelsOf,
  type Pair,
  readPair,
  type Sample,
  toSample,
} from './compare.js';
import { classesOf, type Wanted } from './labels.js';
import type { EvalOptions } from './options.js';

/** Called before a case is read; total counts the readings. */
export type Progress = (done: number, total: number, name: string) => void;

/** Stands for the ignored labels; no class has this index. */
const ignoreIndex = 65_535;

/** Who has more labels has named them; each takes a share of a second in a volume. */
const mostFound = 1024;

/** The problems of several files, one a line. */
class FileProblems extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
  }
}

/** @throws Error with a line for each file that cannot be read or compared */
export async function evaluate(
  cases: readonly Case[],
  options: EvalOptions,
  progress: Progress,
): Promise<Report> {
  const { wanted } = options;
  // Without a list of labels the files are read twice, and only the first time for their labels.
  const scan = wanted.labels === undefined && wanted.regions === undefined;
  const total = cases.length * (scan ? 2 : 1);
  const found = new Set(wanted.labels?.keys());
  for (const label of [...(wanted.regions?.values() ?? [])].flat()) found.add(label);
  if (scan) {
    await forEachPair(
      cases,
      (done, name) => progress(done, total, name),
      (pair, files) => {
        for (const label of labelsOf(pair, files)) {
          if (!wanted.ignore?.includes(label)) found.add(label);
        }
      },
    );
  }
  if (scan && found.size > mostFound) {
    throw new Error(
      `Expected label maps but received files with ${found.size} different numbers, as images have: name the labels with --labels`,
    );
  }
  const classes = classesOf(found);
  const metrics = metricsOf(classes, options);
  const before = total - cases.length;
  await forEachPair(
    cases,
    (done, name) => progress(before + done, total, name),
    async (pair, files) => {
      const ignore =
        wanted.ignore === undefined ? undefined : ([wanted.ignore, ignoreIndex] as const);
      if (metrics.some(hasDistances)) expectRightAngles(pair.truth, files.truth);
      await measure(metrics, files.name, toSample(pair, files, classes, ignore));
    },
  );
  return report(metrics, options.scores === undefined ? {} : { scores: options.scores });
}

type Metrics = readonly (SegmentationMetrics | SurfaceMetrics | ComponentMetrics)[];

const hasDistances = (metrics: Metrics[number]) => !(metrics instanceof SegmentationMetrics);

async function measure(all: Metrics, sample: string, of: Sample): Promise<void> {
  for (const metrics of all) {
    if (metrics instanceof SegmentationMetrics) {
      await metrics.updateAsync(of.prediction, of.target, { sample });
    } else {
      await metrics.updateAsync(of.prediction, of.target, { sample, spacing: of.spacing });
    }
  }
}

function metricsOf(classes: ReadonlyMap<number, number>, options: EvalOptions): Metrics {
  const { wanted, absent, tolerance, worstDistance, scores } = options;
  const shared: Omit<MetricsOptions, 'aggregate' | 'threshold'> = {
    classes: classes.size,
    decision: 'labels',
    absent,
    classNames: [...classes.keys()].map((label) => wanted.labels?.get(label) ?? `${label}`),
    ...(wanted.ignore !== undefined && { ignoreIndex }),
    ...(wanted.regions === undefined
      ? { background: options.background }
      : { regions: indicesOf(wanted, classes) }),
  };
  const overlap = new SegmentationMetrics({ ...shared, aggregate: 'samples' });
  const surfaces = new SurfaceMetrics({
    ...shared,
    ...(tolerance !== undefined && { tolerance }),
    ...(worstDistance !== undefined && { worstDistance }),
  });
  if (scores === undefined) return [overlap, surfaces];
  // Those that are needed: surfaces take longer than all others.
  const isNeeded = ({ scoreNames }: Metrics[number]) =>
    scoreNames.some((name) => (scores as readonly string[]).includes(name));
  return [overlap, surfaces, new ComponentMetrics(shared)].filter(isNeeded);
}

const indicesOf = ({ regions }: Wanted, classes: ReadonlyMap<number, number>) =>
  Object.fromEntries(
    [...(regions as ReadonlyMap<string, readonly number[]>)].map(([name, labels]) => [
      name,
      labels.map((label) => classes.get(label) as number),
    ]),
  );

/** Reads the next case while one is worked on. Goes on after a problem, to find all of them. */
async function forEachPair(
  cases: readonly Case[],
  progress: (done: number, name: string) => void,
  work: (pair: Pair, files: Case) => void | Promise<void>,
): Promise<void> {
  const problems: string[] = [];
  const read = (files: Case | undefined) =>
    files && readPair(files).catch((error: Error) => void problems.push(error.message));
  let next = read(cases[0]);
  for (const [i, files] of cases.entries()) {
    progress(i, files.name);
    const pair = await next;
    next = read(cases[i + 1]);
    if (!pair) continue;
    try {
      await work(pair, files);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  if (problems.length > 0) throw new FileProblems(problems);
}
