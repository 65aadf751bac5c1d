// The few shapes of which the charts are made. Colours are classes: they follow the reader's light or dark theme.
const light = ['#24292f', '#d0d7de', '#0969da', '#bc4c00', '#8250df', '#57606a'];
const dark = ['#e6edf3', '#3d444d', '#4493f8', '#f0883e', '#ab7df8', '#9198a1'];
/** text: also for marks that must stand out. */
export const colours = ['text', 'line', 'one', 'two', 'three', 'quiet'] as const;
export type Colour = (typeof colours)[number];

const style = (values: readonly string[]) =>
  colours.map((name, i) => `.${name}{--c:${values[i]};color:${values[i]}}`).join('');

const head = `<style>text{font:12px system-ui,sans-serif;fill:currentColor}.title{font-weight:600;font-size:13px}
.f{fill:currentColor}.s{stroke:currentColor;fill:none}${style(light)}
@media(prefers-color-scheme:dark){${style(dark)}}</style>`;

const round = (x: number) => Number(x.toFixed(1));
const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

export function svg(width: number, height: number, title: string, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    head,
    ...body,
    '</svg>\n',
  ].join('\n');
}

export function text(
  x: number,
  y: number,
  content: string,
  {
    anchor = 'start',
    colour = 'text',
    title = false,
  }: { anchor?: 'start' | 'middle' | 'end'; colour?: Colour; title?: boolean } = {},
): string {
  return `<text class="${colour}${title ? ' title' : ''}" x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

export function bar(x: number, y: number, width: number, height: number, colour: Colour): string {
  return `<rect class="f ${colour}" x="${round(x)}" y="${round(y)}" width="${round(Math.max(0, width))}" height="${round(height)}"/>`;
}

export function line(
  points: readonly (readonly [x: number, y: number])[],
  colour: Colour,
  { width = 1, dashed = false }: { width?: number; dashed?: boolean } = {},
): string {
  const path = points.map(([x, y]) => `${round(x)},${round(y)}`).join(' ');
  return `<polyline class="s ${colour}" points="${path}" stroke-width="${width}"${dashed ? ' stroke-dasharray="4 3"' : ''}/>`;
}

export function dot(x: number, y: number, colour: Colour): string {
  return `<circle class="f ${colour}" cx="${round(x)}" cy="${round(y)}" r="2.5"/>`;
}
