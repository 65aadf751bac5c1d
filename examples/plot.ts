// Draws every chart of this repository as SVG text: the benchmark's, those of docs/ and the training's loss curve.
// Colours are classes: they follow the reader's light or dark theme.

export type Colour = 'text' | 'quiet' | 'line' | 'one' | 'two' | 'three';

interface Page {
  readonly title?: string;
  readonly subtitle?: string;
  /** Below the chart: where its figures come from. */
  readonly note?: string;
}

export interface Axis {
  readonly label?: string;
  /** Default 0. */
  readonly from?: number;
  readonly to: number;
  readonly logarithmic?: boolean;
  /** The numbers beside the axis; `roundMarks(to)` unless given. */
  readonly marks?: readonly number[];
  readonly format?: (value: number) => string;
}

export interface Curve {
  /** In the legend; none: not there. */
  readonly name?: string;
  readonly colour: Colour;
  readonly points: readonly Point[];
  readonly dots?: boolean;
  readonly dash?: string;
  readonly width?: number;
  readonly opacity?: number;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly curves: readonly Curve[];
}

export interface BarRow {
  readonly label: string;
  readonly value: { readonly q1: number; readonly median: number; readonly q3: number };
  readonly colour: Colour;
  /** Places on the same axis. */
  readonly marks?: readonly number[];
}

interface BarSection {
  readonly title: string;
  readonly rows: readonly BarRow[];
}

type LineChart = Page & {
  readonly panels: readonly Panel[];
  readonly columns?: number;
  readonly panelSize: readonly [width: number, height: number];
};

type BarChart = Page & {
  readonly sections: readonly BarSection[];
  readonly width: number;
  readonly labelWidth: number;
  readonly logarithmic?: boolean;
};

type Point = readonly [x: number, y: number];

const names = ['text', 'quiet', 'line', 'one', 'two', 'three'];
const light = ['#24292f', '#57606a', '#d0d7de', '#0969da', '#bc4c00', '#1a7f37'];
const dark = ['#e6edf3', '#9198a1', '#3d444d', '#4493f8', '#f0883e', '#3fb950'];
const paper = ['#ffffff', '#0d1117'];
const styles = (colours: string[], background: string) =>
  `.paper{fill:${background}}${names.map((name, i) => `.${name}{color:${colours[i]}}`).join('')}`;
const head = `<style>text{font:12px system-ui,sans-serif;fill:currentColor}.bold{font-weight:600;font-size:13px}
.fill{fill:currentColor}.stroke{stroke:currentColor;fill:none}
${styles(light, paper[0])}
@media(prefers-color-scheme:dark){${styles(dark, paper[1])}}</style>`;

const margin = 10;
const rowHeight = 22;

/** One decimal, so that the text does not depend on the last digits of a sum. */
const round = (x: number) => Number(x.toFixed(1));
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function text(
  x: number,
  y: number,
  words: string,
  {
    anchor = 'start',
    colour = 'text',
    bold = false,
  }: { anchor?: string; colour?: Colour; bold?: boolean } = {},
): string {
  const classes = bold ? `${colour} bold` : colour;
  return `<text class="${classes}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

function line(
  points: readonly Point[],
  colour: Colour,
  { width = 1, dash = '', opacity = 1 }: Pick<Curve, 'width' | 'dash' | 'opacity'> = {},
): string {
  const path = points.map(([x, y]) => `${round(x)},${round(y)}`).join(' ');
  const dashes = dash && ` stroke-dasharray="${dash}"`;
  const pale = opacity < 1 ? ` stroke-opacity="${opacity}"` : '';
  return `<polyline class="stroke ${colour}" points="${path}" stroke-width="${width}"${dashes}${pale}/>`;
}

const dot = (x: number, y: number, colour: Colour) =>
  `<circle class="fill ${colour}" cx="${round(x)}" cy="${round(y)}" r="2.5"/>`;

/** `body(top)` draws below the title and the subtitle, and says where it ended. */
function page(
  { title, subtitle, note, width }: Page & { readonly width: number },
  body: (top: number) => { parts: string[]; bottom: number },
): string {
  const top = margin + (title ? 18 : 0) + (subtitle ? 18 : 0);
  const { parts, bottom } = body(top);
  const height = bottom + (note ? 24 : margin);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    ...(title ? [`<title>${escaped(title)}</title>`] : []),
    head,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...(title ? [text(margin, 20, title, { bold: true })] : []),
    ...(subtitle ? [text(margin, 38, subtitle, { colour: 'quiet' })] : []),
    ...parts,
    ...(note ? [text(margin, bottom + 12, note, { colour: 'quiet' })] : []),
    '</svg>\n',
  ].join('\n');
}

/** From 0 to at most `most`, in steps of 1, 2 or 5 times a power of ten, two to four of them. */
export function roundMarks(most: number): number[] {
  const unit = 10 ** Math.floor(Math.log10(most / 2));
  const times = [5, 2, 1].find((factor) => factor * unit <= most / 2) ?? 1;
  const count = Math.floor(most / (times * unit));
  // Rounded: 3 * 0.1 is not 0.3.
  return Array.from({ length: count + 1 }, (_, i) => Number((i * times * unit).toPrecision(3)));
}

/** Where a value lies from `start` to `end`; `from` and `to` are the values there. */
function scale({ from = 0, to, logarithmic = false }: Axis, start: number, end: number) {
  const of = logarithmic ? Math.log : (value: number) => value;
  return (value: number) => start + ((end - start) * (of(value) - of(from))) / (of(to) - of(from));
}

/** Panels of the same size, `columns` beside each other, and one legend of all their curves below. */
export function lineChart({
  panels,
  columns = 1,
  panelSize: [width, height],
  ...rest
}: LineChart): string {
  return page({ ...rest, width: columns * width }, (top) => {
    const parts = panels.flatMap((panel, i) => {
      const [left, above] = [(i % columns) * width, top + Math.floor(i / columns) * height];
      return drawPanel(panel, left, above, left + width, above + height);
    });
    const bottom = top + Math.ceil(panels.length / columns) * height;
    const curves = panels.flatMap((panel) => panel.curves);
    const named = new Map(curves.flatMap((curve) => (curve.name ? [[curve.name, curve]] : [])));
    let x = 46;
    for (const [name, { colour, dash = '', width: thick = 2 }] of named) {
      const y = bottom + 8;
      parts.push(line([[x, y], [x + 26, y]], colour, { width: thick, dash })); // biome-ignore format: one line
      parts.push(text(x + 33, y + 4, name));
      x += 33 + 7 * name.length + 26;
    }
    return { parts, bottom: bottom + 24 };
  });
}

function drawPanel(
  { title, x, y, curves }: Panel,
  left: number,
  top: number,
  right: number,
  bottom: number,
): string[] {
  const [from, to, floor, ceiling] = [left + 46, right - 16, bottom - 38, top + 32];
  const across = scale(x, from, to);
  const up = scale(y, floor, ceiling);
  const shown = (value: number, { format = String }: Axis) => format(value);
  const marks = (axis: Axis) => axis.marks ?? roundMarks(axis.to);
  return [
    text(from - 36, top + 18, title, { bold: true }),
    ...marks(y).flatMap((value) => [
      line([[from, up(value)], [to, up(value)]], 'line'), // biome-ignore format: one line
      text(from - 6, up(value) + 4, shown(value, y), { anchor: 'end', colour: 'quiet' }),
    ]),
    ...marks(x).flatMap((value) => [
      line([[across(value), floor], [across(value), floor + 4]], 'quiet'), // biome-ignore format: one line
      text(across(value), floor + 17, shown(value, x), { anchor: 'middle', colour: 'quiet' }),
    ]),
    text((from + to) / 2, floor + 33, x.label ?? '', { anchor: 'middle', colour: 'quiet' }),
    ...curves.flatMap(({ points, colour, dots = false, ...look }) => {
      const places = points.map(([a, b]): Point => [across(a), up(b)]);
      const drawn = line(places, colour, { width: 2, ...look });
      return [drawn, ...(dots ? places.map(([a, b]) => dot(a, b, colour)) : [])];
    }),
  ];
}

/** Horizontal bars, from 0 or, on a logarithmic axis, from 1: the median, its quartiles, and marks beside it. */
export function barChart({
  sections,
  width,
  labelWidth,
  logarithmic = false,
  ...rest
}: BarChart): string {
  return page({ ...rest, width }, (top) => {
    const rows = sections.flatMap((section) => section.rows);
    const to = Math.max(...rows.flatMap(({ value, marks = [] }) => [value.q3, ...marks]));
    const from = logarithmic ? 1 : 0;
    const along = scale({ from, to, logarithmic }, labelWidth, width - 70);
    const place = (value: number) => along(Math.max(value, from));
    const parts: string[] = [];
    let y = top + 6;
    for (const section of sections) {
      parts.push(text(margin, y + 12, section.title, { bold: true }));
      y += rowHeight;
      for (const { label, value, colour, marks = [] } of section.rows) {
        const [q1, median, q3] = [place(value.q1), place(value.median), place(value.q3)];
        const length = round(median - labelWidth);
        const end = Math.max(q3, median, ...marks.map(place));
        parts.push(
          text(labelWidth - 8, y + 11, label, { anchor: 'end' }),
          `<rect class="fill ${colour}" x="${labelWidth}" y="${y}" width="${length}" height="14"/>`,
          line([[q1, y + 7], [q3, y + 7]], 'text'), // biome-ignore format: one line
          ...marks.map((mark) => line([[place(mark), y - 2], [place(mark), y + 16]], 'text', { width: 2 })), // biome-ignore format: one line
          text(
            end + 6,
            y + 11,
            value.median >= 100 ? value.median.toFixed(0) : value.median.toPrecision(2),
          ),
        );
        y += rowHeight;
      }
      y += 6;
    }
    return { parts, bottom: y };
  });
}
