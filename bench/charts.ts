// The charts of a JSON file: how far valueAndGrad is from the limit, how much faster than the peers it is, how it scales. Pure
// functions from results to SVG; what a file does not have is not drawn.
import { type Case, groups, isHalf } from './cases/cases.js';
import { calls, passes } from './cases/names.js';
import type { Spread } from './measure/timing.js';
import type { Saved, ScalingResult } from './report/results.js';
import { bar, type Colour, dot, line, svg, text } from './svg.js';

const width = 760;
const labelWidth = 250;
const plotWidth = width - labelWidth - 70;
const rowHeight = 22;

/** File name to SVG. */
export function charts(saved: Saved): Map<string, string> {
  const found = new Map<string, string>();
  const add = (name: string, chart: string | undefined) => {
    if (chart) found.set(name, chart);
  };
  add('limit.svg', limitChart(saved));
  add('peers.svg', peersChart(saved));
  add('scaling.svg', scalingChart(saved));
  return found;
}

const source = ({ machine, options }: Saved) =>
  `${machine.cpu}, ${machine.cores} cores, ${options.threads} threads, node ${machine.node}, ${machine.commit}, ${machine.date.slice(0, 10)}${options.quick ? ', --quick' : ''}`;

interface Row {
  readonly label: string;
  readonly value: Spread;
  readonly colour: Colour;
  /** Places on the same axis. */
  readonly marks?: readonly number[];
}

/** Horizontal bars from `from` on, the median with its quartiles; on a logarithmic axis when asked for. */
function bars(
  sections: readonly { readonly title: string; readonly rows: readonly Row[] }[],
  top: number,
  logarithmic: boolean,
): { body: string[]; bottom: number } {
  const all = sections.flatMap(({ rows }) => rows);
  const most = Math.max(...all.flatMap(({ value, marks = [] }) => [value.q3, ...marks]));
  // log 1 is 0: both axes begin there.
  const scale = logarithmic ? (x: number) => Math.log10(Math.max(x, 1)) : (x: number) => x;
  const place = (x: number) => labelWidth + (plotWidth * scale(x)) / scale(most);
  const body: string[] = [];
  let y = top;
  for (const { title, rows } of sections) {
    body.push(text(10, y + 12, title, { title: true }));
    y += rowHeight;
    for (const { label, value, colour, marks = [] } of rows) {
      const middle = y + 7;
      body.push(
        text(labelWidth - 8, y + 11, label, { anchor: 'end' }),
        bar(labelWidth, y, place(value.median) - labelWidth, 14, colour),
        line(
          [
            [place(value.q1), middle],
            [place(value.q3), middle],
          ],
          'text',
        ),
        ...marks.map((mark) =>
          line(
            [
              [place(mark), y - 2],
              [place(mark), y + 16],
            ],
            'text',
            { width: 2 },
          ),
        ),
        text(
          Math.max(place(value.q3), place(value.median), ...marks.map(place)) + 6,
          y + 11,
          figure(value.median),
        ),
      );
      y += rowHeight;
    }
    y += 6;
  }
  return { body, bottom: y };
}

const figure = (x: number) => (x >= 100 ? x.toFixed(0) : x.toPrecision(2));

const simdColours: readonly Colour[] = ['one', 'two', 'three'];

function limitChart(saved: Saved): string | undefined {
  const shapes = [
    ...new Set(saved.results.flatMap(({ cases }) => cases.map(({ group }) => group))),
  ];
  const sections = shapes.flatMap((title) => {
    const rows = saved.results.flatMap(({ simd, cases }, i): Row[] => {
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
  const { body, bottom } = bars(sections, 52, false);
  const title = 'Value and gradient, in times of a copy of the logits';
  return svg(width, bottom + 24, title, [
    text(10, 20, title, { title: true }),
    text(
      10,
      38,
      'Thick mark: logits and target read, gradient written; nothing computed. Thin line: quartiles.',
      { colour: 'quiet' },
    ),
    ...body,
    text(10, bottom + 12, source(saved), { colour: 'quiet' }),
  ]);
}

/** Of peers and scaling. */
const ofSimd = ({ options: { simd } }: Saved) => (simd ? `, ${simd}` : '');

/** Where peers have no half precision. */
const ofOurs = (c: Case | undefined) => (c && isHalf(c.dtype) ? `, ours ${c.dtype}` : '');

function peersChart(saved: Saved): string | undefined {
  const sections = groups.flatMap(({ name: title, cases }) => {
    const rows = saved.peers.flatMap(({ group, name, toOurs }): Row[] =>
      group === title && toOurs
        ? [{ label: name, value: toOurs, colour: name.startsWith('PyTorch') ? 'two' : 'one' }]
        : [],
    );
    return rows.length > 0 ? [{ title: title + ofOurs(cases[0]), rows }] : [];
  });
  if (sections.length === 0) return undefined;
  const { body, bottom } = bars(sections, 52, true);
  const title = `Time of others over ours, value and gradient, float32${ofSimd(saved)}`;
  return svg(width, bottom + 24, title, [
    text(10, 20, title, { title: true }),
    text(
      10,
      38,
      'Logarithmic, from 1: the same time. Blue: in Node; orange: PyTorch. Thin line: quartiles. Wrong or skipped: not drawn.',
      { colour: 'quiet' },
    ),
    ...body,
    text(10, bottom + 12, source(saved), { colour: 'quiet' }),
  ]);
}

interface Curve {
  readonly name: string;
  readonly colour: Colour;
  readonly points: readonly (readonly [x: number, y: number])[];
}

function scalingChart(saved: Saved): string | undefined {
  const panels = saved.scaling.filter(({ points }) => points.filter(({ ms }) => ms).length > 1);
  if (panels.length === 0) return undefined;
  const panelHeight = 190;
  const title = `How value and gradient scale, float32, labels${ofSimd(saved)}`;
  const body = panels.flatMap((panel, i) => drawPanel(panel, 40 + i * panelHeight));
  const bottom = 40 + panels.length * panelHeight;
  return svg(width, bottom + 24, title, [
    text(10, 20, title, { title: true }),
    ...body,
    text(10, bottom + 12, source(saved), { colour: 'quiet' }),
  ]);
}

const panelTexts = {
  threads: 'speed-up over threads',
  voxels: 'ns an element over voxels S, both logarithmic',
  classes: 'ns an element over classes C',
};

function drawPanel({ name, fixed, points }: ScalingResult, top: number): string[] {
  const timed = points.flatMap(({ x, elements, ms, copyMs }) =>
    ms && copyMs ? [{ x, elements, ms: ms.median, copyMs: copyMs.median }] : [],
  );
  const first = timed[0] as (typeof timed)[number];
  const curve = (of: 'ms' | 'copyMs') =>
    timed.map((point) => {
      const y = name === 'threads' ? first[of] / point[of] : (point[of] * 1e6) / point.elements;
      return [point.x, y] as const;
    });
  const curves: Curve[] = [
    { name: 'valueAndGrad', colour: 'one', points: curve('ms') },
    { name: 'copy of the logits', colour: 'two', points: curve('copyMs') },
  ];
  const [left, right, bottom, height] = [60, width - 170, top + 150, 120];
  const last = (timed.at(-1) as (typeof timed)[number]).x;
  const across = (x: number) =>
    left + ((right - left) * Math.log2(x / first.x)) / Math.log2(last / first.x);
  const { up, marks } = axis(name, curves, bottom, height);
  const ticks = timed.filter((_, i) => i % Math.ceil(timed.length / 9) === 0).map(({ x }) => x);
  return [
    text(10, top + 14, `${panelTexts[name]}, ${fixed}`, { title: true }),
    ...marks.flatMap((y) => [
      line(
        [
          [left, up(y)],
          [right, up(y)],
        ],
        'line',
      ),
      text(left - 6, up(y) + 4, String(y), {
        anchor: 'end',
        colour: 'quiet',
      }),
    ]),
    ...ticks.map((x) =>
      text(across(x), bottom + 16, name === 'voxels' && x > 64 ? `2^${Math.log2(x)}` : String(x), {
        anchor: 'middle',
        colour: 'quiet',
      }),
    ),
    ...curves.flatMap(({ name: of, colour, points: places }, i) => [
      line(
        places.map(([x, y]) => [across(x), up(y)] as const),
        colour,
        { width: 1.5 },
      ),
      ...places.map(([x, y]) => dot(across(x), up(y), colour)),
      text(right + 12, top + 44 + 18 * i, of, { colour }),
    ]),
  ];
}

/** Logarithmic for voxels, where what a call costs would flatten the rest; else from zero. */
function axis(
  name: ScalingResult['name'],
  curves: readonly Curve[],
  bottom: number,
  height: number,
): { up(y: number): number; marks: number[] } {
  const all = curves.flatMap(({ points }) => points.map(([, y]) => y));
  if (name !== 'voxels') {
    const most = Math.max(...all) * 1.1;
    return { up: (y) => bottom - (height * y) / most, marks: roundMarks(most) };
  }
  const from = Math.floor(Math.log10(Math.min(...all)));
  const to = Math.ceil(Math.log10(Math.max(...all)));
  return {
    up: (y) => bottom - (height * (Math.log10(y) - from)) / (to - from),
    marks: Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i)),
  };
}

/** From 0 to at most `most`, in steps of 1, 2 or 5 times a power of ten, two to four of them. */
export function roundMarks(most: number): number[] {
  const unit = 10 ** Math.floor(Math.log10(most / 2));
  const times = [5, 2, 1].find((factor) => factor * unit <= most / 2) ?? 1;
  const count = Math.floor(most / (times * unit));
  // Rounded: 3 * 0.1 is not 0.3.
  return Array.from({ length: count + 1 }, (_, i) => Number((i * times * unit).toPrecision(3)));
}
