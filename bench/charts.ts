// The charts of a JSON file: how far valueAndGrad is from the limit, how much faster than the peers it is, how it scales. Pure
// functions from results to SVG; what a file does not have is not drawn.
import {
  type Axis,
  type BarRow,
  barChart,
  type Colour,
  type Curve,
  lineChart,
  type Panel,
} from '../examples/plot.js';
import { type Case, groups, isHalf } from './cases/cases.js';
import { calls, passes } from './cases/names.js';
import type { HeadResult, Saved, ScalingResult } from './report/results.js';
import { composedMs } from './report/tables.js';

const width = 760;
const bars = { width, labelWidth: 250 };

/** File name to SVG. heads: the run that head.svg is of. */
export function charts(saved: Saved, heads = saved): Map<string, string> {
  const found = new Map<string, string>();
  const add = (name: string, chart: string | undefined) => {
    if (chart) found.set(name, chart);
  };
  add('limit.svg', limitChart(saved));
  add('peers.svg', peersChart(saved));
  add('scaling.svg', scalingChart(saved));
  add('head.svg', headChart(heads));
  return found;
}

const source = ({ machine, options }: Saved) =>
  `${machine.cpu}, ${machine.cores} cores, ${options.threads} threads, node ${machine.node}, ${machine.commit}, ${machine.date.slice(0, 10)}${options.quick ? ', --quick' : ''}`;

const simdColours: readonly Colour[] = ['one', 'two', 'three'];

function limitChart(saved: Saved): string | undefined {
  const shapes = [
    ...new Set(saved.results.flatMap(({ cases }) => cases.map(({ group }) => group))),
  ];
  const sections = shapes.flatMap((title) => {
    const rows = saved.results.flatMap(({ simd, cases }, i): BarRow[] => {
      const base = cases.find(({ group }) => group === title);
      const toCopy = base?.calls.find(({ name }) => name === calls.valueAndGrad)?.toCopy;
      if (!base || !toCopy) return [];
      // The faster way: logits and target read, the gradient written.
      const traffic = base.calls.flatMap(({ name, toCopy }) =>
        toCopy && (passes.traffic as readonly string[]).includes(name) ? [toCopy.median] : [],
      );
      return [
        {
          label: `${simd}, ${base.case}`,
          value: toCopy,
          colour: simdColours[i % simdColours.length] as Colour,
          ...(traffic.length > 0 && { marks: [Math.min(...traffic)] }),
        },
      ];
    });
    return rows.length > 0 ? [{ title, rows }] : [];
  });
  if (sections.length === 0) return undefined;
  return barChart({
    ...bars,
    title: 'Value and gradient, in times of a copy of the logits',
    subtitle:
      'Thick mark: logits and target read, gradient written; nothing computed. Thin line: quartiles.',
    note: source(saved),
    sections,
  });
}

/** Of peers and scaling. */
const ofSimd = ({ options: { simd } }: Saved) => (simd ? `, ${simd}` : '');

/** Where peers have no half precision. */
const ofOurs = (c: Case | undefined) => (c && isHalf(c.dtype) ? `, ours ${c.dtype}` : '');

function peersChart(saved: Saved): string | undefined {
  const sections = groups.flatMap(({ name: title, cases }) => {
    const rows = saved.peers.flatMap(({ group, name, toOurs }): BarRow[] =>
      group === title && toOurs
        ? [{ label: name, value: toOurs, colour: name.startsWith('PyTorch') ? 'two' : 'one' }]
        : [],
    );
    return rows.length > 0 ? [{ title: title + ofOurs(cases[0]), rows }] : [];
  });
  if (sections.length === 0) return undefined;
  return barChart({
    ...bars,
    title: `Time of others over ours, value and gradient, float32${ofSimd(saved)}`,
    subtitle:
      'Logarithmic, from 1 (the same time). Blue: in Node; orange: PyTorch. Thin line: quartiles. Wrong or skipped: not drawn.',
    note: source(saved),
    sections,
    logarithmic: true,
  });
}

function scalingChart(saved: Saved): string | undefined {
  const panels = saved.scaling.filter(({ points }) => points.filter(({ ms }) => ms).length > 1);
  if (panels.length === 0) return undefined;
  return lineChart({
    title: `How value and gradient scale, float32, labels${ofSimd(saved)}`,
    note: source(saved),
    panels: panels.map(scalingPanel),
    panelSize: [width, 200],
  });
}

const panelTexts = {
  threads: { title: 'speed-up over threads', x: 'threads' },
  voxels: { title: 'ns an element over voxels S, both logarithmic', x: 'voxels S' },
  classes: { title: 'ns an element over classes C', x: 'classes C' },
};

function scalingPanel({ name, fixed, points }: ScalingResult): Panel {
  const timed = points.flatMap(({ x, elements, ms, copyMs }) =>
    ms && copyMs ? [{ x, elements, ms: ms.median, copyMs: copyMs.median }] : [],
  );
  const first = timed[0] as (typeof timed)[number];
  const last = timed.at(-1) as typeof first;
  const curve = (of: 'ms' | 'copyMs') =>
    timed.map((point) => {
      const y = name === 'threads' ? first[of] / point[of] : (point[of] * 1e6) / point.elements;
      return [point.x, y] as const;
    });
  const curves: Curve[] = [
    { name: 'valueAndGrad', colour: 'one', points: curve('ms'), dots: true },
    { name: 'copy of the logits', colour: 'two', points: curve('copyMs'), dots: true },
  ];
  return {
    title: `${panelTexts[name].title}, ${fixed}`,
    x: {
      label: panelTexts[name].x,
      from: first.x,
      to: last.x,
      logarithmic: true,
      marks: timed.filter((_, i) => i % Math.ceil(timed.length / 9) === 0).map(({ x }) => x),
      format: (x) => (name === 'voxels' && x > 64 ? `2^${Math.log2(x)}` : String(x)),
    },
    y: upwards(name, curves),
    curves,
  };
}

/** Logarithmic for voxels, where what a call costs would flatten the rest; else from zero. */
function upwards(name: ScalingResult['name'], curves: readonly Curve[]): Axis {
  if (name === 'voxels') return decades(curves);
  return { to: Math.max(...curves.flatMap(({ points }) => points.map(([, y]) => y))) * 1.1 };
}

/** A logarithmic axis of whole decades. */
function decades(curves: readonly Curve[]): Axis {
  const all = curves.flatMap(({ points }) => points.map(([, y]) => y));
  const from = Math.floor(Math.log10(Math.min(...all)));
  const to = Math.ceil(Math.log10(Math.max(...all)));
  const marks = Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
  return { from: 10 ** from, to: 10 ** to, logarithmic: true, marks };
}

const headCurves: readonly (Omit<Curve, 'points'> & {
  ms(of: HeadResult): number | undefined;
  mb(of: HeadResult): number | undefined;
})[] = [
  { name: 'linearLogits', colour: 'one', ms: ({ ms }) => ms?.median, mb: ({ mb }) => mb },
  { name: 'logits, products by MKL', colour: 'three', ms: composedMs, mb: (of) => of.composedMb },
  { name: 'PyTorch', colour: 'two', ms: (of) => of.eagerMs, mb: (of) => of.eagerMb },
  {
    name: 'PyTorch, compiled',
    colour: 'two',
    dash: '4 3',
    ms: (of) => of.compiledMs,
    mb: (of) => of.compiledMb,
  },
];

/** Of the shapes with other implementations beside them. */
function headChart(saved: Saved): string | undefined {
  const results = (saved.head ?? []).filter(({ eagerMs }) => eagerMs !== undefined);
  const [first, last] = [results[0], results.at(-1)];
  if (!first || !last || first === last) return undefined;
  const panel = (title: string, of: 'ms' | 'mb'): Panel => {
    const curves = headCurves.map(({ ms, mb, ...curve }) => ({
      ...curve,
      dots: true,
      points: results.flatMap((result) => {
        const y = (of === 'ms' ? ms : mb)(result);
        return y === undefined || y <= 0 ? [] : [[result.classes, y] as const];
      }),
    }));
    return {
      title,
      x: {
        label: 'classes C',
        from: first.classes,
        to: last.classes,
        logarithmic: true,
        marks: results.map(({ classes }) => classes),
      },
      y: decades(curves),
      curves,
    };
  };
  return lineChart({
    title: `Value and gradients from 32 features, float32${ofSimd(saved)}`,
    subtitle: 'Voxels times classes are about 2^23. Both axes are logarithmic.',
    note: source(saved),
    panels: [panel('ms', 'ms'), panel('MB beyond inputs and gradients', 'mb')],
    panelSize: [width, 200],
  });
}
