// Just enough plotting for the figures: panels side by side, curves, axes, a legend; as SVG text.

const width = 340;
const height = 300;
const left = 52;
const right = 14;
const top = 34;
const bottom = 44;
const colours = ['#c2410c', '#1d4ed8', '#15803d'];
const dashes = ['', '7 4', '2 3'];

/** One decimal, so that the text does not depend on the last digits of a sum. */
const at = (x) => x.toFixed(1);

/** { title, x: label, from: [x, y], to: [x, y], ticks: [xs, ys], curves: [[x, y][], ...] } at column i. */
function panel({ title, x, from, to, ticks, curves }, i) {
  const px = (v) =>
    at(i * width + left + ((v - from[0]) / (to[0] - from[0])) * (width - left - right));
  const py = (v) =>
    at(height - bottom - ((v - from[1]) / (to[1] - from[1])) * (height - top - bottom));
  const line = (a, b) =>
    `<line x1="${px(a[0])}" y1="${py(a[1])}" x2="${px(b[0])}" y2="${py(b[1])}" stroke="#d4d4d4"/>`;
  const text = (tx, ty, anchor, words) =>
    `<text x="${tx}" y="${ty}" text-anchor="${anchor}">${words}</text>`;
  return [
    ...ticks[0].map((v) => line([v, from[1]], [v, to[1]])),
    ...ticks[1].map((v) => line([from[0], v], [to[0], v])),
    ...ticks[0].map((v) => text(px(v), height - bottom + 17, 'middle', v)),
    ...ticks[1].map((v) =>
      text(at(i * width + left - 7), (Number(py(v)) + 4).toFixed(1), 'end', v),
    ),
    text(px((from[0] + to[0]) / 2), height - 8, 'middle', x),
    text(px((from[0] + to[0]) / 2), 20, 'middle', title),
    ...curves.map((points, c) => {
      const path = points.map(([a, b]) => `${px(a)},${py(b)}`).join(' ');
      const dash = dashes[c] && ` stroke-dasharray="${dashes[c]}"`;
      return `<polyline points="${path}" fill="none" stroke="${colours[c]}" stroke-width="2.2"${dash}/>`;
    }),
  ];
}

/** The panels beside each other, the names of their curves below. */
export function figure(panels, names) {
  const size = [panels.length * width, height + 34];
  const legend = names.flatMap((name, c) => {
    const x = left + c * 170;
    const dash = dashes[c] && ` stroke-dasharray="${dashes[c]}"`;
    return [
      `<line x1="${x}" y1="${height + 16}" x2="${x + 30}" y2="${height + 16}" stroke="${colours[c]}" stroke-width="2.2"${dash}/>`,
      `<text x="${x + 37}" y="${height + 20}">${name}</text>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.join(' ')}" width="${size[0]}" height="${size[1]}" font-family="sans-serif" font-size="13" fill="#262626">`,
    `<rect width="${size[0]}" height="${size[1]}" fill="#fff"/>`,
    ...panels.flatMap(panel),
    ...legend,
    '</svg>',
    '',
  ].join('\n');
}
