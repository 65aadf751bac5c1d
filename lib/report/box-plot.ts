// Box plots as SVG text: a panel for each score, a box for each class. Colours follow the reader's light or dark theme.
import { summarize } from './statistics.js';

export interface Panel {
  readonly title: string;
  /** The boxes, from top to bottom. NaN is left out, and Infinity shown at the end of the axis. */
  readonly boxes: readonly { readonly name: string; readonly values: readonly number[] }[];
}

const width = 640;
const rowHeight = 26;
const letter = 7;
const right = 24;

const style = `<style>text{font:12px system-ui,sans-serif;fill:currentColor}svg{color:#24292f;background:#fff}
.box{fill:#0969da;fill-opacity:.25;stroke:#0969da}.line{stroke:#0969da;stroke-width:2}.dot{fill:#0969da}.grid{stroke:#8884}
@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}</style>`;

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** One decimal is enough for a place in the picture. */
const round = (x: number) => Number(x.toFixed(1));

const text = (x: number, y: number, words: string, anchor = 'start') =>
  `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(words)}</text>`;

const line = (x1: number, y1: number, x2: number, y2: number, name: string) =>
  `<line class="${name}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;

export function boxPlot(panels: readonly Panel[]): string {
  const names = panels.flatMap(({ boxes }) => boxes.map(({ name }) => name));
  const longest = names.reduce((most, { length }) => Math.max(most, length), 0);
  const left = Math.min(24 + letter * longest, width / 2);
  let bottom = 8;
  const parts = panels.flatMap((panel) => {
    const top = bottom;
    bottom += 62 + rowHeight * panel.boxes.length;
    return drawPanel(panel, left, top);
  });
  const size = `width="${width}" height="${bottom}" viewBox="0 0 ${width} ${bottom}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img">\n${style}\n${parts.join('\n')}\n</svg>\n`;
}

function drawPanel({ title, boxes }: Panel, left: number, top: number): string[] {
  const finite = boxes.flatMap(({ values }) => values.filter(Number.isFinite));
  // Scores from 0 to 1 have one axis, so that pictures can be compared.
  const most = finite.reduce((a, b) => Math.max(a, b), 1);
  const step = roundStep(most / 5);
  const end = Math.ceil(most / step - 1e-9) * step;
  const place = (value: number) => left + (Math.min(value, end) / end) * (width - right - left);
  const [first, last] = [top + 28, top + 28 + rowHeight * boxes.length];
  const marks = Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step);
  return [
    text(left, top + 16, title),
    ...marks.flatMap((mark) => [
      line(place(mark), first, place(mark), last + 4, 'grid'),
      text(place(mark), last + 18, `${Number(mark.toPrecision(3))}`, 'middle'),
    ]),
    ...boxes.flatMap(({ name, values }, i) => [
      text(left - 8, first + rowHeight * (i + 0.5) + 4, name, 'end'),
      ...drawBox(values, first + rowHeight * (i + 0.5), place),
    ]),
  ];
}

/** 1, 2 or 5 times a power of ten, the first that is not smaller. */
function roundStep(least: number): number {
  const unit = 10 ** Math.floor(Math.log10(least));
  return unit * ([1, 2, 5].find((factor) => factor * unit >= least) ?? 10);
}

/** The quartiles, whiskers to the last values within 1.5 times the box of it, and dots for those beyond. */
function drawBox(values: readonly number[], y: number, place: (x: number) => number): string[] {
  const { count, q1, median, q3 } = summarize(values);
  if (count === 0) return [];
  const reach = 1.5 * (q3 - q1);
  const isNear = (value: number) =>
    value === median || (value >= q1 - reach && value <= q3 + reach);
  const near = values.filter(isNear);
  const from = place(near.reduce((a, b) => Math.min(a, b), q1));
  const to = place(near.reduce((a, b) => Math.max(a, b), q3));
  const far = values.filter((value) => !Number.isNaN(value) && !isNear(value));
  const [a, b] = [place(q1), place(q3)];
  return [
    line(from, y, a, y, 'line'),
    line(b, y, to, y, 'line'),
    `<rect class="box" x="${round(a)}" y="${y - 8}" width="${round(b - a)}" height="16"/>`,
    line(place(median), y - 8, place(median), y + 8, 'line'),
    ...far.map((value) => `<circle class="dot" cx="${round(place(value))}" cy="${y}" r="2.5"/>`),
  ];
}
