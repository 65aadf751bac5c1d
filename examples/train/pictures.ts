// The two pictures: how training went, and what the network makes of held-out slices.
import { Canvas, type Colour } from './canvas.js';
import type { Slices } from './data.js';
import { count } from './metrics.js';
import { classNames } from './model.js';

export interface Curve {
  name: string;
  loss: number[]; // of every step
  heldOut: { step: number; dice: number }[]; // mean foreground Dice, now and then
}

const ink: Colour = [40, 40, 40];
const faint: Colour = [225, 225, 225];
const runColours: Colour[] = [
  [0, 114, 178],
  [213, 94, 0],
];
/** What is laid over a slice for each class; outside the brain nothing is. */
const classColours: (Colour | undefined)[] = [undefined, [0, 158, 200], [255, 176, 0]];

/** Left: the loss of every step. Right: Dice on the held-out slices. */
export function drawCurves(path: string, curves: Curve[], steps: number): void {
  const canvas = new Canvas(1280, 520);
  const highest = Math.max(...curves.flatMap((curve) => curve.loss.filter(Number.isFinite)), 0.1);
  const left = { left: 80, top: 90, width: 510, height: 330, xMax: steps, yMax: highest };
  const right = { ...left, left: 740, yMax: 1 };
  axes(canvas, left, 'Loss (pale: every step, strong: smoothed)');
  axes(canvas, right, 'Held-out Dice, mean of grey and white');
  curves.forEach(({ name, loss, heldOut }, i) => {
    const colour = runColours[i];
    const points = (values: number[]) => values.map((v, step) => place(left, step + 1, v));
    canvas.line(points(loss), colour, 1.5, 0.35);
    canvas.line(points(smooth(loss)), colour, 3);
    const dice = heldOut.map((point) => place(right, point.step, point.dice));
    canvas.line(dice, colour, 3);
    for (const [x, y] of dice) canvas.rectangle(Math.round(x) - 4, Math.round(y) - 4, 9, 9, colour);
    legend(canvas, 80 + 330 * i, 30, colour, `trained with ${name}`);
  });
  if (curves.length > 1) {
    canvas.text('The losses are on different scales: compare the right side.', 80, 485);
  }
  canvas.save(path);
}

/** One row a slice: the image, the truth, and what each network says. */
export function drawSlices(
  path: string,
  slices: Slices,
  chosen: number[],
  predictions: { name: string; labels: Uint8Array }[],
): void {
  const { height, width, images, labels, numbers } = slices;
  const area = height * width;
  const zoom = Math.max(1, Math.round(360 / height));
  const columns = [{ name: 'truth (atlas)', labels }, ...predictions];
  const cell = { width: Math.max(zoom * width, 312) + 24, height: zoom * height + 60 };
  const canvas = new Canvas(
    cell.width * (columns.length + 1) + 20,
    cell.height * chosen.length + 110,
  );
  classColours.forEach((colour, c) => {
    if (colour) legend(canvas, [0, 20, 480][c], 20, colour, classNames[c]);
  });

  const darkest = images.reduce((a, b) => Math.min(a, b));
  const brightest = images.reduce((a, b) => Math.max(a, b));
  chosen.forEach((slice, row) => {
    const top = 100 + row * cell.height;
    const panel = (column: number, overlay?: Uint8Array) => {
      for (let y = 0; y < height * zoom; y++) {
        for (let x = 0; x < width * zoom; x++) {
          // Row 0 of the volume is the back of the head: draw it at the bottom.
          const voxel = (height - 1 - Math.floor(y / zoom)) * width + Math.floor(x / zoom);
          const at = slice * area + voxel;
          const grey = (255 * (images[at] - darkest)) / (brightest - darkest);
          const px = 20 + column * cell.width + x;
          canvas.pixel(px, top + y, [grey, grey, grey]);
          const colour = classColours[overlay?.[at] ?? 0];
          if (colour) canvas.pixel(px, top + y, colour, 0.5);
        }
      }
    };
    const caption = (column: number, text: string) =>
      canvas.text(text, 20 + column * cell.width, top + height * zoom + 8);

    if (row === 0) canvas.text('T1 image', 20, top - 24);
    panel(0);
    caption(0, `slice ${numbers[slice]}`);
    columns.forEach(({ name, labels: shown }, i) => {
      if (row === 0) canvas.text(name, 20 + (i + 1) * cell.width, top - 24);
      panel(i + 1, shown);
      if (shown === labels) return;
      const range = [slice * area, (slice + 1) * area] as const;
      const dice = count(shown.subarray(...range), labels.subarray(...range)).perClass('dice');
      const [grey, white] = [dice[1], dice[2]].map((v) => v.toFixed(2));
      caption(i + 1, `Dice: grey ${grey}, white ${white}`);
    });
  });
  canvas.save(path);
}

interface Axes {
  left: number;
  top: number;
  width: number;
  height: number;
  xMax: number;
  yMax: number;
}

/** Where x, y of the data lie on the canvas. Both axes begin at zero. */
function place({ left, top, width, height, xMax, yMax }: Axes, x: number, y: number) {
  const shown = Number.isFinite(y) ? Math.min(y, yMax) : yMax;
  return [left + (x / xMax) * width, top + height * (1 - shown / yMax)] as const;
}

function axes(canvas: Canvas, at: Axes, title: string): void {
  const { left, top, width, height, xMax, yMax } = at;
  for (const y of ticks(yMax)) {
    const row = Math.round(place(at, 0, y)[1]);
    canvas.rectangle(left, row, width, 1, faint);
    canvas.text(y.toFixed(1), left - 10, row - 7, { align: 1 });
  }
  for (const x of ticks(xMax).filter(Number.isInteger)) {
    const column = Math.round(place(at, x, 0)[0]);
    canvas.rectangle(column, top + height, 1, 6, ink);
    canvas.text(String(x), column, top + height + 10, { align: 0.5 });
  }
  canvas.rectangle(left, top, 1, height, ink);
  canvas.rectangle(left, top + height, width, 1, ink);
  canvas.text(title, left, top - 26);
  canvas.text('step', left + width / 2, top + height + 34, { align: 0.5 });
}

/** Round numbers from 0 to `end`, about five of them. */
function ticks(end: number): number[] {
  const power = 10 ** Math.floor(Math.log10(end / 4));
  const step = power * ([1, 2, 5, 10].find((s) => end / (s * power) <= 6) ?? 10);
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, i) => i * step);
}

function legend(canvas: Canvas, x: number, y: number, colour: Colour, text: string): void {
  canvas.rectangle(x, y, 22, 14, colour);
  canvas.text(text, x + 32, y);
}

/** The mean of the last few values, for each value. */
function smooth(values: number[]): number[] {
  const window = Math.max(1, Math.round(values.length / 15));
  return values.map((_, i) => {
    const recent = values.slice(Math.max(0, i + 1 - window), i + 1);
    return recent.reduce((sum, v) => sum + v, 0) / recent.length;
  });
}
